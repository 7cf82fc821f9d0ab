"""Daily streaks on local calendar dates, in every zone of the world."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core import clock
from rebootcamp.services.gamification.streaks import Streak, extend, recount

HALF_HOUR = timedelta(minutes=30)
days = st.dates(date(2026, 1, 1), date(2026, 2, 10))


def edges(zone: str) -> list[datetime]:
    """Return the days of 2026 (UTC midnights) on which the zone changes its offset."""
    tz, start = clock.zone(zone), datetime(2026, 1, 1, tzinfo=UTC)
    offsets = [(start + timedelta(days=n)).astimezone(tz).utcoffset() for n in range(366)]
    return [start + timedelta(days=n) for n in range(365) if offsets[n] != offsets[n + 1]]


def test_activity_on_every_local_day_around_a_clock_change_is_one_unbroken_run() -> None:
    changes = 0
    for zone in sorted(available_timezones()):
        for edge in edges(zone):
            changes += 1
            instants = [edge - timedelta(days=1) + n * HALF_HOUR for n in range(3 * 48)]
            dates = [clock.local_date(instant, zone) for instant in instants]
            streak = Streak()
            for day in dates:
                streak = extend(streak, day) or streak
            assert streak == recount(dates), zone
            assert streak.current == (dates[-1] - dates[0]).days + 1 == len(set(dates)), zone
    assert changes > 200


@pytest.mark.parametrize("name", ["Europe/Paris", "America/Los_Angeles", "Pacific/Kiritimati", "Australia/Lord_Howe"])
@pytest.mark.parametrize(("hour", "minute"), [(0, 30), (23, 59)])
def test_day_of_a_deed_is_the_one_on_the_learners_wall(name: str, hour: int, minute: int) -> None:
    walls = [datetime(2026, 3, 1, hour, minute, tzinfo=clock.zone(name)) + timedelta(days=n) for n in range(60)]
    dates = [clock.local_date(wall.astimezone(UTC), name) for wall in walls]
    assert dates == [wall.date() for wall in walls]
    assert recount(dates).current == 60


@given(st.lists(days, max_size=30))
def test_extending_day_by_day_agrees_with_a_recount(active: list[date]) -> None:
    streak, seen = Streak(), []
    for day in active:
        seen.append(day)
        streak = extend(streak, day) or recount(seen)
        assert streak == recount(seen)


@given(st.sets(days), st.integers(0, 5))
def test_recount_finds_the_last_run_and_the_longest(active: set[date], slack: int) -> None:
    streak = recount(active)
    runs: list[list[date]] = []
    for day in sorted(active):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    assert streak.longest == max(map(len, runs), default=0)
    assert streak.current == (len(runs[-1]) if runs else 0)
    assert streak.last_active_on == (max(active) if active else None)
    if active:
        shown = streak.as_of(max(active) + timedelta(days=slack))
        assert shown == (streak.current if slack <= 1 else 0)


def test_past_day_needs_a_recount_and_the_same_day_changes_nothing() -> None:
    streak = recount([date(2026, 1, 1), date(2026, 1, 2)])
    assert extend(streak, date(2026, 1, 1)) is None
    assert extend(streak, date(2026, 1, 2)) == streak
    assert Streak().as_of(date(2026, 1, 1)) == 0
