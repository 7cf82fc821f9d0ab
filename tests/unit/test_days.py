"""Local days: every zone of the world, every clock change, every change of mind of a traveller."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rebootcamp.core import clock
from rebootcamp.core.days import ONE_DAY, ONE_SECOND, SHORTEST, DayRule, Days, is_cut_short, latest_date

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
HOURS = (0, 1, 2, 3, 4, 12)
HALF_HOUR = timedelta(minutes=30)
START = datetime(2026, 3, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return clock.parse(text)


def clock_changes(zone: str, first_year: int = 2025, years: int = 3) -> Iterator[datetime]:
    """Yield the UTC midnights before which the zone's offset was another one than after the next."""
    tz, start = clock.zone(zone), datetime(first_year, 1, 1, tzinfo=UTC)
    days = [start + n * ONE_DAY for n in range(366 * years)]
    for one, two in pairwise(days):
        if one.astimezone(tz).utcoffset() != two.astimezone(tz).utcoffset():
            yield one


@pytest.mark.parametrize(
    ("zone", "hour", "instant", "day", "end"),
    [
        ("Europe/Paris", 0, "2026-11-20T22:59:59Z", "2026-11-20", "2026-11-20T22:59:59Z"),
        ("Europe/Paris", 0, "2026-11-20T23:00:00Z", "2026-11-21", "2026-11-21T22:59:59Z"),
        ("Europe/Paris", 4, "2026-11-21T02:59:59Z", "2026-11-20", "2026-11-21T02:59:59Z"),
        ("Europe/Paris", 4, "2026-11-21T03:00:00Z", "2026-11-21", "2026-11-22T02:59:59Z"),
        # 02:00 to 03:00 does not exist on 29 March; 02:00 to 03:00 happens twice on 25 October.
        ("Europe/Paris", 2, "2026-03-29T00:59:59Z", "2026-03-28", "2026-03-29T00:59:59Z"),
        ("Europe/Paris", 2, "2026-03-29T01:00:00Z", "2026-03-29", "2026-03-29T23:59:59Z"),
        ("Europe/Paris", 3, "2026-03-29T01:00:00Z", "2026-03-29", "2026-03-30T00:59:59Z"),
        ("Europe/Paris", 2, "2026-10-25T00:00:00Z", "2026-10-25", "2026-10-26T00:59:59Z"),
        ("Europe/Paris", 2, "2026-10-25T01:30:00Z", "2026-10-25", "2026-10-26T00:59:59Z"),
        ("Australia/Lord_Howe", 2, "2026-10-03T15:29:59Z", "2026-10-03", "2026-10-03T15:29:59Z"),
        ("Australia/Lord_Howe", 2, "2026-10-03T15:30:00Z", "2026-10-04", "2026-10-04T14:59:59Z"),
        # Midnight itself is skipped in Beirut and repeated in Havana.
        ("Asia/Beirut", 0, "2026-03-28T22:00:00Z", "2026-03-29", "2026-03-29T20:59:59Z"),
        ("America/Havana", 0, "2026-11-01T05:30:00Z", "2026-11-01", "2026-11-02T04:59:59Z"),
        # One minute after midnight the clock of St. John's went back to 23:01: the new day went on.
        ("America/St_Johns", 0, "2008-11-02T02:30:30Z", "2008-11-02", "2008-11-03T03:29:59Z"),
        ("America/St_Johns", 0, "2008-11-02T02:40:00Z", "2008-11-02", "2008-11-03T03:29:59Z"),
        ("Pacific/Apia", 0, "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T09:59:59Z"),
        ("Pacific/Apia", 0, "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T09:59:59Z"),
        ("Pacific/Kiritimati", 0, "2026-01-01T09:59:59Z", "2026-01-01", "2026-01-01T09:59:59Z"),
    ],
)
def test_date_of_an_instant_and_its_end(zone: str, hour: int, instant: str, day: str, end: str) -> None:
    days = Days(DayRule(zone, hour))
    assert days.date_of(at(instant)) == date.fromisoformat(day)
    assert clock.iso(days.end_of(date.fromisoformat(day))) == end


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21"), ("Pacific/Kiritimati", "1994-12-31")],
)
def test_date_that_a_country_skipped_is_told_apart(zone: str, day: str) -> None:
    skipped = date.fromisoformat(day)
    assert [is_cut_short(skipped + n * ONE_DAY, zone) for n in (-1, 0, 1)] == [False, True, False]


@pytest.mark.parametrize("hour", HOURS)
def test_around_every_clock_change_days_follow_each_other_without_gap_or_return(hour: int) -> None:
    changes = 0
    for zone in ZONES:
        rule = DayRule(zone, hour)
        for change in clock_changes(zone):
            changes += 1
            dates = [rule.date_of(change - ONE_DAY + n * HALF_HOUR) for n in range(4 * 48)]
            assert all(two - one in (timedelta(0), ONE_DAY) for one, two in pairwise(dates)), (zone, change)
            for day in sorted(set(dates)):
                start = rule.start_of(day)
                assert (rule.date_of(start), rule.date_of(start - ONE_SECOND)) == (day, day - ONE_DAY), (zone, day)
                assert rule.start_of(day + ONE_DAY) - start >= timedelta(hours=20)
    assert changes > 600


@given(st.sampled_from(ZONES), st.sampled_from(HOURS), st.integers(0, 67 * 525_960))
@example("Pacific/Apia", 4, 22_087_380)
@example("Pacific/Kwajalein", 12, 12_432_300)
@settings(max_examples=500)
def test_instant_lies_within_the_date_it_belongs_to(zone: str, hour: int, minutes: int) -> None:
    rule, instant = DayRule(zone, hour), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    day = rule.date_of(instant)
    assert rule.start_of(day) <= instant < rule.start_of(day + ONE_DAY)
    assert rule.date_of(instant + HALF_HOUR) >= day
    assert day <= latest_date(instant) or instant.year < 1995


