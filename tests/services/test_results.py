"""What came out of a window, and what teams reach together."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from sqlalchemy.exc import DBAPIError

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.rebuild import rebuild
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.challenges import Challenge, ChallengeResult, TeamContribution
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services import accounts, challenges, groups
from rebootcamp.services.challenges.errors import ChallengeInUse, NotTimed
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, complete, drain, make_actor, make_challenge, make_goal, make_group
from tests.relay.tools import execute, in_threads
from tests.services.test_goals import ONE, assert_sound, completions, do

pytestmark = pytest.mark.usefixtures("committed_db")

START = datetime(2026, 5, 10, tzinfo=UTC)
WINDOW = {"cadence": "event", "starts_at": START, "ends_at": START + timedelta(days=3)}
FIRST = PageRequest()


def results(goal: Challenge, period: str | None = None, page: PageRequest = FIRST, who: Actor | None = None) -> Any:
    db.session.remove()
    return challenges.get_results(who or admin(), goal.id, period, page)


def team_goal(target: int, at_least: int = 1, **fields: Any) -> Challenge:
    criteria = {"count": {"event": "challenge.completed", "at_least": at_least}}
    return make_goal(criteria, **{**WINDOW, "team_target": target, **fields})


def totals(goal: Challenge, who: Actor) -> list[tuple[int, int]]:
    """Return what each of somebody's teams has, and their own part."""
    db.session.remove()
    return [(team.total, team.mine) for team in challenges.get_challenge(who, goal.id).teams]


@pytest.fixture
def hand() -> Any:
    """The clock, at the noon before the window."""
    with time_machine.travel(START - timedelta(hours=12), tick=False) as hand:
        admin()
        yield hand


def test_results_are_provisional_until_the_last_place_on_earth_has_left_the_window(hand: Any) -> None:
    goal = make_goal(**WINDOW)
    ada, bob, eve, joined, idle = (make_actor(timezone="UTC") for _ in range(5))
    assert idle
    hand.shift(timedelta(days=1))
    do(ada, 2)
    hand.shift(timedelta(seconds=1))
    do(bob, 2)
    do(eve)
    challenges.join_challenge(joined, goal.id)
    before = results(goal)
    assert (before.recorded_at, before.participants, before.completed) == (None, 3, 2)
    hand.move_to(START + timedelta(days=4, hours=11, minutes=59))
    assert challenges.close_windows() == 0
    hand.shift(timedelta(minutes=1))
    assert (challenges.close_windows(), challenges.close_windows()) == (1, 0)
    final = results(goal, "event")
    assert (final.participants, final.completed, final.opened_on, final.closed_on) == (
        3,
        2,
        START.date(),
        START.date() + timedelta(days=2),
    )
    lines = [f"{one.user_id} {clock.iso(one.completed_at)}\n" for one in final.finishers.items]
    assert [one.user_id for one in final.finishers.items] == [ada.user_id, bob.user_id]
    assert final.finishers_hash == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert_sound()


def test_a_recorded_result_is_a_photograph(hand: Any) -> None:
    goal, ada = make_goal(ONE, **WINDOW), make_actor(timezone="UTC")
    hand.shift(timedelta(days=1))
    deed = do(ada)
    hand.move_to(START + timedelta(days=5))
    challenges.close_windows()
    before = results(goal)
    hand.shift(timedelta(hours=1))
    challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Not done.")
    assert completions(ada, goal) == [("event", "revoked")]
    assert results(goal) == before
    assert before.completed == len(before.finishers.items) == 1
    with pytest.raises(DBAPIError), transaction() as session:
        session.execute(sa.update(ChallengeResult).values(completed=9))
    with pytest.raises(ChallengeInUse):
        challenges.update_challenge(admin(), goal.id, {"ends_at": START + timedelta(days=9)}, None)
    assert_sound()


def test_every_missed_window_of_a_repeating_challenge_is_recorded_once(hand: Any, app: Flask) -> None:
    goal, ada = make_goal(ONE), make_actor(timezone="UTC")
    do(ada)
    hand.shift(timedelta(days=22))
    made = in_threads(app, *[challenges.close_windows] * 3)
    assert sum(made) == 3
    stored = db.session.execute(sa.select(ChallengeResult.period, ChallengeResult.completed).order_by("period"))
    assert [tuple(row) for row in stored] == [("2026-W19", 1), ("2026-W20", 0), ("2026-W21", 0)]
    assert results(goal).period == "2026-W22"
    assert results(goal, "2026-W19").completed == 1
    challenges.archive_challenge(admin(), goal.id, None)
    hand.shift(timedelta(days=30))
    assert challenges.close_windows() == 1


