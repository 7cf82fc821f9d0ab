"""Back-fills in processes of their own: killed anywhere, two at once, or between two batches of a relay."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.badges import BackfillJob, BadgeGrant
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.backfills import run_backfills
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import complete, drain, make_actor, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, count, in_threads, make_learners, started, until
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")

KILLED = -signal.SIGKILL
WEEKLY = {"count": {"event": "challenge.completed", "at_least": 2, "per": "week", "distinct": "challenge_id"}}


def learners_of_last_month(number: int) -> list[Actor]:
    """Return learners of whom every second one was busy for a week, a month ago."""
    learners, tasks = make_learners(number), [make_challenge() for _ in range(2)]
    with time_machine.travel(clock.now() - timedelta(days=35)):
        for index, learner in enumerate(learners):
            for task in tasks[: 1 + index % 2]:
                complete(learner, task)
    return learners


def newest_job() -> BackfillJob:
    db.session.remove()
    return db.session.scalars(sa.select(BackfillJob).order_by(BackfillJob.id.desc())).first()  # type: ignore[return-value]


def assert_done(learners: list[Actor]) -> None:
    """Everybody was judged once, and every second learner got the badge once."""
    job = newest_job()
    assert (job.state, job.examined, job.awarded, job.revoked) == ("done", count(LearnerState), len(learners) // 2, 0)
    holders = set(db.session.scalars(sa.select(BadgeGrant.user_id).where(BadgeGrant.badge_code == "busy")))
    assert holders == {learner.user_id for learner in learners[1::2]}
    assert count(BadgeGrant) == len(holders)
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["backfill.judged", "transaction.before_commit", "transaction.after_commit"])
def test_killed_back_fill_goes_on_and_judges_everybody_once(workers: Workers, failpoint: str) -> None:
    learners = learners_of_last_month(8)
    make_badge("busy", criteria=WEEKLY)
    passes = 9 if failpoint == "backfill.judged" else 20
    statuses = [workers.run("backfill", failpoints=f"{failpoint}:{number}").status for number in range(1, passes)]
    assert KILLED in statuses
    assert set(statuses) <= {KILLED, 0}
    assert workers.run("backfill").acknowledged == [0]
    assert_done(learners)


def test_back_fill_that_is_killed_once_at_each_learner_loses_no_counter(workers: Workers) -> None:
    learners = learners_of_last_month(6)
    make_badge("busy", criteria=WEEKLY)
    assert workers.run("backfill", failpoints="backfill.judged:3").status == KILLED
    # Somebody who was judged already, and somebody who was not, go on meanwhile.
    task = make_challenge()
    for learner in (learners[0], learners[-1]):
        complete(learner, task)
    assert workers.run("backfill").acknowledged == [0]
    assert_done(learners)


def test_two_processes_judge_everybody_once(committed_db: Flask) -> None:
    learners = learners_of_last_month(20)
    make_badge("busy", criteria=WEEKLY)
    with started(committed_db, "rules", "backfill") as one, started(committed_db, "rules", "backfill") as two:
        assert [process.wait(60) for process in (one, two)] == [0, 0]
        outputs = [process.communicate()[0] for process in (one, two)]
    assert all(output.splitlines()[-1] == "nothing is left to do" for output in outputs)
    assert any("21/21 learners, 10 awarded, 0 taken back (done)" in output for output in outputs)
    assert_done(learners)


def test_a_relay_judges_the_past_and_ends_awards_between_its_batches(committed_db: Flask) -> None:
    learners = learners_of_last_month(4)
    with time_machine.travel(clock.now() - timedelta(days=2)):
        make_badge("day", valid_days=1)
        complete(learners[0], make_challenge())
    make_badge("busy", criteria=WEEKLY)
    with started(committed_db, "relay") as working:
        until(lambda: newest_job().state == "done")
        until(lambda: _day_is_over(learners[0]))
        working.send_signal(signal.SIGTERM)
        assert working.wait(10) == 0
    assert {learner.user_id for learner in learners[1::2]} <= _holders("busy")
    drain()
    assert_stores_agree()


def _day_is_over(learner: Actor) -> bool:
    db.session.remove()
    reason = sa.select(BadgeGrant.revoke_reason).where(
        BadgeGrant.badge_code == "day", BadgeGrant.user_id == learner.user_id
    )
    return db.session.scalar(reason) == "expired"


def _holders(code: str) -> set[int]:
    db.session.remove()
    held = sa.select(BadgeGrant.user_id).where(BadgeGrant.badge_code == code, BadgeGrant.revoked_at.is_(None))
    return set(db.session.scalars(held))


def test_the_command_says_what_is_left(committed_db: Flask) -> None:
    learners_of_last_month(2)
    make_badge("busy", criteria=WEEKLY)
    with started(committed_db, "rules", "backfill", DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/none") as failed:
        assert failed.wait(30) == 2
    with started(committed_db, "rules", "backfill") as first, started(committed_db, "rules", "backfill") as second:
        assert [first.wait(30), second.wait(30)] == [0, 0]
    with started(committed_db, "rules", "backfill", "--seconds", "0") as idle:
        assert idle.wait(30) == 0


@pytest.mark.parametrize(("criteria", "status"), [(WEEKLY, 0), ({"points": {"at_least": 1_000_000}}, 1)])
def test_the_lint_command_tells_a_clean_catalogue_by_its_exit(
    committed_db: Flask, criteria: object, status: int
) -> None:
    for _ in range(2):
        make_challenge()
    make_badge("busy", criteria=criteria, points=10_000)
    with started(committed_db, "rules", "lint") as plain, started(committed_db, "rules", "lint", "--json") as as_json:
        assert [plain.wait(30), as_json.wait(30)] == [status, status]
        lines, document = plain.communicate()[0].splitlines(), as_json.communicate()[0]
    assert len(lines) == status
    assert ('"code":"out_of_reach"' in document) == bool(status)


def test_who_joins_while_a_rule_is_written_is_not_passed_by(committed_db: Flask) -> None:
    first, second = (make_challenge() for _ in range(2))
    has_joined, may_commit = threading.Event(), threading.Event()

    def join() -> Actor:
        with transaction():
            late = make_actor()
            has_joined.set()
            may_commit.wait(1)
        return late

    def write() -> None:
        has_joined.wait(10)
        make_badge("busy", criteria=WEEKLY)
        run_backfills(60)
        may_commit.set()

    late = next(filter(None, in_threads(committed_db, join, write)))
    run_backfills(60)
    for task in (first, second):
        complete(late, task)
    assert count(BadgeGrant) == 1