@pytest.mark.parametrize(
    ("zone", "new", "chosen_at", "begins", "holds_from", "bridged"),
    [
        # West: the day is longer, and so is none of the next.
        ("Europe/Paris", "America/New_York", "2026-05-01T10:00:00Z", "2026-05-02T04:00:00Z", "2026-05-02", []),
        ("Pacific/Kiritimati", "Pacific/Niue", "2026-05-01T00:00:00Z", "2026-05-02T11:00:00Z", "2026-05-02", []),
        # East: the next day is cut short; with less than half a day left of it, it is skipped.
        ("Europe/Paris", "Asia/Tokyo", "2026-05-01T10:00:00Z", "2026-05-01T22:00:00Z", "2026-05-02", ["2026-05-02"]),
        (
            "America/New_York",
            "Asia/Tokyo",
            "2026-05-01T10:00:00Z",
            "2026-05-02T15:00:00Z",
            "2026-05-03",
            ["2026-05-02"],
        ),
        (
            "Pacific/Niue",
            "Pacific/Kiritimati",
            "2026-05-01T12:00:00Z",
            "2026-05-02T11:00:00Z",
            "2026-05-03",
            ["2026-05-02", "2026-05-03"],
        ),
    ],
)
def test_change_of_zone_holds_from_the_next_day_on(
    zone: str, new: str, chosen_at: str, begins: str, holds_from: str, bridged: list[str]
) -> None:
    before = Days(DayRule(zone))
    today = before.date_of(at(chosen_at))
    change = before.changed_to(DayRule(new), at(chosen_at))
    assert clock.iso(change.days.end_of(today) + ONE_SECOND) == begins
    assert change.days.date_of(at(begins) - ONE_SECOND) == today
    assert change.days.date_of(at(begins)).isoformat() == change.holds_from.isoformat() == holds_from
    assert [day.isoformat() for day in change.bridged] == bridged
    assert change.days.rule_at(at(chosen_at)).timezone == zone
    assert change.days.rule_at(at(begins)).timezone == new


def test_last_choice_of_a_day_wins_and_returning_changes_nothing() -> None:
    paris, noon = Days(DayRule("Europe/Paris")), at("2026-05-01T10:00:00Z")
    tokyo = paris.changed_to(DayRule("Asia/Tokyo"), noon).days
    later = tokyo.changed_to(DayRule("America/New_York"), noon + HALF_HOUR)
    assert later == paris.changed_to(DayRule("America/New_York"), noon)
    back = tokyo.changed_to(DayRule("Europe/Paris"), noon + HALF_HOUR)
    assert back.bridged == ()
    assert [back.days.date_of(noon + n * HALF_HOUR) for n in range(200)] == [
        paris.date_of(noon + n * HALF_HOUR) for n in range(200)
    ]


def test_day_start_changes_as_the_zone_does() -> None:
    change = Days(DayRule("UTC")).changed_to(DayRule("UTC", 4), at("2026-05-01T10:00:00Z"))
    assert clock.iso(change.days.end_of(date(2026, 5, 1))) == "2026-05-02T03:59:59Z"
    back = change.days.changed_to(DayRule("UTC", 0), at("2026-05-03T10:00:00Z"))
    assert clock.iso(back.days.end_of(date(2026, 5, 3))) == "2026-05-04T03:59:59Z"
    assert [day.isoformat() for day in back.bridged] == ["2026-05-04"]


# What a traveller does: wait so many minutes, then perhaps choose another zone and hour.
rules = st.builds(DayRule, st.sampled_from(ZONES), st.integers(0, 12))
journeys = st.lists(st.tuples(st.integers(1, 2000), st.none() | rules), min_size=5, max_size=40)
starts = st.integers(0, 37 * 525_960).map(lambda minutes: datetime(1993, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


def travelled(
    start: datetime, first: DayRule, journey: list[tuple[int, DayRule | None]]
) -> Iterator[tuple[datetime, Days]]:
    """Yield each moment of a journey, a quarter of an hour apart, with the days as they are told then."""
    days, now = Days(first), start.replace(second=0, microsecond=0)
    for minutes, rule in journey:
        for _ in range(0, minutes, 15):
            yield now, days
            now += timedelta(minutes=15)
        if rule is not None:
            days = days.changed_to(rule, now).days
        yield now, days


@given(starts, rules, journeys)
def test_travellers_date_never_goes_back_and_none_is_a_moment_long(
    start: datetime, first: DayRule, journey: list[tuple[int, DayRule | None]]
) -> None:
    moments = [(now, days.date_of(now)) for now, days in travelled(start, first, journey)]
    assert all(one <= two for (_, one), (_, two) in pairwise(moments))
    begun = [now for (_, one), (now, two) in pairwise(moments) if one != two]
    # A quarter of an hour is what the walk can see; a clock change may take two hours of the shortest day.
    assert all(two - one >= SHORTEST - timedelta(hours=2, minutes=15) for one, two in pairwise(begun))


@given(starts, rules, journeys)
def test_end_of_today_is_where_the_next_date_begins(
    start: datetime, first: DayRule, journey: list[tuple[int, DayRule | None]]
) -> None:
    for now, days in list(travelled(start, first, journey))[::37]:
        today = days.date_of(now)
        end = days.end_of(today)
        assert now.replace(microsecond=0) <= end
        assert days.date_of(end) == today < days.date_of(end + ONE_SECOND)
