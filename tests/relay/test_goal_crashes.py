"""kill -9 while timed challenges complete, are counted in the past, and reward teams: once for each, none lost."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest
import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.challenges import ChallengeCompletion, TeamContribution
from rebootcamp.services import challenges
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_challenge, make_goal, make_group
from tests.relay.tools import assert_stores_agree, count, make_learners
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")

KILLED = -signal.SIGKILL
WEEKLY = {"cadence": "weekly", "validation": "criteria", "co2e_grams": 0}
TWO = {"count": {"event": "challenge.completed", "at_least": 2}}
ONE = {"count": {"event": "challenge.completed", "at_least": 1}}


def finishers(challenge_id: int) -> list[int]:
    db.session.remove()
    table = ChallengeCompletion
    statement = sa.select(table.user_id).where(table.challenge_id == challenge_id, table.status == "validated")
    return sorted(db.session.scalars(statement))


@pytest.mark.parametrize(
    ("failpoint", "is_saved"),
    [("journal.saved", False), ("transaction.before_commit", False), ("transaction.after_commit", True)],
)
def test_a_killed_deed_takes_its_goal_along_or_leaves_it(workers: Workers, failpoint: str, is_saved: bool) -> None:
    goal, (ada,) = make_goal(TWO), make_learners(1)
    tasks = [make_challenge().id for _ in range(3)]
    done = workers.run("complete", ada.user_id, *tasks, failpoints=f"{failpoint}:2")
    assert (done.status, finishers(goal.id)) == (KILLED, [ada.user_id] if is_saved else [])
    assert workers.run("complete", ada.user_id, *tasks).status == 0
    assert finishers(goal.id) == [ada.user_id]
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["backfill.judged", "transaction.before_commit", "transaction.after_commit"])
def test_a_killed_back_fill_goes_on_and_completes_once(workers: Workers, failpoint: str) -> None:
    learners, tasks = make_learners(4), [make_challenge() for _ in range(2)]
    for learner in learners:
        for task in tasks:
            complete(learner, task)
    goal = make_challenge(criteria=TWO, **WEEKLY)
    kills = 0
    while workers.run("backfill", failpoints=f"{failpoint}:{4 + kills}").status == KILLED and kills < 30:
        kills += 1
    assert 0 < kills < 30
    assert workers.run("backfill").acknowledged == [0]
    assert finishers(goal.id) == [learner.user_id for learner in learners]
    db.session.remove()
    job = db.session.scalars(sa.select(BackfillJob)).one()
    assert (job.state, job.awarded) == ("done", 4)
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["teams.rewarded", "transaction.before_commit", "transaction.after_commit"])
def test_killed_rewards_go_on_where_they_were(workers: Workers, failpoint: str) -> None:
    learners = make_learners(4)
    make_group(*learners)
    goal = make_goal(ONE, starts_at=clock.now() - timedelta(days=1), team_target=4)
    for learner in learners:
        complete(learner, make_challenge())
    drain()
    kills = 0
    while workers.run("reward", failpoints=f"{failpoint}:{3 + kills}").status == KILLED and kills < 30:
        kills += 1
    assert 0 < kills < 30
    assert workers.run("reward").acknowledged == [0]
    assert finishers(goal.id) == [learner.user_id for learner in learners]
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["teams.taken_back", "transaction.before_commit", "transaction.after_commit"])
def test_a_killed_review_of_teams_takes_everything_back_once(workers: Workers, failpoint: str) -> None:
    learners = make_learners(4)
    make_group(*learners)
    goal = make_goal(ONE, starts_at=clock.now() - timedelta(days=1), team_target=9)
    deeds = [complete(learner, make_challenge()) for learner in learners * 3]
    drain()
    challenges.reward_teams()
    for learner, deed in zip(learners, deeds, strict=False):
        challenges.revoke_completion(admin(), learner.user_id, deed.completion.id, reason="Not done.")
    drain()
    kills = 0
    while workers.run("review", failpoints=f"{failpoint}:{3 + kills}").status == KILLED and kills < 30:
        kills += 1
    assert 0 < kills < 30
    assert workers.run("review").acknowledged == [0]
    assert finishers(goal.id) == []
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["relay.claimed", "relay.after_mongo", "transaction.before_commit"])
def test_a_killed_relay_counts_for_teams_once(workers: Workers, failpoint: str) -> None:
    learners = make_learners(3)
    make_group(*learners)
    make_goal(ONE, starts_at=clock.now() - timedelta(days=1), team_target=99)
    for learner in learners:
        for _ in range(3):
            complete(learner, make_challenge())
    for number in (1, 2, 1):
        assert workers.run("relay", 3, failpoints=f"{failpoint}:{number}").status == KILLED
    workers.run("relay", 3)
    db.session.remove()
    assert sorted(db.session.scalars(sa.select(TeamContribution.value))) == [3, 3, 3]
    assert count(TeamContribution) == 3
    assert_stores_agree()
