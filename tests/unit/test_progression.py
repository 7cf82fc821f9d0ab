"""The pure core of the engine: any story, replayed, gives the same standing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.events.badges import BadgeAwarded
from rebootcamp.services.gamification.progression import Standing
from rebootcamp.services.gamification.replay import replay
from rebootcamp.services.gamification.rulebook import RuleBook, rule_book
from tests.factories.events import DAY, PureLine, rule

WATER_ONCE = {"count": {"event": "challenge.completed", "where": {"category": "water"}, "at_least": 1}}
RULES = rule_book(
    [
        rule("first_step", {"count": {"event": "challenge.completed", "at_least": 1}}),
        rule("third_step", {"count": {"event": "challenge.completed", "at_least": 3}}),
        rule("water", {"count": {"event": "challenge.completed", "where": {"category": "water"}, "at_least": 2}}),
        rule("forty", {"points": {"at_least": 40}}),
        rule("fifty", {"points": {"at_least": 50}}, points=25),
        rule("hundred", {"points": {"at_least": 100}}, points=0),
    ]
)
CODES = sorted(RULES.badges)
Action = Callable[[PureLine], object]

completions = st.builds(
    lambda challenge, day, points: (
        lambda line: line.complete(
            challenge, DAY + timedelta(days=day), points=points, category=CATEGORIES[challenge % 8]
        )
    ),
    st.integers(1, 6),
    st.integers(0, 9),
    st.integers(0, 30),
)
revocations = st.builds(
    lambda index: lambda line: line.valid and line.revoke(index % len(line.valid)), st.integers(0, 50)
)
awards = st.builds(lambda code: lambda line: line.award(code, 15), st.sampled_from([*CODES, "by_hand"]))
takings = st.builds(lambda code: lambda line: line.take(code), st.sampled_from([*CODES, "by_hand"]))
honest = st.lists(st.one_of(completions, revocations, awards), max_size=25)
any_story = st.lists(st.one_of(completions, completions, revocations, awards, takings), max_size=25)


def told(story: list[Action], learner_id: int = 1) -> PureLine:
    line = PureLine(RULES, learner_id)
    for act in story:
        act(line)
    return line


@given(any_story)
def test_replay_from_nothing_gives_the_state_that_was_kept(story: list[Action]) -> None:
    line = told(story)
    assert replay(line.events, RULES) == line.standing


@given(any_story)
def test_totals_are_the_sums_of_the_ledgers(story: list[Action]) -> None:
    line = told(story)
    standing = line.standing
    assert standing.challenge_points == sum(fact.points for fact, _ in line.valid)
    assert standing.badge_points == sum(holding["points"] for holding in standing.held.values())
    assert standing.xp_total == sum(grant.points for step in line.steps for grant in step.xp)
    assert standing.challenge_points + standing.badge_points == sum(event.fact.score_points for event in line.events)
    assert {code: line.awards_of(code) for code in [*CODES, "by_hand"]} == {
        code: int(code in standing.held) for code in [*CODES, "by_hand"]
    }


@given(honest, completions)
def test_undo_after_do_is_neutral(story: list[Action], deed: Action) -> None:
    line = told(story)
    before = line.standing
    deed(line)
    line.revoke(-1)
    assert line.standing == before


@given(st.lists(completions, max_size=20), st.randoms(use_true_random=False))
def test_revoking_everything_in_any_order_leaves_nothing(story: list[Action], random: Random) -> None:
    line = told(story)
    while line.valid:
        line.revoke(random.randrange(len(line.valid)))
    assert line.standing == Standing()


@given(any_story, any_story, st.randoms(use_true_random=False))
def test_learners_do_not_disturb_each_other(one: list[Action], two: list[Action], random: Random) -> None:
    apart = {1: told(one, 1).standing, 2: told(two, 2).standing}
    lines = {1: PureLine(RULES, 1), 2: PureLine(RULES, 2)}
    turns = [1] * len(one) + [2] * len(two)
    random.shuffle(turns)
    waiting = {1: iter(one), 2: iter(two)}
    for who in turns:
        next(waiting[who])(lines[who])
    assert {who: line.standing for who, line in lines.items()} == apart


@given(any_story)
def test_same_story_gives_the_same_events_in_the_same_order(story: list[Action]) -> None:
    shuffled = rule_book(reversed(list(RULES.badges.values())))
    other = PureLine(shuffled)
    for act in story:
        act(other)
    assert other.events == told(story).events


def test_badge_reached_by_two_counters_at_once_is_decided_once() -> None:
    rules = rule_book(
        [
            rule("step", {"count": {"event": "challenge.completed", "at_least": 1}}, points=20),
            rule(
                "drop", {"count": {"event": "challenge.completed", "where": {"category": "water"}, "at_least": 1}}, 20
            ),
            rule("sixty", {"points": {"at_least": 60}}),
        ]
    )
    line = PureLine(rules)
    line.complete(1, category="water", points=40)
    decided = [event.fact.badge for event in line.events if isinstance(event.fact, BadgeAwarded)]
    # Each of the two first awards lifts the points over sixty again.
    assert decided == ["drop", "step", "sixty"]
    assert line.standing.badge_points == 50


def test_award_carries_the_evidence_it_rests_on() -> None:
    line = PureLine(RULES)
    line.complete(1)
    fact = line.events[1].fact
    assert isinstance(fact, BadgeAwarded)
    assert fact.evidence == {
        "event_id": str(line.events[0].event_id),
        "readings": [{"counter": "challenge.completed", "value": 1, "target": 1}],
    }


def test_badge_does_not_rest_on_its_own_points() -> None:
    line = PureLine(rule_book([rule("forty", {"points": {"at_least": 40}}, points=25)]))
    line.complete(1, points=30)
    line.complete(2, points=10)
    assert "forty" in line.standing.held
    line.revoke(-1)
    assert (dict(line.standing.held), line.standing.badge_points) == ({}, 0)


def test_badge_given_by_hand_survives_the_loss_of_its_rule() -> None:
    line = PureLine(RULES)
    line.award("first_step", 10)
    line.complete(1)
    line.revoke(-1)
    assert list(line.standing.held) == ["first_step"]


@pytest.mark.parametrize(("times", "distinct"), [(1, 1), (3, 1)])
def test_repeating_a_challenge_counts_as_one_different_challenge(times: int, distinct: int) -> None:
    line = PureLine(RuleBook())
    for day in range(times):
        line.complete(7, DAY + timedelta(days=day))
    assert line.standing.counters["challenges"] == distinct
    assert line.standing.counters["challenge.completed"] == times
    for _ in range(times):
        line.revoke(0)
    assert line.standing == Standing()