def test_finishers_are_paged_in_order_of_time(hand: Any) -> None:
    goal = make_goal(ONE, **WINDOW)
    hand.shift(timedelta(days=1))
    who = [make_actor(timezone="UTC") for _ in range(5)]
    for actor in reversed(who):
        do(actor)
    found, page = [], PageRequest(limit=2)
    while True:
        answer = results(goal, None, page).finishers
        found += answer.items
        if answer.next_cursor is None:
            break
        page = PageRequest(limit=2, cursor=answer.next_cursor)
    assert [one.user_id for one in found] == [actor.user_id for actor in reversed(who)]
    assert [one.place for one in found] == [1, 2, 3, 4, 5]


def test_only_periods_of_the_challenge_have_results(hand: Any) -> None:
    goal = make_goal(**WINDOW)
    for period in ("2026-W19", "once", "x"):
        with pytest.raises(InvalidField):
            results(goal, period)
    weekly = make_goal(starts_at=START)
    with pytest.raises(NotFound):
        results(weekly, "2026-W10")
    assert results(weekly, "2026-W19").opened_on == START.date()
    with pytest.raises(NotTimed):
        results(make_challenge())


def test_a_team_reaches_its_target_together(hand: Any) -> None:
    goal = team_goal(4)
    ada, bob, eve, idle = (make_actor(timezone="UTC") for _ in range(4))
    make_group(ada, bob, idle)
    make_group(eve)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    do(bob)
    do(eve, 3)
    assert challenges.reward_teams() == 0
    # Half of it delivered, half on its way: nobody sees a difference.
    assert totals(goal, ada) == [(3, 2)]
    drain()
    assert totals(goal, idle) == [(3, 0)]
    do(bob)
    assert totals(goal, bob) == [(4, 2)]
    assert challenges.reward_teams() == 0
    drain()
    assert (challenges.reward_teams(), challenges.reward_teams()) == (2, 0)
    assert [len(completions(who, goal)) for who in (ada, bob, eve, idle)] == [1, 1, 0, 0]
    assert [team.total for team in results(goal).teams] == [4, 3]
    assert_sound()
    hand.move_to(START + timedelta(days=5))
    assert challenges.close_windows() == 1
    assert [(team.total, team.target) for team in results(goal).teams] == [(4, 4), (3, 4)]
    assert [[team.mine for team in results(goal, who=who).teams] for who in (ada, eve, idle)] == [
        [2],
        [3],
        [0],
    ]


def test_deeds_count_for_the_groups_of_their_moment_and_leave_them_again(hand: Any) -> None:
    goal, ada = team_goal(99), make_actor(timezone="UTC")
    before, after = make_group(ada), make_group()
    hand.shift(timedelta(days=1))
    waiting = complete(ada, make_challenge(validation="approval")).completion.id
    deed = do(ada)
    hand.shift(timedelta(hours=1))
    groups.remove_members(admin(), before, [ada.user_id])
    groups.add_members(admin(), after, [ada.user_id])
    do(ada)
    challenges.approve_submission(admin(), waiting)
    drain()
    shares = {(row.group_id, row.value) for row in db.session.scalars(sa.select(TeamContribution))}
    assert shares == {(before, 2), (after, 1)}
    challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Not done.")
    assert totals(goal, ada) == [(1, 1)]
    assert_sound()
    shares = {(row.group_id, row.value) for row in db.session.scalars(sa.select(TeamContribution))}
    assert shares == {(before, 1), (after, 1)}


def test_a_team_challenge_that_comes_late_counts_what_its_window_holds(hand: Any) -> None:
    ada = make_actor(timezone="UTC")
    make_group(ada)
    do(ada)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    drain()
    do(ada)
    goal = team_goal(3)
    assert totals(goal, ada) == [(3, 3)]
    assert_sound()
    assert challenges.reward_teams() == 1
    challenges.archive_challenge(admin(), goal.id, None)
    do(ada)
    assert_sound()


def test_a_rebuild_gives_the_same_totals(hand: Any) -> None:
    goal = team_goal(99)
    who = [make_actor(timezone="UTC") for _ in range(3)]
    make_group(*who)
    hand.shift(timedelta(days=1))
    for actor in who:
        do(actor, 2)
    drain()
    assert totals(goal, who[0]) == [(6, 2)]
    execute("UPDATE team_contributions SET value = value + 1")
    rebuild(lambda step, done: None)
    assert totals(goal, who[0]) == [(6, 2)]
    assert_sound()


def test_the_check_finds_a_wrong_total_and_a_forged_participation(hand: Any) -> None:
    goal, ada = team_goal(99), make_actor(timezone="UTC")
    make_group(ada)
    hand.shift(timedelta(days=1))
    do(ada)
    challenges.join_challenge(ada, goal.id)
    assert_sound()
    with transaction() as session:
        session.execute(sa.text("UPDATE team_contributions SET value = 5"))
        session.execute(sa.text("UPDATE challenge_participations SET left_at = joined_at"))
    assert {finding.invariant for finding in check_stores().findings} == {"team contribution", "participation"}


