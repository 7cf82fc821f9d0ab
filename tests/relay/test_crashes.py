"""kill -9 at every named point: what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

import signal

import pytest
import sqlalchemy as sa

from rebootcamp.models.sql.badges import BadgeGrant
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.storage.sql import db
from tests.factories import complete, drain, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, count, journal_size, make_learners, waiting
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")

KILLED = -signal.SIGKILL
KILLS = 5


def completed_ids(user_id: int) -> set[int]:
    db.session.remove()
    statement = sa.select(ChallengeCompletion.challenge_id).where(ChallengeCompletion.user_id == user_id)
    return set(db.session.scalars(statement))


def badges_on_the_way() -> None:
    make_badge("first_step")
    make_badge("third_step", at_least=3)
    make_badge("hundred", criteria={"points": {"at_least": 100}}, points=50)


@pytest.mark.parametrize(
    ("failpoint", "is_saved"),
    [("journal.saved", False), ("transaction.before_commit", False), ("transaction.after_commit", True)],
)
def test_killed_command_happened_entirely_or_not_at_all(workers: Workers, failpoint: str, is_saved: bool) -> None:
    badges_on_the_way()
    learners, tasks = make_learners(KILLS), [make_challenge().id for _ in range(KILLS)]
    for number, learner in enumerate(learners, start=1):
        done = workers.run("complete", learner.user_id, *tasks, failpoints=f"{failpoint}:{number}")
        assert (done.status, done.acknowledged) == (KILLED, tasks[: number - 1])
        assert completed_ids(learner.user_id) == set(tasks[: number if is_saved else number - 1])
        again = workers.run("complete", learner.user_id, *tasks)
        assert (again.status, [abs(one) for one in again.acknowledged]) == (0, tasks)
    assert count(ChallengeCompletion) == KILLS * KILLS
    assert count(BadgeGrant) == KILLS * 3
    drain()
    assert_stores_agree()


@pytest.mark.parametrize(
    "failpoint",
    [
        "relay.claimed",
        "relay.after_history",
        "relay.after_states",
        "relay.after_mongo",
        "transaction.before_commit",
        "transaction.after_commit",
    ],
)
def test_killed_relay_loses_and_doubles_nothing(workers: Workers, failpoint: str) -> None:
    badges_on_the_way()
    tasks = [make_challenge() for _ in range(4)]
    for learner in make_learners(5):
        for task in tasks:
            complete(learner, task)
    size = journal_size()
    for number in (1, 2, 1, 3, 1):
        # Two of three transactions of a round are about the catalogue and the claim that finds nothing.
        done = workers.run("relay", 5, failpoints=f"{failpoint}:{number}")
        assert (done.status, done.acknowledged) == (KILLED, [])
        assert waiting() != []
    left = len(waiting())
    assert workers.run("relay", 5).acknowledged == [left]
    assert left < size or failpoint != "transaction.after_commit"
    assert_stores_agree()


def test_killed_writers_and_relays_in_turn_end_in_agreement(workers: Workers) -> None:
    badges_on_the_way()
    learners, tasks = make_learners(4), [make_challenge().id for _ in range(4)]
    points = ("journal.saved", "transaction.before_commit", "transaction.after_commit")
    relay_points = ("relay.after_history", "relay.after_states", "relay.after_mongo", "transaction.before_commit")
    for turn, task in enumerate(tasks):
        for who, learner in enumerate(learners):
            point = points[(turn + who) % 3]
            assert workers.run("complete", learner.user_id, task, failpoints=point).status == KILLED
            assert workers.run("complete", learner.user_id, task).status == 0
        assert workers.run("relay", 3, failpoints=relay_points[turn]).status == KILLED
    assert workers.run("relay", 100).status == 0
    assert count(ChallengeCompletion) == 16
    assert_stores_agree()
