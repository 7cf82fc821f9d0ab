"""Timed challenges on real stores: they complete by themselves, in the window, once, and fall with their deeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, InvalidField
from rebootcamp.models.sql.badges import BackfillJob, RuleMeasure
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services import badges, challenges
from rebootcamp.services.backfills import run_backfills
from rebootcamp.services.challenges.errors import (
    AlreadyJoined,
    ChallengeClosed,
    ChallengeInUse,
    CompletesByItself,
    NotJoinable,
    NotJoined,
)
from rebootcamp.services.gamification.rewards import rewards_of
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_actor, make_badge, make_challenge, make_goal
from tests.relay.tools import in_threads

pytestmark = pytest.mark.usefixtures("committed_db")

ONE = {"count": {"event": "challenge.completed", "at_least": 1}}
WEDNESDAY = "2026-05-06T12:00:00Z"


def do(actor: Actor, count: int = 1, **fields: Any) -> challenges.Completed:
    """Complete so many new challenges; return the last completion."""
    return [complete(actor, make_challenge(**fields)) for _ in range(count)][-1]


def completions(actor: Actor, goal: Challenge) -> list[tuple[str, str]]:
    """Return period and status of each completion, in order."""
    db.session.remove()
    table = ChallengeCompletion
    where = table.user_id == actor.user_id, table.challenge_id == goal.id
    return [
        tuple(row) for row in db.session.execute(sa.select(table.period, table.status).where(*where).order_by("id"))
    ]


def state_of(actor: Actor) -> LearnerState:
    db.session.remove()
    return db.session.get_one(LearnerState, actor.user_id)


def assert_sound() -> None:
    drain()
    assert check_stores().findings == []


def pursuit_of(actor: Actor, goal: Challenge) -> Any:
    db.session.remove()
    view = challenges.get_challenge(actor, goal.id)
    assert view.pursuit is not None
    return view.pursuit


def test_the_last_deed_completes_it_with_everything_that_follows() -> None:
    goal = make_goal()
    make_badge("pursuer", criteria={"count": {**ONE["count"], "where": {"challenge_id": goal.id}}}, points=5)
    ada = make_actor()
    assert rewards_of(do(ada).recorded).goals == ()
    assert (pursuit_of(ada, goal).value, pursuit_of(ada, goal).target) == (1, 2)
    rewards = rewards_of(do(ada).recorded)
    assert [(fact.challenge_id, fact.points) for fact in rewards.goals] == [(goal.id, 50)]
    assert (rewards.points, [badge.badge for badge in rewards.badges]) == (20, ["pursuer"])
    assert (rewards.totals.challenge_points, rewards.totals.badge_points) == (90, 5)
    assert challenges.get_challenge(ada, goal.id).reward_badges == ["pursuer"]
    do(ada, 3)
    assert len(completions(ada, goal)) == 1
    assert challenges.get_challenge(ada, goal.id).completed
    assert_sound()


def test_each_period_counts_anew_and_old_deeds_do_not() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        goal, ada = make_goal(), make_actor(timezone="UTC")
        do(ada)
        hand.shift(timedelta(days=7))
        do(ada)
        assert completions(ada, goal) == []
        do(ada)
        hand.shift(timedelta(days=7))
        do(ada, 2)
        assert completions(ada, goal) == [("2026-W20", "validated"), ("2026-W21", "validated")]
        assert_sound()


def test_an_event_lasts_from_its_first_to_its_last_date_in_everybodys_own_calendar() -> None:
    # From the 10th to the 12th, as the editor in Paris sees it.
    bounds = {"starts_at": datetime(2026, 5, 9, 22, tzinfo=UTC), "ends_at": datetime(2026, 5, 12, 22, tzinfo=UTC)}
    with time_machine.travel("2026-05-09T13:00:00Z", tick=False) as hand:
        early, late, out = make_actor(timezone="UTC"), make_actor(timezone="America/Los_Angeles"), make_actor()
        goal = make_goal(ONE, cadence="event", **bounds)
        assert (goal.opens_on.isoformat(), goal.closes_on.isoformat()) == ("2026-05-10", "2026-05-12")
        do(early)
        assert (completions(early, goal), pursuit_of(early, goal).window) == ([], None)
        hand.move_to(datetime(2026, 5, 10, 0, 30, tzinfo=UTC))
        do(early)
        hand.move_to(datetime(2026, 5, 13, 5, tzinfo=UTC))
        do(late)
        do(out)
        assert [len(completions(who, goal)) for who in (early, late, out)] == [1, 1, 0]
        assert_sound()


def test_nobody_completes_it_by_hand() -> None:
    goal = make_goal()
    with pytest.raises(CompletesByItself):
        complete(make_actor(), goal)


def test_revoking_a_deed_takes_it_back_and_another_deed_brings_it_again() -> None:
    goal, ada = make_goal(), make_actor()
    do(ada)
    before = state_of(ada)
    deed = do(ada)
    challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Not done.")
    after = state_of(ada)
    for name in ("challenge_points", "badge_points", "xp_total", "counters", "daily_streak", "held_badges"):
        assert getattr(after, name) == getattr(before, name), name
    do(ada)
    assert [status for _, status in completions(ada, goal)] == ["revoked", "validated"]
    assert_sound()


@pytest.mark.parametrize("withdraw", ["archive", "unpublish"])
def test_a_withdrawn_challenge_is_taken_back_and_never_given_again(withdraw: str) -> None:
    goal, ada, bob = make_goal(), make_actor(), make_actor()
    make_badge("pursuer", criteria={"count": {**ONE["count"], "where": {"challenge_id": goal.id}}}, points=5)
    run_backfills(60)
    for who in (ada, bob):
        do(who)
    before, deed = state_of(ada), do(ada)
    if withdraw == "archive":
        challenges.archive_challenge(admin(), goal.id, None)
    else:
        challenges.update_challenge(admin(), goal.id, {"is_published": False}, None)
    make_badge("later", at_least=99)
    challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Not done.")
    after = state_of(ada)
    for name in ("challenge_points", "badge_points", "xp_total", "counters", "held_badges"):
        assert getattr(after, name) == getattr(before, name), name
    for who in (ada, bob):
        do(who, 2)
    assert (completions(ada, goal), completions(bob, goal)) == ([(completions(ada, goal)[0][0], "revoked")], [])
    assert_sound()


def test_counters_of_a_withdrawn_challenge_are_kept_for_a_while_and_only_if_somebody_completed_it() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        goal, other, ada = make_goal(ONE), make_goal(cadence="monthly"), make_actor(timezone="UTC")
        deed = do(ada)
        for one in (goal, other):
            challenges.archive_challenge(admin(), one.id, None)
        keys = set(db.session.scalars(sa.select(RuleMeasure.key)))
        assert {str(goal.id) in key or "per:week" in key for key in keys} == {True}
        hand.shift(timedelta(days=401))
        make_badge("later", at_least=99)
        assert set(db.session.scalars(sa.select(RuleMeasure.key))) == set()
        challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Too late.")
        assert [status for _, status in completions(ada, goal)] == ["validated"]
        assert_sound()


def test_a_completion_revoked_by_hand_stays_away_for_its_period() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        goal, ada = make_goal(), make_actor(timezone="UTC")
        do(ada, 2)
        table = ChallengeCompletion
        done = db.session.scalars(sa.select(table.id).where(table.challenge_id == goal.id)).one()
        challenges.revoke_completion(admin(), ada.user_id, done, reason="Cheated.")
        do(ada, 3)
        hand.shift(timedelta(days=7))
        do(ada, 2)
        assert completions(ada, goal) == [("2026-W19", "revoked"), ("2026-W20", "validated")]
        assert_sound()


def test_a_deed_approved_after_the_window_counts_no_more() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        goal, ada = make_goal(ONE), make_actor(timezone="UTC")
        waiting = complete(ada, make_challenge(validation="approval")).completion.id
        hand.shift(timedelta(days=7))
        challenges.approve_submission(admin(), waiting)
        assert completions(ada, goal) == []
        waiting = complete(ada, make_challenge(validation="approval")).completion.id
        hand.shift(timedelta(days=1))
        challenges.approve_submission(admin(), waiting)
        assert completions(ada, goal) == [("2026-W20", "validated")]
        assert_sound()


def test_it_adds_no_day_to_a_streak() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        ada = make_actor(timezone="UTC")
        do(ada, 2)
        hand.shift(timedelta(days=1))
        goal = make_goal()
        assert completions(ada, goal) == [("2026-W19", "validated")]
        assert (state_of(ada).daily_streak, state_of(ada).last_active_on.isoformat()) == (1, "2026-05-06")
        deed = do(ada)
        challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="A test.")
        assert (state_of(ada).daily_streak, state_of(ada).last_active_on.isoformat()) == (1, "2026-05-06")
        assert_sound()


def test_timed_challenges_do_not_feed_one_another() -> None:
    first, second, ada = make_goal(ONE), make_goal(), make_actor()
    do(ada)
    assert (len(completions(ada, first)), completions(ada, second)) == (1, [])
    do(ada)
    assert len(completions(ada, second)) == 1
    assert_sound()


def test_conditions_may_come_last_and_do_not_take_it_back() -> None:
    make_badge("gift", at_least=999)
    goal, ada = make_goal({"all": [ONE, {"badge": "gift"}]}), make_actor()
    first = do(ada)
    assert completions(ada, goal) == []
    badges.award_badge(admin(), ada.user_id, "gift", reason="A test.")
    assert len(completions(ada, goal)) == 1
    badges.revoke_badge(admin(), ada.user_id, "gift", reason="A test.")
    assert [status for _, status in completions(ada, goal)] == ["validated"]
    second = do(ada)
    challenges.revoke_completion(admin(), ada.user_id, first.completion.id, reason="Another deed is left.")
    assert [status for _, status in completions(ada, goal)] == ["validated"]
    challenges.revoke_completion(admin(), ada.user_id, second.completion.id, reason="None is left.")
    assert [status for _, status in completions(ada, goal)] == ["revoked"]
    assert_sound()


def test_the_back_fill_counts_what_was_done_before_in_this_window_only() -> None:
    with time_machine.travel(WEDNESDAY, tick=False) as hand:
        ada, bob, eve = (make_actor(timezone="UTC") for _ in range(3))
        do(ada, 2)
        hand.shift(timedelta(days=7))
        do(bob, 2)
        do(eve)
        goal = make_challenge(
            cadence="weekly", validation="criteria", criteria={"count": {**ONE["count"], "at_least": 2}}, co2e_grams=0
        )
        do(eve)
        assert [completions(who, goal) for who in (ada, bob, eve)] == [[], [], []]
        assert run_backfills(60) is False
        assert [len(completions(who, goal)) for who in (ada, bob, eve)] == [0, 1, 1]
        job = db.session.scalars(sa.select(BackfillJob)).one()
        assert (job.state, job.challenge_id, job.awarded) == ("done", goal.id, 2)
        do(ada, 2)
        assert len(completions(ada, goal)) == 1
        assert_sound()


def test_joining_is_asked_for_where_it_is_required() -> None:
    goal, ada, bob = make_goal(requires_joining=True), make_actor(), make_actor()
    challenges.join_challenge(bob, goal.id)
    with pytest.raises(AlreadyJoined):
        challenges.join_challenge(bob, goal.id)
    for who in (ada, bob):
        do(who, 2)
    assert (completions(ada, goal), len(completions(bob, goal))) == ([], 1)
    assert (pursuit_of(ada, goal).is_joined, pursuit_of(bob, goal).is_joined) == (False, True)
    challenges.join_challenge(ada, goal.id)
    assert len(completions(ada, goal)) == 1
    challenges.leave_challenge(ada, goal.id)
    with pytest.raises(NotJoined):
        challenges.leave_challenge(ada, goal.id)
    assert len(completions(ada, goal)) == 1
    challenges.join_challenge(ada, goal.id)
    assert_sound()


def test_joining_outside_the_window_or_for_nothing_timed_is_refused() -> None:
    now, ada = clock.now(), make_actor()
    later = {"starts_at": now + timedelta(days=3), "ends_at": now + timedelta(days=5)}
    for goal in (make_goal(cadence="event", **later), make_goal(is_published=False)):
        for act in (challenges.join_challenge, challenges.leave_challenge):
            with pytest.raises(ChallengeClosed):
                act(ada, goal.id)
    with pytest.raises(NotJoinable):
        challenges.join_challenge(ada, make_challenge().id)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"cadence": "once"}, "/cadence"),
        ({"cadence": "event"}, "/starts_at"),
        ({"co2e_grams": 5}, "/co2e_grams"),
        ({"validation": "self"}, "/criteria"),
        ({"criteria": None}, "/criteria"),
        ({"team_target": 5}, "/starts_at"),
        ({"validation": "self", "criteria": None, "team_target": 5}, "/team_target"),
        ({"validation": "self", "criteria": None, "requires_joining": True}, "/requires_joining"),
        ({"criteria": {"count": {**ONE["count"], "per": "day"}}}, "/criteria/count/per"),
    ],
)
def test_what_has_no_window_is_refused(fields: dict[str, Any], pointer: str) -> None:
    values = {"cadence": "weekly", "validation": "criteria", "criteria": ONE, "co2e_grams": 0}
    with pytest.raises(InvalidField) as refused:
        make_challenge(**{**values, **fields})
    assert refused.value.pointer == pointer


def test_an_edit_begins_a_new_count_until_somebody_completed_it() -> None:
    goal, ada, bob = make_goal(), make_actor(), make_actor()
    do(ada)
    challenges.update_challenge(admin(), goal.id, {"criteria": ONE}, None)
    run_backfills(60)
    assert len(completions(ada, goal)) == 1
    with pytest.raises(ChallengeInUse):
        challenges.update_challenge(admin(), goal.id, {"criteria": {"count": {**ONE["count"], "at_least": 3}}}, None)
    challenges.update_challenge(admin(), goal.id, {"points": 70}, None)
    assert [fact.points for fact in rewards_of(do(bob).recorded).goals] == [70]
    challenges.archive_challenge(admin(), goal.id, None)
    assert rewards_of(do(make_actor()).recorded).goals == ()
    assert_sound()


def test_deeds_at_once_complete_it_once(app: Flask) -> None:
    goal, ada = make_goal(), make_actor()
    tasks = [make_challenge() for _ in range(6)]
    in_threads(app, *(lambda task=task: complete(ada, task) for task in tasks))
    assert len(completions(ada, goal)) == 1
    assert_sound()


def test_joining_at_once_counts_once(app: Flask) -> None:
    goal, ada = make_goal(requires_joining=True), make_actor()

    def join() -> str:
        try:
            challenges.join_challenge(ada, goal.id)
        except DomainError as error:
            return error.code
        return "joined"

    assert sorted(in_threads(app, *[join] * 4)) == ["already_joined"] * 3 + ["joined"]
    assert_sound()


def test_an_editor_elsewhere_moves_no_date_that_they_did_not_set() -> None:
    start = datetime(2026, 5, 9, 22, tzinfo=UTC)
    goal = make_goal(ONE, cadence="event", starts_at=start, ends_at=start + timedelta(days=2))
    elsewhere = make_actor("instructor", timezone="America/New_York")
    for changes, last in (({"points": 7}, 11), ({"ends_at": start + timedelta(days=3)}, 12)):
        changed = challenges.update_challenge(elsewhere, goal.id, changes, None)
        assert (changed.opens_on.day, changed.closes_on.day) == (10, last)
