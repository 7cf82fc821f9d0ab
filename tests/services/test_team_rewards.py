"""What teams earn together: given at the target, taken back below it until the results are there, counted by a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.core.turns import never
from rebootcamp.events.rebuild import rebuild
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.challenges import Challenge, TeamContribution, TeamReview
from rebootcamp.models.sql.progress import LearnerState, OutboxEntry
from rebootcamp.services import challenges
from rebootcamp.services.backfills import run_backfills, work_on_backfills
from rebootcamp.services.challenges.teams import recount
from rebootcamp.services.gamification.goals import goal_of
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, drain, judge_the_past, make_actor, make_badge, make_challenge, make_group
from tests.relay.tools import count, in_threads
from tests.services.test_goals import ONE, assert_sound, completions, do, state_of
from tests.services.test_results import WINDOW, hand, results, team_goal, totals

pytestmark = pytest.mark.usefixtures("committed_db")
__all__ = ["hand"]

WEEK = datetime(2026, 5, 11, tzinfo=UTC)
FIGURES = ("challenge_points", "badge_points", "xp_total", "counters", "held_badges", "daily_streak")


def team_of(size: int) -> list[Actor]:
    """Return the members of a new group."""
    who = [make_actor(timezone="UTC") for _ in range(size)]
    make_group(*who)
    return who


def revoke(who: Actor, deed: challenges.Completed) -> None:
    challenges.revoke_completion(admin(), who.user_id, deed.completion.id, reason="Not done.")


def statuses(goal: Challenge, *who: Actor) -> list[list[str]]:
    return [[status for _, status in completions(actor, goal)] for actor in who]


def test_a_team_that_falls_below_its_target_loses_all_that_came_of_it_until_it_is_back(hand: Any) -> None:
    goal, (ada, bob) = team_goal(3), team_of(2)
    make_badge("mate", criteria={"count": {**ONE["count"], "where": {"challenge_id": goal.id}}}, points=5)
    run_backfills(60)
    hand.shift(timedelta(days=1))
    do(ada)
    do(bob)
    before = [state_of(who) for who in (ada, bob)]
    deed = do(ada)
    drain()
    assert (challenges.review_teams(), challenges.reward_teams()) == (0, 2)
    assert list(state_of(bob).held_badges) == ["mate"]
    revoke(ada, deed)
    drain()
    assert (challenges.review_teams(), challenges.review_teams(), challenges.reward_teams()) == (2, 0, 0)
    assert (statuses(goal, ada, bob), count(TeamReview)) == ([["revoked"], ["revoked"]], 0)
    for then, who in zip(before, (ada, bob), strict=True):
        now = state_of(who)
        assert [getattr(now, name) for name in FIGURES] == [getattr(then, name) for name in FIGURES]
    assert_sound()
    do(bob)
    drain()
    assert challenges.reward_teams() == 2
    assert statuses(goal, ada, bob) == [["revoked", "validated"]] * 2
    assert_sound()


def test_whoever_another_team_supports_keeps_it(hand: Any) -> None:
    goal, (ada, bob, eve) = team_goal(2), team_of(3)
    make_group(ada, eve)
    hand.shift(timedelta(days=1))
    do(ada)
    deed = do(bob)
    drain()
    assert challenges.reward_teams() == 2
    other = do(eve)
    revoke(bob, deed)
    drain()
    # The second team has two, and bob lost his own share.
    assert (challenges.review_teams(), statuses(goal, ada, bob)) == (0, [["validated"], ["revoked"]])
    revoke(eve, other)
    drain()
    assert (challenges.review_teams(), statuses(goal, ada)) == (1, [["revoked"]])
    assert_sound()


def test_nobody_loses_anything_while_a_deed_of_the_team_is_on_its_way(hand: Any) -> None:
    goal, (ada, bob) = team_goal(3), team_of(2)
    hand.shift(timedelta(days=1))
    deed = [do(ada), do(ada), do(bob)][0]
    drain()
    assert challenges.reward_teams() == 2
    revoke(ada, deed)
    drain()
    do(bob)
    assert (challenges.review_teams(), count(TeamReview)) == (0, 1)
    rebuild(lambda step, done: None)
    drain()
    assert (challenges.review_teams(), count(TeamReview)) == (0, 0)
    assert statuses(goal, ada, bob) == [["validated"], ["validated"]]
    assert_sound()


def test_what_falls_before_the_results_is_taken_and_what_falls_after_them_stands(hand: Any) -> None:
    goal, (ada, bob) = team_goal(3), team_of(2)
    other, (eve, joe) = team_goal(3), team_of(2)
    hand.shift(timedelta(days=1))
    deeds = {who: [do(who), do(who)] for who in (ada, bob, eve, joe)}
    drain()
    assert challenges.reward_teams() == 8
    for who in (ada, bob):
        revoke(who, deeds[who][0])
    hand.shift(timedelta(days=9))
    drain()
    # What one of them takes back is on its way for a moment, and the other waits for it.
    assert [challenges.close_windows(), drain() > 0, challenges.close_windows()] == [1, True, 1]
    assert [results(one).completed for one in (goal, other)] == [2, 2]
    assert statuses(goal, ada, eve) == statuses(other, ada, eve) == [["revoked"], ["validated"]]
    for who in (eve, joe):
        revoke(who, deeds[who][0])
    drain()
    assert (challenges.review_teams(), count(TeamReview)) == (0, 0)
    assert statuses(goal, eve, joe) == [["validated"], ["validated"]]
    assert_sound()


def test_rewards_and_results_take_turns(hand: Any) -> None:
    goal, who = team_goal(3), team_of(3)
    hand.shift(timedelta(days=1))
    for actor in who:
        do(actor)
    drain()
    assert challenges.reward_teams(lambda: True) == 1
    hand.shift(timedelta(days=9))
    drain()
    assert challenges.close_windows(lambda: True) == 0
    assert statuses(goal, *who) == [["validated"], ["validated"], []]
    drain()
    assert challenges.close_windows(lambda: True) == 0
    drain()
    assert challenges.close_windows(lambda: True) == 1
    assert results(goal).completed == 3
    assert_sound()


def test_windows_of_one_challenge_close_in_their_order(hand: Any) -> None:
    goal, (ada, bob) = team_goal(2, cadence="weekly", starts_at=WEEK, ends_at=None), team_of(2)
    hand.move_to(WEEK + timedelta(days=1))
    do(ada, 2)
    hand.shift(timedelta(days=7))
    do(bob)
    hand.shift(timedelta(days=9))
    drain()
    with db.engine.begin() as connection:
        # Somebody holds the learner's line for longer than anybody waits, so what the first week owes must wait.
        mine = sa.select(LearnerState.user_id).where(LearnerState.user_id == ada.user_id)
        connection.execute(mine.with_for_update())
        assert challenges.close_windows() == 0
    assert challenges.close_windows() == 1
    drain()
    assert challenges.close_windows() == 1
    assert [results(goal, period).completed for period in ("2026-W20", "2026-W21")] == [1, 0]


def test_the_past_of_a_team_is_counted_by_a_job_that_says_so_and_may_stop(hand: Any) -> None:
    who = team_of(3)
    hand.shift(timedelta(days=1))
    for actor in who:
        do(actor, 2)
    drain()
    values = {
        "cadence": "event",
        "validation": "criteria",
        "criteria": ONE,
        "co2e_grams": 0,
        "team_target": 6,
        **WINDOW,
    }
    goal = make_challenge(**values, is_published=False)
    assert (count(TeamContribution), challenges.get_challenge(admin(), goal.id).is_counting) == (0, True)
    assert_sound()
    assert work_on_backfills(lambda: True) is True
    challenges.update_challenge(admin(), goal.id, {"is_published": True}, None)
    turns = iter([False] * 3)
    work_on_backfills(lambda: next(turns, True))
    assert 0 < count(TeamContribution) < 3
    assert (challenges.reward_teams(), challenges.get_challenge(admin(), goal.id).is_counting) == (0, True)
    hand.shift(timedelta(days=9))
    assert challenges.close_windows() == 0
    hand.shift(timedelta(days=-9))
    assert work_on_backfills(never) is False
    assert (totals(goal, who[0]), challenges.get_challenge(admin(), goal.id).is_counting) == ([(6, 2)], False)
    assert challenges.reward_teams() == 3
    assert_sound()


def test_an_edit_of_what_counts_begins_from_nothing(hand: Any) -> None:
    goal, (ada,) = team_goal(2), team_of(1)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    drain()
    water = {"count": {**ONE["count"], "where": {"category": "water"}}}
    challenges.update_challenge(admin(), goal.id, {"criteria": water}, None)
    assert (count(TeamContribution), challenges.reward_teams()) == (0, 0)
    judge_the_past()
    assert (totals(goal, ada), challenges.reward_teams()) == ([(0, 0)], 0)
    assert_sound()


def test_no_relay_delivers_for_a_learner_who_is_being_counted(hand: Any, app: Flask) -> None:
    goal, (ada, bob) = team_goal(99), team_of(2)
    hand.shift(timedelta(days=1))
    drain()
    do(ada)
    do(bob)
    with transaction() as session:
        recount(session, goal_of(goal), ada.user_id)
        in_threads(app, lambda: Relay(100, 0.01).drain())
        assert {entry.user_id for entry in session.scalars(sa.select(OutboxEntry))} == {ada.user_id}
    drain()
    assert totals(goal, ada) == [(2, 1)]
    assert_sound()


def test_counting_and_delivering_at_once_count_once(hand: Any, app: Flask) -> None:
    who = team_of(4)
    hand.shift(timedelta(days=1))
    for actor in who:
        do(actor, 6)
    values = {
        "cadence": "event",
        "validation": "criteria",
        "criteria": ONE,
        "co2e_grams": 0,
        "team_target": 99,
        **WINDOW,
    }
    goal = make_challenge(**values)

    def carry() -> int:
        return Relay(2, 0.01).drain()

    def judge() -> int:
        judge_the_past()
        return 0

    in_threads(app, carry, judge, carry)
    drain()
    assert totals(goal, who[0]) == [(24, 6)]
    assert check_stores().findings == []
