"""Judging the past: a trial finds what a look at each day of the history finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.services.gamification.backfill import Deed, Trial, Verdict
from rebootcamp.services.gamification.criteria import is_dated, measures_of
from rebootcamp.services.gamification.measures import MeasureIndex, tally
from rebootcamp.services.gamification.progression import Standing, situation_of
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.services.gamification.streaks import Streak
from tests.factories.rules import COMPLETED, FIRST, REVOKED, Seen, criteria, deeds, naively_holds

TODAY = FIRST + timedelta(days=70)
WATER = {"category": "water", "difficulty": "easy", "cadence": "daily", "challenge_id": 1, "points": 20}
WATER |= {"co2e_grams": 0}


def holding(origin: str = "rule", points: int = 10) -> dict[str, Any]:
    return {"origin": origin, "points": points, "tier": "bronze", "rule": 1, "on": FIRST.isoformat()}


def standing(held: Sequence[str] = (), **fields: Any) -> Standing:
    streak = Streak(0, fields.pop("daily", 0), None)
    return Standing(badge_points=10 * len(held), held={code: holding() for code in held}, streak=streak, **fields)


def trial_of(criterion: Mapping[str, Any]) -> Trial:
    rule = compile_rule(criterion)
    return Trial(rule, frozenset(m for m in measures_of(rule) if not m.is_standard))


def kept(history: Sequence[Deed], trial: Trial) -> dict[str, Any]:
    """Return the counters as the engine keeps them, event by event."""
    index, counters = MeasureIndex(dict.fromkeys(measures_of(trial.rule), 0)), dict[str, Any]()
    for deed in history:
        counters, _ = tally(counters, deed.type, deed.payload, deed.local_date, index, 0)
    return counters


def judge(trial: Trial, who: Standing, history: Sequence[Deed], code: str = "new") -> Verdict:
    read = [deed for deed in history if deed.type in trial.types]
    undone = [deed for deed in history if deed.type in trial.undoing]
    return trial.judge(code, who, iter(read), iter(undone), TODAY)


def naive_day(criterion: Mapping[str, Any], who: Standing, valid: Sequence[Deed]) -> date | None:
    """Try the rule after each deed, with the totals of today."""
    now = situation_of(who, TODAY)
    totals = {"points": now.points, "xp": now.xp, "level": now.level, "daily": now.daily, "perfect_quiz": 0}
    for number, deed in enumerate(valid, start=1):
        done = valid[:number]
        later = sorted(one.local_date for one in done if one.local_date > deed.local_date)
        for day in (deed.local_date, *later):
            if naively_holds(criterion, Seen(done, day, totals, who.held)):
                return day
    return None


def with_undone(valid: list[Deed], taken: list[Deed], random: Random) -> list[Deed]:
    """Return a history in which some deeds were done and later taken back."""
    history = list(valid)
    for deed in taken:
        place = random.randint(0, len(history))
        history.insert(place, deed)
        history.insert(random.randint(place + 1, len(history)), Deed(REVOKED, deed.payload, deed.local_date))
    return history


standings = st.builds(
    standing,
    st.lists(st.sampled_from(["first", "gift"]), unique=True),
    challenge_points=st.sampled_from([0, 1, 60]),
    xp_total=st.sampled_from([0, 2, 150]),
    daily=st.integers(0, 4),
)


@given(
    criteria, st.lists(deeds, max_size=12), st.lists(deeds, max_size=3), standings, st.randoms(use_true_random=False)
)
def test_a_trial_finds_what_a_look_at_every_deed_finds(
    criterion: Any, valid: list[Deed], taken: list[Deed], who: Standing, random: Random
) -> None:
    trial = trial_of(criterion)
    history = with_undone(sorted(valid, key=lambda deed: deed.local_date), taken, random)
    left = [deed for deed in history if deed.type == COMPLETED]
    for deed in taken:
        left.remove(deed)
    now = situation_of(who, TODAY)
    totals = {"points": now.points, "xp": now.xp, "level": now.level, "daily": now.daily, "perfect_quiz": 0}
    who = Standing(**{**vars(who), "counters": kept(history, Trial(compile_rule({"points": {"at_least": 1}})))})
    verdict = judge(trial, who, history)
    if is_dated(trial.rule):
        expected = naive_day(criterion, who, left)
        assert (verdict.met and verdict.met.day) == expected
    else:
        expected = TODAY if naively_holds(criterion, Seen(left, TODAY, totals, who.held)) else None
        assert (verdict.met and verdict.met.day) == expected
    assert verdict.change == (None if expected is None else "gain")
    assert verdict.counters == kept(history, trial)


def test_counters_that_are_not_missing_stay_as_they_are() -> None:
    who = standing(counters={"other": 3, COMPLETED: 5})
    trial = trial_of({"count": {"event": COMPLETED, "at_least": 2, "per": "week"}})
    assert judge(Trial(trial.rule), who, [Deed(COMPLETED, WATER, FIRST)]).counters == who.counters
    made = judge(trial, who, [Deed(COMPLETED, WATER, FIRST)]).counters
    assert made == {**who.counters, f"{COMPLETED}|per:week": {"2025-11-17": 1}}
    # What was left over from an earlier rule is made anew.
    stale = standing(counters={f"{COMPLETED}|per:week": {"2024-01-01": 9}})
    assert judge(trial, stale, []).counters == {}


def test_a_window_met_long_ago_counts_though_its_parts_are_forgotten() -> None:
    trial = trial_of({"count": {"event": COMPLETED, "at_least": 2, "within_days": 7}})
    history = [Deed(COMPLETED, WATER, FIRST + timedelta(days=number)) for number in (0, 1, 900)]
    verdict = judge(trial, standing(), history)
    assert verdict.met is not None
    assert verdict.met.day == FIRST + timedelta(days=1)
    # The evidence is what was seen then, not what is left of it.
    assert trial.rule.advance(verdict.met).value == 2
    assert verdict.counters == {f"{COMPLETED}|per:day": {(FIRST + timedelta(days=900)).isoformat(): 1}}


def test_what_is_counted_after_the_window_of_dates_does_not_count_for_it() -> None:
    window = {"between": {"from": "2025-11-20", "to": "2025-11-21"}}
    trial = trial_of({"all": [{"count": {"event": COMPLETED, "where": {"category": "water"}, "at_least": 1}}, window]})
    energy = {**WATER, "category": "energy"}
    history = [Deed(COMPLETED, energy, FIRST), Deed(COMPLETED, WATER, FIRST + timedelta(days=9))]
    assert judge(trial, standing(counters=kept(history, trial)), history).met is None


@pytest.mark.parametrize(
    ("origin", "points", "change"), [("rule", 40, "lose"), ("rule", 60, "keep"), ("manual", 40, "keep")]
)
def test_a_holder_is_judged_without_the_points_of_the_badge(origin: str, points: int, change: str) -> None:
    held = {"new": holding(origin, 30)}
    who = Standing(challenge_points=points, badge_points=30, xp_total=points + 30, held=held)
    assert judge(trial_of({"points": {"at_least": 50}}), who, []).change == change


def test_a_not_takes_nothing_from_a_holder_and_bars_others() -> None:
    trial = trial_of({"all": [{"points": {"at_least": 1}}, {"not": {"badge": "first"}}]})
    assert judge(trial, standing(["first"], challenge_points=5), []).change is None
    assert judge(trial, standing(["first", "new"], challenge_points=5), []).change == "keep"
    dated = trial_of({"all": [{"between": {"from": "2025-01-01", "to": "2026-01-01"}}, {"not": {"badge": "first"}}]})
    assert judge(dated, standing(["first"]), [Deed(COMPLETED, WATER, FIRST)]).change is None
    assert judge(dated, standing(["first", "new"]), [Deed(COMPLETED, WATER, FIRST)]).change == "keep"


def test_a_badge_that_was_taken_by_hand_is_not_given_back() -> None:
    who = standing(challenge_points=5, counters={"barred|badge=new": 1})
    assert judge(trial_of({"points": {"at_least": 1}}), who, []).change is None


def test_a_badge_that_expired_is_not_given_back_for_what_was_done_before() -> None:
    who = standing(challenge_points=5, counters={"expired|badge=new": 1})
    assert judge(trial_of({"points": {"at_least": 1}}), who, []).change is None
    assert judge(trial_of({"points": {"at_least": 1}}), who, [], "other").change == "gain"


def test_a_late_deed_fills_a_window_that_has_ended_since() -> None:
    trial = trial_of({"count": {"event": COMPLETED, "at_least": 3, "within_days": 7}})
    history = [Deed(COMPLETED, WATER, FIRST + timedelta(days=number)) for number in (3, 5, 40, 0)]
    met = judge(trial, standing(), history).met
    assert met is not None
    assert met.day == FIRST + timedelta(days=5)


def test_only_what_matters_is_read() -> None:
    assert trial_of({"points": {"at_least": 1}}).types == frozenset()
    assert trial_of({"count": {"event": COMPLETED, "at_least": 3}}).types == frozenset()
    distinct = trial_of({"count": {"event": COMPLETED, "at_least": 3, "distinct": "challenge_id"}})
    assert (distinct.types, distinct.undoing) == ({COMPLETED, REVOKED}, frozenset())
    dated = trial_of({"count": {"event": "quiz.completed", "at_least": 3, "per": "week"}})
    assert (dated.types, dated.undoing) == ({"quiz.completed"}, frozenset())
    window = trial_of({"between": {"from": "2025-01-01", "to": "2026-01-01"}})
    assert {COMPLETED, REVOKED, "quiz.completed"} <= window.types
    assert REVOKED in window.undoing
    assert COMPLETED not in window.undoing
