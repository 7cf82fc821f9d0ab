"""What can be reached is what period after period can give, and no less."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.challenges import period_of
from rebootcamp.services.gamification.reach import Offer, Reach, reach_of

JUNE = datetime(2026, 6, 1, 12, tzinfo=UTC)
REPEATING = ("daily", "weekly", "monthly", "seasonal")
instants = st.integers(0, 10**9).map(lambda seconds: JUNE - timedelta(seconds=seconds))


def local_dates(opens_at: datetime, closes_at: datetime) -> list[date]:
    """Return every date that a wall clock shows somewhere on earth in the window."""
    last = closes_at - timedelta(microseconds=1)
    first_day, last_day = (opens_at - timedelta(hours=12)).date(), (last + timedelta(hours=14)).date()
    return [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]


@pytest.mark.parametrize("cadence", REPEATING)
@given(opens_at=instants, length=st.timedeltas(timedelta(microseconds=1), timedelta(days=800)))
def test_a_window_gives_as_often_as_it_has_periods(cadence: str, opens_at: datetime, length: timedelta) -> None:
    closes_at = opens_at + length
    periods = {period_of(cadence, day) for day in local_dates(opens_at, closes_at)}
    assert reach_of([Offer(7, cadence, opens_at, closes_at)], []).limit == 7 * len(periods)


@pytest.mark.parametrize("cadence", REPEATING)
def test_what_repeats_for_ever_gives_without_limit(cadence: str) -> None:
    found = reach_of([Offer(1, "once", JUNE), Offer(2, cadence, JUNE), Offer(3, cadence, JUNE)], [10])
    assert (found, found.limit) == (Reach(11, {cadence: 5}), None)
    assert reach_of([Offer(1, "once", JUNE), Offer(0, cadence, JUNE)], [10]).limit == 11
    assert reach_of([Offer(7, cadence, JUNE, most=3)], []).limit == 21


def test_what_repeats_gives_the_rest_in_time() -> None:
    reach = Reach(100, {"daily": 4, "weekly": 42})
    assert [reach.days_to(xp) for xp in (0, 100, 110, 1100)] == [0, 0, 1, 100]
    assert Reach(100).days_to(200) == 0


@pytest.mark.parametrize("cadence", ["once", "event"])
def test_what_counts_once_gives_once(cadence: str) -> None:
    ends = JUNE + timedelta(days=90)
    assert reach_of([Offer(20, cadence, JUNE), Offer(30, cadence, JUNE, ends)], [10, 5]).limit == 65
    assert reach_of([], []).limit == 0


def test_the_ends_of_the_calendar_are_no_obstacle() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert reach_of([Offer(1, "daily", first, last)], []).limit == date.max.toordinal()
    assert reach_of([Offer(1, "daily", first, first)], []).limit == 1
    assert reach_of([Offer(1, "weekly", last, first)], []).limit == 0
