"""Compiled criteria: what they mean, how far the way is, and how they judge a badge that is already held."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.services.gamification.backfill import Deed
from rebootcamp.services.gamification.criteria import (
    Criterion,
    Situation,
    days_of,
    first_met,
    measures_of,
    readings_of,
    still_holds,
    watched,
)
from rebootcamp.services.gamification.measures import MeasureIndex, tally
from rebootcamp.services.gamification.rules import compile_rule
from tests.factories.rules import COMPLETED, Seen, criteria, days, deeds, naively_holds

DAY = date(2026, 5, 1)
NOTHING = {"points": 0, "xp": 0, "level": 1, "daily": 0, "perfect_quiz": 0}
figures = st.fixed_dictionaries({name: st.sampled_from([0, 1, 2, 49, 50]) for name in NOTHING})
holdings = st.sets(st.sampled_from(["first", "gift"]))


def seen_by(rule: Criterion, seen: Seen) -> Situation:
    index = MeasureIndex(dict.fromkeys(measures_of(rule), 0))
    counters: dict[str, Any] = {}
    for deed in seen.deeds:
        counters, _ = tally(counters, deed.type, deed.payload, deed.local_date, index, 0)
    return Situation(counters=counters, held=seen.held, day=seen.day, **seen.totals)


def situation(rule: Criterion, *done: date, day: date = DAY, held: Any = (), **totals: int) -> Situation:
    payload = {"category": "water", "difficulty": "easy", "cadence": "daily", "challenge_id": 1, "points": 5}
    history = [Deed(COMPLETED, {**payload, "co2e_grams": 1}, one) for one in done]
    return seen_by(rule, Seen(history, day, {**NOTHING, **totals}, held))


def rule(**criterion: Any) -> Criterion:
    return compile_rule(criterion)


def within(n: int, at_least: int) -> dict[str, Any]:
    return {"count": {"event": COMPLETED, "at_least": at_least, "within_days": n}}


WEEKLY = {"count": {"event": COMPLETED, "at_least": 2, "per": "week"}}
SPRING = {"between": {"from": "2026-04-30", "to": "2026-05-02"}}


@given(criteria, st.lists(deeds, max_size=15), days, figures, holdings)
def test_a_rule_holds_exactly_as_the_contract_reads(
    criterion: Any, history: list[Deed], day: date, totals: Any, held: set[str]
) -> None:
    compiled, seen = compile_rule(criterion), Seen(history, day, totals, held)
    assert compiled.holds(seen_by(compiled, seen)) == naively_holds(criterion, seen)


@given(criteria, st.lists(deeds, max_size=15), days, figures, holdings)
def test_the_advance_reaches_its_target_exactly_when_the_rule_holds(
    criterion: Any, history: list[Deed], day: date, totals: Any, held: set[str]
) -> None:
    compiled = compile_rule(criterion)
    now = seen_by(compiled, Seen(history, day, totals, held))
    way = compiled.advance(now)
    assert 0 <= way.value <= way.target
    assert (way.value == way.target) == compiled.holds(now)


def test_the_advance_is_the_number_that_is_missing() -> None:
    three = compile_rule({"count": {"event": COMPLETED, "at_least": 3}})
    assert vars(three.advance(situation(three, DAY, DAY))) == {"value": 2, "target": 3}
    both = compile_rule({"all": [{"count": {"event": COMPLETED, "at_least": 3}}, {"badge": "first"}]})
    assert vars(both.advance(situation(both, DAY, DAY, held={"first"}))) == {"value": 2, "target": 3}
    # The number is reached, the other part is not: not quite there.
    assert vars(both.advance(situation(both, DAY, DAY, DAY))) == {"value": 2, "target": 3}
    two = compile_rule({"all": [{"points": {"at_least": 10}}, {"xp": {"at_least": 10}}]})
    assert vars(two.advance(situation(two, points=10, xp=9))) == {"value": 1, "target": 2}
    nearest = compile_rule({"any": [{"points": {"at_least": 10}}, {"xp": {"at_least": 100}}]})
    assert vars(nearest.advance(situation(nearest, points=4, xp=60))) == {"value": 60, "target": 100}


@pytest.mark.parametrize("kind", ["points", "xp", "level"])
def test_totals_are_read_where_they_are(kind: str) -> None:
    compiled = rule(**{kind: {"at_least": 7}})
    for name in NOTHING:
        assert compiled.holds(situation(compiled, **{name: 7})) == (name == kind)
    assert not compiled.holds(situation(compiled, **{kind: 6}))


@pytest.mark.parametrize("kind", ["daily", "perfect_quiz"])
def test_streaks_are_told_apart(kind: str) -> None:
    compiled = rule(streak={"kind": kind, "at_least": 3})
    for name in NOTHING:
        assert compiled.holds(situation(compiled, **{name: 3})) == (name == kind)


def test_a_window_of_dates_includes_both_its_ends() -> None:
    compiled = compile_rule(SPRING)
    offsets = [offset for offset in range(-3, 4) if compiled.holds(situation(compiled, day=DAY + timedelta(offset)))]
    assert offsets == [-1, 0, 1]


@given(criteria, st.lists(deeds, max_size=15), days, figures, holdings)
def test_nothing_is_read_that_is_not_watched(
    criterion: Any, history: list[Deed], day: date, totals: Any, held: set[str]
) -> None:
    """What no signal announces must not change the verdict."""
    compiled = compile_rule(criterion)
    now, signals = seen_by(compiled, Seen(history, day, totals, held)), watched(compiled)
    hidden = {
        "counters": {key: value for key, value in now.counters.items() if key in signals},
        "points": now.points if "points" in signals else -1,
        "xp": now.xp if "xp" in signals else -1,
        "level": now.level if "xp" in signals else -1,
        "daily": now.daily if "streak:daily" in signals else -1,
        "perfect_quiz": -1,
        "held": {code for code in now.held if f"badge:{code}" in signals},
    }
    assert compiled.holds(replace(now, **hidden)) == compiled.holds(now)


def test_whatever_may_hold_without_anything_having_moved_watches_every_deed() -> None:
    assert "day" in watched(compile_rule(SPRING))
    assert "day" in watched(compile_rule({"all": [{"badge": "first"}, {"not": within(7, 1)}]}))
    # A window that only opens with a deed that it counts needs no other.
    assert "day" not in watched(compile_rule({"all": [{"badge": "first"}, within(7, 1)]}))


def test_the_evidence_names_every_number_that_was_seen() -> None:
    compiled = compile_rule({"any": [within(7, 3), {"not": {"points": {"at_least": 50}}}, {"badge": "first"}, SPRING]})
    seen = [vars(reading) for reading in readings_of(compiled, situation(compiled, DAY, points=20))]
    assert seen == [
        {"counter": f"{COMPLETED}|per:day", "value": 1, "target": 3},
        {"counter": "points", "value": 20, "target": 50},
    ]


def test_a_not_is_no_reason_to_lose_a_badge() -> None:
    compiled = compile_rule({"all": [{"points": {"at_least": 1}}, {"not": {"badge": "first"}}]})
    now = situation(compiled, points=1, held={"first"})
    assert not compiled.holds(now)
    assert still_holds(compiled, now, DAY)
    assert not still_holds(compiled, replace(now, points=0), DAY)


def test_what_nobody_can_count_any_more_is_not_held_against_a_holder() -> None:
    compiled = compile_rule(within(30, 3))
    empty = situation(compiled)
    for age, is_kept in ((371, False), (372, True)):
        assert still_holds(compiled, empty, DAY + timedelta(days=age)) is is_kept
    # A plain count is never forgotten.
    plain = compile_rule({"count": {"event": COMPLETED, "at_least": 3}})
    assert not still_holds(plain, situation(plain), DAY + timedelta(days=2000))


def test_a_badge_stays_when_another_window_is_full() -> None:
    compiled = compile_rule(WEEKLY)
    # The first of May 2026 is a Friday.
    there = situation(compiled, DAY, date(2026, 6, 2), date(2026, 6, 3))
    assert not compiled.holds(there)
    assert still_holds(compiled, there, date(2026, 7, 1))
    assert not still_holds(compiled, situation(compiled, DAY, date(2026, 6, 3)), date(2026, 7, 1))
    # The other window may be old; it counts only if it is really full.
    assert not still_holds(compiled, situation(compiled, DAY, day=date(2027, 5, 30)), date(2027, 6, 5))


def test_a_late_deed_may_fill_a_window_that_has_ended_since() -> None:
    compiled = compile_rule(within(7, 3))
    now = situation(compiled, DAY, DAY + timedelta(days=2), DAY + timedelta(days=4))
    met = first_met(compiled, now, is_late=True)
    assert met is not None
    assert (met.day, met.counters) == (DAY + timedelta(days=4), now.counters)
    assert first_met(compiled, now, is_late=False) is None
    apart = situation(compiled, DAY, DAY + timedelta(days=2), DAY + timedelta(days=7))
    assert first_met(compiled, apart, is_late=True) is None
    # Windows of the past were judged when they were filled.
    assert first_met(compiled, replace(now, day=DAY + timedelta(days=20)), is_late=True) is None
    assert first_met(compiled, replace(now, day=DAY + timedelta(days=5)), is_late=False) is not None


def test_days_of_a_rule_are_those_of_all_its_windows() -> None:
    compiled = compile_rule({"all": [within(7, 1), WEEKLY, {"points": {"at_least": 1}}]})
    now = situation(compiled, DAY)
    assert days_of(compiled, now.counters) == [date(2026, 4, 27), DAY]
    assert days_of(compiled, now.counters, date(2026, 4, 27)) == [DAY]
