"""Periods in which a challenge counts once."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.challenges import CADENCES, next_start, period_of

dates = st.dates(date(1990, 1, 1), date(2090, 1, 1))


@pytest.mark.parametrize(
    ("cadence", "day", "period"),
    [
        ("once", "2026-05-01", "once"),
        ("event", "2026-05-01", "event"),
        ("daily", "2026-05-01", "2026-05-01"),
        ("weekly", "2024-12-29", "2024-W52"),
        ("weekly", "2024-12-30", "2025-W01"),
        ("weekly", "2026-12-31", "2026-W53"),
        ("weekly", "2027-01-03", "2026-W53"),
        ("weekly", "2027-01-04", "2027-W01"),
        ("monthly", "2026-02-28", "2026-02"),
        ("monthly", "2026-12-31", "2026-12"),
        ("seasonal", "2026-11-30", "2026-autumn"),
        ("seasonal", "2026-12-01", "2026-winter"),
        ("seasonal", "2027-01-31", "2026-winter"),
        ("seasonal", "2027-02-28", "2026-winter"),
        ("seasonal", "2027-03-01", "2027-spring"),
        ("seasonal", "2028-02-29", "2027-winter"),
        ("seasonal", "2027-06-01", "2027-summer"),
        ("seasonal", "2027-09-01", "2027-autumn"),
    ],
)
def test_period_of_a_day(cadence: str, day: str, period: str) -> None:
    assert period_of(cadence, date.fromisoformat(day)) == period


@given(st.sampled_from(CADENCES), dates, st.integers(0, 400))
def test_period_once_left_never_comes_back(cadence: str, day: date, distance: int) -> None:
    periods = [period_of(cadence, day + timedelta(days=n)) for n in range(distance + 1)]
    changes = sum(one != two for one, two in pairwise(periods))
    assert len(set(periods)) == changes + 1


@given(dates)
def test_each_cadence_changes_exactly_at_its_boundary(day: date) -> None:
    tomorrow = day + timedelta(days=1)

    def turns(cadence: str) -> bool:
        return period_of(cadence, day) != period_of(cadence, tomorrow)

    assert turns("daily")
    assert turns("weekly") == (tomorrow.weekday() == 0)
    assert turns("monthly") == (tomorrow.day == 1)
    assert turns("seasonal") == (tomorrow.day == 1 and tomorrow.month in (3, 6, 9, 12))
    assert not turns("once")


@given(st.sampled_from(["daily", "weekly", "monthly", "seasonal"]), dates)
def test_the_next_period_begins_where_the_period_changes(cadence: str, day: date) -> None:
    start = next_start(cadence, day)
    assert start is not None
    assert period_of(cadence, start - timedelta(days=1)) == period_of(cadence, day)
    assert period_of(cadence, start) != period_of(cadence, day)
    assert start > day


def test_what_does_not_repeat_has_no_next_period() -> None:
    assert {cadence for cadence in CADENCES if next_start(cadence, date(2026, 5, 1)) is None} == {"once", "event"}
    assert next_start("seasonal", date(2026, 12, 1)) == date(2027, 3, 1)
