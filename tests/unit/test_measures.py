"""Running counters: whatever is counted, in whatever order, they say what a look at the whole history would."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.services.gamification.backfill import Deed
from rebootcamp.services.gamification.criteria import Counted, measures_of
from rebootcamp.services.gamification.measures import (
    KEPT,
    Measure,
    MeasureIndex,
    is_standard_key,
    packed,
    start_of,
    tally,
)
from rebootcamp.services.gamification.rules import compile_rule
from tests.factories.rules import COMPLETED, REVOKED, counts, days, deeds, naive_value, payloads, sums

DAY = date(2026, 5, 1)
ENERGY = {"category": "energy", "difficulty": "easy", "cadence": "daily", "challenge_id": 1, "points": 20}
ENERGY |= {"co2e_grams": 100}


def counted(done: Iterable[Deed], *measures: Measure, measured: int = 0, since: int = 0) -> dict[str, Any]:
    """Return the counters after some deeds."""
    index = MeasureIndex(dict.fromkeys(measures, since))
    counters: dict[str, Any] = {}
    for deed in done:
        counters, _ = tally(counters, deed.type, deed.payload, deed.local_date, index, measured)
    return counters


def done(*numbers: int, kind: str = COMPLETED, **fields: Any) -> list[Deed]:
    """Return deeds on these days after the first of May."""
    return [Deed(kind, {**ENERGY, **fields}, DAY + timedelta(days=number)) for number in numbers]


@given(st.one_of(counts, sums), st.lists(deeds, max_size=25), days)
def test_a_counter_says_what_the_whole_history_says(criterion: Any, history: list[Deed], day: date) -> None:
    rule = compile_rule(criterion)
    assert isinstance(rule, Counted)
    counters = counted(history, rule.measure)
    ((_, body),) = criterion.items()
    assert rule.measure.value(counters, day, rule.within_days) == naive_value(body, history, day)


@given(st.lists(st.one_of(counts, sums), max_size=4), st.lists(deeds, max_size=20), st.randoms(use_true_random=False))
def test_undo_leaves_exactly_what_was_not_undone(rules: Any, history: list[Deed], random: Random) -> None:
    measures = {measure for rule in rules for measure in measures_of(compile_rule(rule))}
    taken = [deed for deed in history if random.random() < 0.5]
    left = list(history)
    for deed in taken:
        left.remove(deed)
    random.shuffle(taken)
    undone = [Deed(REVOKED, deed.payload, deed.local_date) for deed in taken]
    assert counted([*history, *undone], *measures) == counted(left, *measures)


@given(st.lists(deeds, max_size=20), st.lists(st.one_of(counts, sums), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_deeds_does_not_matter(history: list[Deed], rules: Any, random: Random) -> None:
    measures = {measure for rule in rules for measure in measures_of(compile_rule(rule))}
    shuffled = list(history)
    random.shuffle(shuffled)
    assert counted(history, *measures) == counted(shuffled, *measures)


@pytest.mark.parametrize(
    ("grain", "inside", "outside"),
    [
        ("day", ["2026-05-01"], ["2026-04-30", "2026-05-02"]),
        # ISO 8601: the last week of 2026 ends on Sunday, 3 January 2027.
        ("week", ["2026-12-28", "2026-12-31", "2027-01-01", "2027-01-03"], ["2026-12-27", "2027-01-04"]),
        ("month", ["2028-02-01", "2028-02-29"], ["2028-01-31", "2028-03-01"]),
        # Meteorological winter: December to February.
        ("season", ["2026-12-01", "2026-12-31", "2027-01-01", "2027-02-28"], ["2026-11-30", "2027-03-01"]),
        ("season", ["2026-09-01", "2026-11-30"], ["2026-08-31", "2026-12-01"]),
        ("year", ["2026-01-01", "2026-12-31"], ["2025-12-31", "2027-01-01"]),
    ],
)
def test_periods_begin_and_end_where_the_calendar_says(grain: str, inside: list[str], outside: list[str]) -> None:
    starts = {start_of(grain, date.fromisoformat(day)) for day in inside}
    assert starts == {date.fromisoformat(inside[0])}
    assert not starts & {start_of(grain, date.fromisoformat(day)) for day in outside}
    measure = Measure(COMPLETED, grain=grain)
    counters = counted([Deed(COMPLETED, ENERGY, date.fromisoformat(day)) for day in inside + outside], measure)
    assert {measure.value(counters, date.fromisoformat(day)) for day in inside} == {len(inside)}


def test_a_window_of_days_includes_its_first_and_its_last_day() -> None:
    measure = Measure(COMPLETED, grain="day")
    counters = counted(done(-7, -6, 0, 1), measure)
    assert measure.value(counters, DAY, 7) == 2
    assert measure.value(counters, DAY, 8) == 3
    assert measure.value(counters, DAY, 1) == 1
    assert measure.value(counters, DAY + timedelta(days=1), 1) == 1
    assert measure.value(counters, DAY + timedelta(days=2), 1) == 0


def test_different_things_are_counted_in_their_window_only() -> None:
    measure = Measure(COMPLETED, distinct="challenge_id", grain="week")
    monday = Deed(COMPLETED, {**ENERGY, "challenge_id": 7}, date(2026, 5, 4))
    history = [*done(0, challenge_id=1), *done(0, challenge_id=2), *done(0, challenge_id=1), monday]
    counters = counted(history, measure)
    assert measure.value(counters, DAY) == 2
    assert measure.value(counters, monday.local_date) == 1
    once = counted([*history, *done(0, kind=REVOKED, challenge_id=1)], measure)
    assert measure.value(once, DAY) == 2
    twice = counted([*history, *done(0, 0, kind=REVOKED, challenge_id=1)], measure)
    assert measure.value(twice, DAY) == 1


def test_only_deeds_of_the_span_count_both_ends_included() -> None:
    measure = Measure(COMPLETED, amount="points", span=(DAY, DAY + timedelta(days=9)))
    assert counted(done(-1, 10), measure).get(measure.key) is None
    assert counted(done(-1, 0, 9, 10), measure)[measure.key] == 40
    assert measure.key.endswith("|span:2026-05-01..2026-05-10")


def test_parts_are_kept_for_four_hundred_days_and_no_longer() -> None:
    measure = Measure(COMPLETED, grain="day")
    assert len(counted(done(0, KEPT.days), measure)[measure.key]) == 2
    assert list(counted(done(0, KEPT.days + 1), measure)[measure.key]) == ["2027-06-06"]
    years = counted(done(*range(1500)), measure)
    assert len(years[measure.key]) == KEPT.days + 1
    assert len(counted(done(KEPT.days, 0), measure)[measure.key]) == 2
    assert list(counted(done(KEPT.days + 1, 0), measure)[measure.key]) == ["2027-06-06"]
    # What comes too late to be known is not counted.
    assert counted([*done(*range(1500)), *done(0)], measure)[measure.key] == years[measure.key]


def test_different_days_are_counted_for_ever_in_bounded_room() -> None:
    measure = Measure(COMPLETED, distinct="local_date")
    years = counted(done(*range(3650), *range(3600, 3650)), measure)
    assert measure.value(years, DAY) == 3650
    assert len(packed(years)[measure.key]) < 5_000
    undone = counted([*done(*range(3650)), *done(3649, 3600, kind=REVOKED)], measure)
    assert measure.value(undone, DAY) == 3648
    # A day that is no longer told apart is neither lost nor counted twice.
    late = [*done(*range(1500)), *done(0, kind=REVOKED), *done(0, 1500 - KEPT.days - 2)]
    assert measure.value(counted(late, measure), DAY) == 1500
    assert measure.value(counted([*done(0, 900), *done(900, kind=REVOKED), *done(0)], measure), DAY) == 1
    assert measure.value(counted(done(0, 900, 10, 1800), measure), DAY) == 3


@given(st.lists(st.integers(0, 1200), max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_folded_days_say_what_all_days_would(offsets: list[int], taken: list[int]) -> None:
    measure, history = Measure(COMPLETED, distinct="local_date"), sorted(offsets)
    recent = [day for day in history if day >= history[-1] - KEPT.days] if history else []
    undone = [recent.pop(index % len(recent)) for index in taken if recent]
    left = list(history)
    for day in undone:
        left.remove(day)
    counters = counted([*done(*history), *done(*undone, kind=REVOKED)], measure)
    assert measure.value(counters, DAY) == len(set(left))
    assert measure.value(packed(counters), DAY) == len(set(left))


@pytest.mark.parametrize(("grain", "span"), [("week", 366), ("month", 366), ("season", 366), ("year", 365)])
def test_a_window_of_the_longest_kind_is_always_known_in_full(grain: str, span: int) -> None:
    day = date(2028, 12, 31)
    measure = Measure(COMPLETED, grain=grain)
    assert start_of(grain, day) >= day - KEPT
    assert not measure.may_have_forgotten(day, None, day)
    assert not Measure(COMPLETED, grain="day").may_have_forgotten(day, span, day)


@given(st.lists(st.one_of(counts, sums), max_size=5), st.lists(deeds, max_size=15), deeds, days)
def test_stored_counters_say_and_become_what_they_would_in_memory(
    rules: Any, history: list[Deed], deed: Deed, day: date
) -> None:
    compiled = [rule for rule in map(compile_rule, rules) if isinstance(rule, Counted)]
    index = MeasureIndex({rule.measure: 0 for rule in compiled})
    counters = counted(history, *index.since)
    stored = packed(counters)
    assert all(isinstance(counter, int | str) for counter in stored.values())
    assert packed(stored) == stored
    for rule in compiled:
        said = rule.measure.value(stored, day, rule.within_days)
        assert said == rule.measure.value(counters, day, rule.within_days)
        assert rule.measure.days(stored) == rule.measure.days(counters)
    both = [tally(one, deed.type, deed.payload, deed.local_date, index, 0)[0] for one in (counters, stored)]
    assert packed(both[0]) == packed(both[1])


def test_what_was_forgotten_cannot_be_taken_back() -> None:
    measure = Measure(COMPLETED, grain="day")
    newest = KEPT.days + 1
    counters = counted([*done(0, newest), *done(newest, kind=REVOKED), *done(0, kind=REVOKED)], measure)
    assert counters == {}


@pytest.mark.parametrize(("age", "is_forgotten"), [(KEPT.days, False), (KEPT.days + 1, True)])
def test_only_windows_older_than_what_is_kept_may_be_forgotten(age: int, is_forgotten: bool) -> None:
    today = DAY + timedelta(days=age)
    assert Measure(COMPLETED, grain="day").may_have_forgotten(DAY, 1, today) is is_forgotten
    assert not Measure(COMPLETED).may_have_forgotten(DAY, None, today)
    assert not Measure(COMPLETED, distinct="challenge_id").may_have_forgotten(DAY, None, today)


def test_days_are_those_of_the_parts() -> None:
    measure = Measure(COMPLETED, grain="day", distinct="challenge_id")
    counters = counted([*done(3, 1), *done(3, challenge_id=2)], measure)
    assert measure.days(counters) == [DAY + timedelta(days=1), DAY + timedelta(days=3)]
    assert measure.days(counters, DAY + timedelta(days=1)) == [DAY + timedelta(days=3)]
    assert measure.days(counters, DAY + timedelta(days=3)) == []
    assert measure.days({}) == Measure(COMPLETED).days({COMPLETED: 3}) == []


index_rules = st.lists(st.one_of(counts, sums), max_size=12)


@given(index_rules, payloads, days)
def test_a_deed_touches_exactly_the_counters_that_it_concerns(rules: Any, payload: Any, day: date) -> None:
    measures = {measure for rule in rules for measure in measures_of(compile_rule(rule))}
    index = MeasureIndex(dict.fromkeys(measures, 0))
    touched = list(index.touched(COMPLETED, payload, day, 0))
    assert len(touched) == len(set(touched))
    assert set(touched) == {m for m in measures if not m.is_standard and m.matches(payload, day)}
    assert list(index.touched("workshop.attended", {"workshop_id": 1}, day, 0)) == []


def test_a_counter_is_not_begun_in_the_middle_of_a_history() -> None:
    measure = Measure(COMPLETED, grain="day")
    assert measure.key not in counted(done(0), measure, measured=4, since=5)
    assert measure.key in counted(done(0), measure, measured=5, since=5)
    index = MeasureIndex({measure: 5})
    assert (index.missing(4), index.missing(5)) == ([measure], [])


@given(index_rules)
def test_different_measures_have_different_keys_and_know_whether_they_are_standard(rules: Any) -> None:
    measures = {measure for rule in rules for measure in measures_of(compile_rule(rule))}
    assert len({measure.key for measure in measures}) == len(measures)
    for measure in measures:
        assert is_standard_key(measure.key) == measure.is_standard
        assert (measure.key in counted(done(0, 1))) == (measure.is_standard and measure.matches(ENERGY, DAY))