def test_a_team_needs_its_members_to_give_enough_and_to_join_where_asked(hand: Any) -> None:
    goal = team_goal(4, at_least=2, requires_joining=True)
    ada, bob, eve = (make_actor(timezone="UTC") for _ in range(3))
    make_group(ada, bob, eve)
    hand.shift(timedelta(days=1))
    challenges.join_challenge(ada, goal.id)
    challenges.join_challenge(bob, goal.id)
    do(ada, 2)
    do(bob)
    do(eve, 2)
    drain()
    assert challenges.reward_teams() == 1
    assert [len(completions(who, goal)) for who in (ada, bob, eve)] == [1, 0, 0]
    challenges.join_challenge(eve, goal.id)
    drain()
    assert challenges.reward_teams() == 1
    assert_sound()


def test_relays_and_rewards_at_once_count_once(hand: Any, app: Flask) -> None:
    goal = team_goal(10)
    who = [make_actor(timezone="UTC") for _ in range(5)]
    make_group(*who)
    hand.shift(timedelta(days=1))
    for actor in who:
        do(actor, 2)
    in_threads(app, *[lambda: Relay(3, 0.01).drain()] * 3)
    assert totals(goal, who[0]) == [(10, 2)]
    assert sum(in_threads(app, *[challenges.reward_teams] * 3)) == 5
    assert [len(completions(actor, goal)) for actor in who] == [1] * 5
    assert_sound()


def test_a_reward_that_could_not_be_given_in_time_comes_before_the_results(hand: Any) -> None:
    goal, ada = team_goal(2), make_actor(timezone="UTC")
    make_group(ada)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    hand.shift(timedelta(days=9))
    assert challenges.close_windows() == 0
    drain()
    assert (challenges.reward_teams(), challenges.close_windows()) == (0, 1)
    assert (completions(ada, goal), results(goal).completed) == ([("event", "validated")], 1)
    assert_sound()


def test_rewards_given_at_the_last_moment_are_among_the_finishers_that_the_hash_covers() -> None:
    with time_machine.travel(START + timedelta(hours=12)) as hand:
        goal, ada = team_goal(2), make_actor(timezone="UTC")
        make_group(ada)
        do(ada, 2)
        hand.shift(timedelta(days=9))
        drain()
        assert challenges.close_windows() == 1
        final = results(goal)
    lines = [f"{one.user_id} {clock.iso(one.completed_at)}\n" for one in final.finishers.items]
    assert len(lines) == final.completed == 1
    assert final.finishers_hash == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_window_that_cannot_be_closed_keeps_no_other_from_it(hand: Any, app: Flask) -> None:
    team, other, ada = team_goal(2), make_goal(ONE, **WINDOW), make_actor(timezone="UTC")
    make_group(ada)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    hand.shift(timedelta(days=9))
    drain()
    with db.engine.begin() as connection:
        # Somebody holds the learner's line for longer than anybody waits, so the team's reward cannot be given.
        mine = sa.select(LearnerState.user_id).where(LearnerState.user_id == ada.user_id)
        connection.execute(mine.with_for_update())
        assert challenges.close_windows(lambda: True) == 1
        assert [results(goal).recorded_at is None for goal in (team, other)] == [True, False]
    assert challenges.close_windows() == 1
    assert results(team).completed == 1


def test_participants_of_a_repeating_challenge_are_those_of_the_period(hand: Any) -> None:
    goal, ada, bob, eve, idle = make_goal(), *(make_actor(timezone="UTC") for _ in range(4))
    do(ada, 2)
    hand.shift(timedelta(days=7))
    do(bob, 2)
    deed = do(eve, 2)
    do(idle)
    hand.shift(timedelta(days=7))
    assert [results(goal, f"2026-W{week}").participants for week in (19, 20, 21)] == [1, 2, 0]
    challenges.revoke_completion(admin(), eve.user_id, deed.completion.id, reason="Not done.")
    assert [results(goal, f"2026-W{week}").participants for week in (19, 20, 21)] == [1, 1, 0]


def test_a_challenge_that_is_no_longer_for_teams_leaves_nothing_of_them(hand: Any) -> None:
    goal, ada = team_goal(200), make_actor(timezone="UTC")
    make_group(ada)
    hand.shift(timedelta(days=1))
    do(ada, 2)
    drain()
    challenges.update_challenge(admin(), goal.id, {"team_target": None}, None)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(TeamContribution)) == 0
    assert_sound()


def test_finishers_who_opted_out_of_boards_are_not_named(hand: Any) -> None:
    goal, ada, bob = make_goal(ONE, **WINDOW), make_actor(timezone="UTC"), make_actor(timezone="UTC")
    accounts.edit_profile(ada, {"is_listed": False})
    accounts.edit_profile(bob, {"nickname": "Bee"})
    hand.shift(timedelta(days=1))
    for actor in (ada, bob):
        do(actor)
    assert [one.display_name for one in results(goal, who=bob).finishers.items] == [None, "Bee"]
