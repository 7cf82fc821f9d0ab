"""Completing, reviewing and revoking challenges."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, InvalidField, NotFound
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeSubmitted
from rebootcamp.events.journal import lock_line
from rebootcamp.models.sql.badges import BadgeGrant
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.models.sql.progress import LearnerState, XpEntry
from rebootcamp.services import badges, challenges
from rebootcamp.services.challenges import Completed
from rebootcamp.services.challenges.errors import (
    AlreadyCompleted,
    ChallengeClosed,
    ChallengeInUse,
    NotPending,
    NotRevocable,
    SelfReview,
    WrongAnswer,
)
from rebootcamp.services.gamification.rewards import rewards_of
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, complete, drain, make_actor, make_badge, make_challenge
from tests.relay.tools import execute

WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")

pytestmark = pytest.mark.usefixtures("committed_db")


def state_of(actor: Actor) -> LearnerState:
    db.session.remove()
    return db.session.get_one(LearnerState, actor.user_id)


def test_completion_and_reward_arrive_together() -> None:
    make_badge("first_step")
    ada, challenge = make_actor(), make_challenge(points=20)
    rewards = rewards_of(complete(ada, challenge).recorded)
    assert (rewards.points, [badge.badge for badge in rewards.badges]) == (20, ["first_step"])
    state = state_of(ada)
    assert (state.challenge_points, state.badge_points, state.xp_total) == (20, 10, 30)
    assert db.session.scalar(sa.select(sa.func.sum(XpEntry.points))) == 30


def test_second_completion_in_the_period_is_refused_and_leaves_no_trace() -> None:
    ada, challenge = make_actor(), make_challenge()
    complete(ada, challenge)
    before = state_of(ada).last_seq
    with pytest.raises(AlreadyCompleted):
        complete(ada, challenge)
    assert state_of(ada).last_seq == before


def test_daily_challenge_opens_again_at_the_learners_midnight_not_at_utc() -> None:
    challenge = make_challenge(cadence="daily")
    tokyo = make_actor(timezone="Asia/Tokyo")
    with time_machine.travel(datetime(2026, 5, 1, 14, 30, tzinfo=UTC), tick=False):
        first = complete(tokyo, challenge)
    with time_machine.travel(datetime(2026, 5, 1, 15, 30, tzinfo=UTC), tick=False):
        second = complete(tokyo, challenge)
    assert (first.completion.period, second.completion.period) == ("2026-05-01", "2026-05-02")
    assert state_of(tokyo).daily_streak == 2


@pytest.mark.parametrize(
    ("cadence", "same", "other"),
    [
        ("weekly", "2026-05-03", "2026-05-04"),
        ("monthly", "2026-05-31", "2026-06-01"),
        ("seasonal", "2026-05-31", "2026-06-01"),
    ],
)
def test_one_completion_per_period(cadence: str, same: str, other: str) -> None:
    challenge, ada = make_challenge(cadence=cadence), make_actor(timezone="UTC")
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False):
        complete(ada, challenge)
    with time_machine.travel(f"{same}T12:00:00Z", tick=False), pytest.raises(AlreadyCompleted):
        complete(ada, challenge)
    with time_machine.travel(f"{other}T12:00:00Z", tick=False):
        complete(ada, challenge)


def test_answer_is_compared_kindly_and_a_wrong_one_is_refused() -> None:
    ada, challenge = make_actor(), make_challenge(validation="answer", answers=["Énergie solaire"])
    with pytest.raises(WrongAnswer):
        complete(ada, challenge, "coal")
    with pytest.raises(InvalidField):
        complete(ada, challenge)
    assert complete(ada, challenge, "  energie SOLAIRE. ").completion.status == "validated"


@pytest.mark.parametrize(
    ("fields", "role", "refusal"),
    [
        ({"is_published": False}, "student", NotFound),
        ({"is_published": False}, "instructor", ChallengeClosed),
        ({"starts_at": datetime(2099, 1, 1, tzinfo=UTC)}, "student", ChallengeClosed),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "student", ChallengeClosed),
    ],
)
def test_closed_challenge_cannot_be_completed(fields: dict[str, object], role: str, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        complete(make_actor(role), make_challenge(**fields))


def test_archived_challenge_is_closed_and_hidden_but_keeps_its_history() -> None:
    ada, challenge = make_actor(), make_challenge()
    complete(ada, challenge)
    challenges.archive_challenge(admin(), challenge.id, None)
    with pytest.raises(ChallengeClosed):
        complete(admin(), challenge)
    with pytest.raises(NotFound):
        complete(make_actor(), challenge)
    with pytest.raises(NotFound):
        challenges.get_challenge(ada, challenge.id)
    assert state_of(ada).challenge_points == 20


def test_approval_gives_nothing_until_staff_decides() -> None:
    ada, teacher, challenge = make_actor(), make_actor("instructor"), make_challenge(validation="approval", points=50)
    submitted = complete(ada, challenge)
    assert isinstance(submitted.recorded.events[0].fact, ChallengeSubmitted)
    assert state_of(ada).challenge_points == 0
    approved = challenges.approve_submission(teacher, submitted.completion.id)
    assert isinstance(approved.recorded.events[0].fact, ChallengeCompleted)
    assert state_of(ada).challenge_points == 50
    with pytest.raises(NotPending):
        challenges.approve_submission(teacher, submitted.completion.id)


def test_approval_counts_for_the_day_of_the_deed() -> None:
    ada, challenge, daily = (
        make_actor(timezone="UTC"),
        make_challenge(validation="approval"),
        make_challenge(cadence="daily"),
    )
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False):
        submitted = complete(ada, challenge)
    with time_machine.travel("2026-05-02T12:00:00Z", tick=False):
        complete(ada, daily)
        assert state_of(ada).daily_streak == 1
    with time_machine.travel("2026-05-02T18:00:00Z", tick=False):
        challenges.approve_submission(admin(), submitted.completion.id)
    assert state_of(ada).daily_streak == 2


def test_rejected_submission_may_be_tried_again() -> None:
    ada, challenge = make_actor(), make_challenge(validation="approval")
    first = complete(ada, challenge)
    with pytest.raises(AlreadyCompleted):
        complete(ada, challenge)
    challenges.reject_submission(admin(), first.completion.id, reason="The photo is missing.")
    assert complete(ada, challenge).completion.status == "pending"


def test_nobody_reviews_their_own_submission() -> None:
    teacher, challenge = make_actor("instructor"), make_challenge(validation="approval")
    own = complete(teacher, challenge)
    with pytest.raises(SelfReview):
        challenges.approve_submission(teacher, own.completion.id)


def test_revocation_takes_back_all_that_followed() -> None:
    make_badge("first_step")
    make_badge("second_step", at_least=2, points=30)
    ada, one, two = make_actor(), make_challenge(points=20), make_challenge(points=5)
    complete(ada, one)
    second = complete(ada, two)
    challenges.revoke_completion(admin(), ada.user_id, second.completion.id, reason="Done by somebody else.")
    state = state_of(ada)
    assert (state.challenge_points, state.badge_points, state.xp_total) == (20, 10, 30)
    assert sorted(state.held_badges) == ["first_step"]
    grant = db.session.get_one(BadgeGrant, (ada.user_id, "second_step"))
    assert grant.revoke_reason == "criteria_no_longer_met"
    with pytest.raises(NotRevocable):
        challenges.revoke_completion(admin(), ada.user_id, second.completion.id, reason="Again.")
    drain()
    assert check_stores().findings == []


def test_undo_after_do_is_neutral() -> None:
    make_badge("first_step")
    ada, challenge, other = make_actor(), make_challenge(), make_challenge(category="water")
    complete(ada, other)
    kept = vars(state_of(ada)).copy()
    done = complete(ada, challenge)
    challenges.revoke_completion(admin(), ada.user_id, done.completion.id, reason="A test.")
    now = vars(state_of(ada))
    ignored = {"_sa_instance_state", "last_seq"}
    assert {k: v for k, v in now.items() if k not in ignored} == {k: v for k, v in kept.items() if k not in ignored}


def test_revoking_somebody_elses_completion_by_a_wrong_path_is_not_found() -> None:
    ada, bob, challenge = make_actor(), make_actor(), make_challenge()
    done = complete(ada, challenge)
    with pytest.raises(NotFound):
        challenges.revoke_completion(admin(), bob.user_id, done.completion.id, reason="Wrong path.")


def test_challenge_that_somebody_completed_keeps_what_it_is_counted_under() -> None:
    ada, challenge = make_actor(), make_challenge(category="energy")
    challenges.update_challenge(admin(), challenge.id, {"category": "food"}, None)
    complete(ada, challenge)
    with pytest.raises(ChallengeInUse):
        challenges.update_challenge(admin(), challenge.id, {"category": "water", "points": 5}, None)
    edited = challenges.update_challenge(admin(), challenge.id, {"category": "food", "points": 5}, None)
    assert (edited.category, edited.points) == ("food", 5)


def test_badge_taken_by_hand_does_not_come_back_by_its_rule() -> None:
    make_badge("first_step")
    ada = make_actor()
    complete(ada, make_challenge())
    badges.revoke_badge(admin(), ada.user_id, "first_step", reason="Not deserved.")
    assert rewards_of(complete(ada, make_challenge()).recorded).badges == ()
    badges.award_badge(admin(), ada.user_id, "first_step", reason="Deserved after all.")
    assert sorted(state_of(ada).held_badges) == ["first_step"]
    drain()
    assert check_stores().findings == []


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "store_id = gen_random_uuid()"])
def test_rules_of_another_store_are_not_taken_for_those_of_this_one(change: str) -> None:
    make_badge("first_step", points=10)
    (earlier,) = rewards_of(complete(make_actor(), make_challenge()).recorded).badges
    assert (earlier.points, badges.current_badge_names()["first_step"]["en"]) == (10, "First Step")
    # As after a restore: other contents under the same number.
    execute("""UPDATE badge_definitions SET points = 99, translations = '{"en": {"name": "Other"}}'""")
    execute(f"UPDATE app_meta SET {change}")
    (later,) = rewards_of(complete(make_actor(), make_challenge()).recorded).badges
    assert (later.points, badges.current_badge_names()["first_step"]["en"]) == (99, "Other")


def test_rewards_tell_the_streak_of_today() -> None:
    ada, examiner = make_actor(timezone="Europe/Paris"), make_actor("examiner")
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        done = complete(ada, make_challenge(validation="approval")).completion
    with time_machine.travel("2026-03-02T22:59:59Z", tick=False):
        assert rewards_of(challenges.approve_submission(examiner, done.id).recorded).daily_streak == 1
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
        late = complete(ada, make_challenge(validation="approval")).completion
    # Midnight in Paris: a whole day has passed without a deed.
    with time_machine.travel("2026-03-02T23:00:00Z", tick=False):
        assert rewards_of(challenges.approve_submission(examiner, late.id).recorded).daily_streak == 0
    assert state_of(ada).daily_streak == 1


def test_parallel_completions_give_one_completion_and_one_set_of_rewards(committed_db: Flask) -> None:
    make_badge("first_step")
    ada, challenge = make_actor(), make_challenge()

    def attempt(_: int) -> str:
        with committed_db.app_context():
            try:
                complete(ada, challenge)
            except DomainError as error:
                return error.code
            return "completed"

    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(threads.map(attempt, range(32)))
    # `busy`: the lock was not free within two seconds, which a loaded machine may cause and which changes nothing.
    assert outcomes["completed"] == 1
    assert set(outcomes) <= {"completed", "already_completed", "busy", "database_unavailable"}
    state = state_of(ada)
    assert (state.challenge_points, state.badge_points) == (20, 10)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ChallengeCompletion)) == 1
    drain()
    assert check_stores().findings == []


def start_waiting(threads: ThreadPoolExecutor, app: Flask, actor: Actor, challenge: Challenge) -> Future[Completed]:
    """Complete the challenge in another thread, and come back when it waits for the line that the caller holds."""

    def attempt() -> Completed:
        with app.app_context():
            return complete(actor, challenge)

    attempted = threads.submit(attempt)
    while not db.session.scalar(WAITING):
        assert not attempted.done()
        time.sleep(0.005)
    return attempted


def test_completion_that_waited_counts_what_was_done_meanwhile(committed_db: Flask) -> None:
    ada, challenge = make_actor(), make_challenge(cadence="daily")
    with ThreadPoolExecutor(1) as threads:
        with transaction():
            with time_machine.travel(datetime(2026, 5, 1, 10, tzinfo=UTC)):
                complete(ada, challenge)
            with time_machine.travel(datetime(2026, 5, 2, 10, tzinfo=UTC)):
                waiting = start_waiting(threads, committed_db, ada, challenge)
        (event,) = waiting.result().recorded.events
    assert (event.seq, event.fact.is_first) == (3, False)
    state = state_of(ada)
    assert (state.counters["challenges"], state.challenge_points, state.daily_streak) == (1, 40, 2)


def test_completion_that_waited_finds_the_challenge_as_it_is_then(committed_db: Flask) -> None:
    ada, challenge = make_actor(), make_challenge()
    with ThreadPoolExecutor(1) as threads:
        with transaction():
            lock_line(ada.user_id)
            waiting = start_waiting(threads, committed_db, ada, challenge)
            challenges.archive_challenge(admin(), challenge.id, None)
        with pytest.raises(NotFound):
            waiting.result()
    assert state_of(ada).challenge_points == 0
