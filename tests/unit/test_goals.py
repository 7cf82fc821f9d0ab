"""Timed challenges, pure: any story, replayed, gives the same standing; a goal is done once a period, in its window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.challenges import CADENCES, CATEGORIES, days_of, period_of
from rebootcamp.core.errors import InvalidField
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.services.gamification.goals import GRAIN_OF, Goal, compile_goal
from rebootcamp.services.gamification.measures import end_of, start_of
from rebootcamp.services.gamification.progression import Standing
from rebootcamp.services.gamification.replay import replay
from rebootcamp.services.gamification.rulebook import RuleBook, rule_book
from rebootcamp.services.gamification.rules import normalise
from tests.factories.events import DAY, GoalLine, revoked, rule

THREE = {"count": {"event": "challenge.completed", "at_least": 3}}
WATER = {"count": {"event": "challenge.completed", "where": {"category": "water"}, "at_least": 1}}
ANYTHING = {"count": {"event": "challenge.completed", "at_least": 1}}


def goal(number: int, cadence: str, criteria: dict[str, Any], **fields: Any) -> Goal:
    bounds = fields.get("opens_on"), fields.get("closes_on")
    compiled = compile_goal(normalise(criteria), cadence, *bounds, is_team=False)
    texts = {"en": f"Goal {number}", "fr": f"But {number}"}
    return Goal(number, 1, f"goal-{number}", texts, "community", "easy", cadence, 7, compiled, **fields)


OPEN, CLOSE = DAY + timedelta(days=3), DAY + timedelta(days=12)
GOALS = [
    goal(101, "weekly", THREE),
    goal(102, "daily", {"sum": {"event": "challenge.completed", "field": "points", "at_least": 30}}),
    goal(103, "event", {"all": [WATER, {"points": {"at_least": 50}}]}, opens_on=OPEN, closes_on=CLOSE),
    goal(104, "monthly", {"all": [{"badge": "first_step"}, THREE]}, opens_on=OPEN),
    goal(105, "seasonal", {"any": [WATER, {"count": {**THREE["count"], "at_least": 5, "distinct": "category"}}]}),
]
RULES = rule_book(
    [
        rule("first_step", ANYTHING),
        rule("eager", {"count": {"event": "challenge.completed", "where": {"challenge_id": 101}, "at_least": 2}}),
        rule("rich", {"points": {"at_least": 120}}, points=25),
    ],
    goals=GOALS,
)
# What rests on deeds alone; a condition may be fulfilled by a deed on which nothing of its goal rests.
UNCONDITIONED = rule_book(RULES.badges.values(), goals=[one for one in GOALS if not one.has_conditions])
Action = Callable[[GoalLine], object]

deeds = st.builds(
    lambda challenge, day, points: (
        lambda line: line.complete(
            challenge, DAY + timedelta(days=day), points=points, category=CATEGORIES[challenge % 8]
        )
    ),
    st.integers(1, 6),
    st.integers(0, 20),
    st.integers(0, 30),
)
undone = st.builds(lambda index: lambda line: line.valid and line.revoke(index % len(line.valid)), st.integers(0, 50))
barred = st.builds(lambda index: lambda line: line.take_goal(index), st.integers(0, 50))
honest = st.lists(st.one_of(deeds, deeds, undone), max_size=25)
any_story = st.lists(st.one_of(deeds, deeds, deeds, undone, barred), max_size=30)


def told(story: list[Action], rules: RuleBook = RULES) -> GoalLine:
    line = GoalLine(rules)
    for act in story:
        act(line)
    return line


def balance(line: GoalLine) -> Counter[tuple[int, str]]:
    """Return how often each goal is done in each period, while checking that it never is twice."""
    done: Counter[tuple[int, str]] = Counter()
    for event in line.events:
        fact = event.fact
        if isinstance(fact, ChallengeCompleted | ChallengeRevoked) and fact.is_goal:
            done[fact.challenge_id, fact.period] += 1 if isinstance(fact, ChallengeCompleted) else -1
            assert done[fact.challenge_id, fact.period] in (0, 1)
    return +done


@given(any_story)
def test_replay_from_nothing_gives_the_state_that_was_kept(story: list[Action]) -> None:
    line = told(story)
    assert replay(line.events, RULES) == line.standing


@given(any_story)
def test_a_goal_is_done_once_a_period_and_only_in_its_window(story: list[Action]) -> None:
    line = told(story)
    balance(line)
    by_id = {one.challenge_id: one for one in GOALS}
    for event in line.events:
        if isinstance(event.fact, ChallengeCompleted) and event.fact.is_goal:
            one = by_id[event.fact.challenge_id]
            assert one.window(event.local_date) is not None
            assert one.period(event.local_date) == event.fact.period


@given(honest)
def test_what_is_done_is_exactly_what_the_remaining_deeds_support(story: list[Action]) -> None:
    """Without totals and badges, the deeds alone decide, whatever was done and undone before."""
    line = told(story)
    weeks: Counter[str] = Counter(period_of("weekly", day) for _, day in line.valid)
    days: Counter[str] = Counter()
    for fact, day in line.valid:
        days[period_of("daily", day)] += fact.points
    done = balance(line)
    assert {period for number, period in done if number == 101} == {week for week, n in weeks.items() if n >= 3}
    assert {period for number, period in done if number == 102} == {day for day, points in days.items() if points >= 30}


@given(honest, deeds)
def test_undo_after_do_is_neutral(story: list[Action], deed: Action) -> None:
    line = told(story, UNCONDITIONED)
    before = line.standing
    deed(line)
    line.revoke(-1)
    assert line.standing == before


@given(honest)
def test_revoking_everything_leaves_nothing(story: list[Action]) -> None:
    line = told(story)
    while line.valid:
        line.revoke(0)
    assert balance(line) == Counter()
    assert line.standing == Standing()


def test_its_own_completion_does_not_support_a_goal() -> None:
    line = GoalLine(RULES)
    for number in (1, 2, 4):
        line.complete(number, DAY)
    assert (101, "2026-W18") in balance(line)
    line.revoke(0)
    assert (101, "2026-W18") not in balance(line)


def test_what_was_taken_by_hand_stays_away_for_its_period_only() -> None:
    line = GoalLine(RULES)
    for number in (1, 2, 4):
        line.complete(number, DAY)
    fact, day = next(item for item in line.goals if item[0].challenge_id == 101)
    line.goals.remove((fact, day))
    line.record_dated(revoked(fact), day)
    line.complete(5, DAY)
    assert (101, "2026-W18") not in balance(line)
    for number in (1, 2, 4):
        line.complete(number, DAY + timedelta(days=7))
    assert (101, "2026-W19") in balance(line)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(["daily", "weekly", "monthly", "seasonal"]))
def test_periods_are_whole_and_can_be_read_back(day: date, cadence: str) -> None:
    grain = GRAIN_OF[cadence] or ""
    period, first, last = period_of(cadence, day), start_of(grain, day), end_of(grain, day)
    assert first <= day <= last
    assert period_of(cadence, first) == period_of(cadence, last) == period
    assert period_of(cadence, last + timedelta(days=1)) != period != period_of(cadence, first - timedelta(days=1))
    assert days_of(cadence, period) == (first, last)


@pytest.mark.parametrize("period", ["", "2026", "2026-W54", "2026-13", "2026-02-30", "2026-fall", "event", "9999-W99"])
def test_a_text_that_is_no_period_has_no_day(period: str) -> None:
    for cadence in CADENCES:
        with pytest.raises(ValueError):  # noqa: PT011
            days_of(cadence, period)


@pytest.mark.parametrize(
    ("criteria", "pointer"),
    [
        ({"count": {**THREE["count"], "within_days": 3}}, "/criteria/count/within_days"),
        ({"all": [{"count": {**THREE["count"], "per": "week"}}]}, "/criteria/all/0/count/per"),
        ({"points": {"at_least": 3}}, "/criteria"),
        ({"not": THREE}, "/criteria"),
        ({"all": [{"badge": "x"}, {"not": THREE}]}, "/criteria"),
        ({"any": [THREE, {"badge": "x"}]}, "/criteria"),
        ({"all": [THREE, {"any": [WATER, {"level": {"at_least": 2}}]}]}, "/criteria"),
    ],
)
def test_criteria_that_no_window_can_judge_are_refused(criteria: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidField) as refused:
        compile_goal(normalise(criteria), "weekly", None, None, is_team=False)
    assert refused.value.pointer == pointer


def test_a_team_shares_one_number() -> None:
    with pytest.raises(InvalidField):
        compile_goal({"all": [THREE]}, "weekly", DAY, None, is_team=True)
    with pytest.raises(InvalidField):
        compile_goal({"count": {**THREE["count"], "distinct": "category"}}, "weekly", DAY, None, is_team=True)
    assert compile_goal(THREE, "weekly", DAY, None, is_team=True)
