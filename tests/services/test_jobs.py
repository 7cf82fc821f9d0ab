"""Maintenance jobs: what goes, what stays, once at a time, and safe to kill."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.models.sql.accounts import RefreshToken
from rebootcamp.models.sql.backups import BackupMark
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.challenges import AnswerAttempts
from rebootcamp.models.sql.jobs import JobRun, UsageDay
from rebootcamp.models.sql.operations import IdempotencyKey
from rebootcamp.models.sql.pictures import ShareLink
from rebootcamp.services import pictures, tokens, workshops
from rebootcamp.services.challenges.errors import TooManyAttempts, WrongAnswer
from rebootcamp.services.jobs import DONE, FAILED, JOBS, RUNNING, Outcome, list_jobs, run_job
from rebootcamp.storage import batches, mongo
from rebootcamp.storage.locks import exclusive, job_lock
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import PASSWORD, admin, complete, drain, judge_the_past, make_actor, make_badge, make_challenge
from tests.factories.workshops import enter, make_workshop
from tests.relay.test_commands import NO_MONGODB
from tests.relay.tools import assert_stores_agree, count, execute, make_learners, refusing, started, until, waiting
from tests.services.stories import counted, edit

pytestmark = pytest.mark.usefixtures("committed_db")


def counts(name: str) -> dict[str, int]:
    """Run a job that must succeed, and return what it did."""
    outcome = run_job(name)
    assert (outcome.state, outcome.error) == (DONE, None)
    return dict(outcome.counts or {})


def later(**time: float) -> time_machine.travel:
    """Travel ahead."""
    return time_machine.travel(clock.now() + timedelta(**time), tick=True)


def state_of(name: str) -> str:
    db.session.remove()
    return next(status.state for status in list_jobs() if status.job.name == name)


def add_keys(number: int, age: timedelta) -> None:
    """Add stored answers of some age."""
    at = clock.now() - age
    rows = [
        {"scope": "user:1", "key": str(uuid4()), "request_hash": b"", "status": 200, "created_at": at}
        for _ in range(number)
    ]
    with transaction() as session:
        session.execute(sa.insert(IdempotencyKey), rows)


def test_refresh_tokens_go_when_their_life_is_over_and_not_before() -> None:
    make_actor(email="ada@example.org")
    spent = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    tokens.refresh(spent)
    assert counts("expired-tokens") == {"tokens": 0}
    with later(days=29):
        fresh = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
        assert counts("expired-tokens") == {"tokens": 0}
        with pytest.raises(tokens.RefreshTokenReused):
            tokens.refresh(spent)
    with later(days=31):
        assert counts("expired-tokens") == {"tokens": 2}
        assert count(RefreshToken) == 1
        tokens.refresh(fresh)


def test_stored_answers_go_after_a_day() -> None:
    add_keys(3, timedelta(hours=25))
    add_keys(2, timedelta(hours=23))
    assert counts("idempotency-keys") == {"keys": 3}
    assert count(IdempotencyKey) == 2


def test_counts_of_wrong_answers_go_when_the_pause_is_over() -> None:
    (ada,) = make_learners(1)
    quiz = make_challenge(validation="answer", answers=["yes"])
    for _ in range(5):
        with pytest.raises(WrongAnswer):
            complete(ada, quiz, "no")
    assert counts("answer-attempts") == {"attempts": 0}
    with pytest.raises(TooManyAttempts):
        complete(ada, quiz, "yes")
    with later(minutes=11):
        assert counts("answer-attempts") == {"attempts": 1}
        complete(ada, quiz, "yes")
    assert count(AnswerAttempts) == 0


def add_mark(days_ago: int) -> str:
    """Add the mark of a backup to both stores."""
    mark = BackupMark(id=uuid4(), created_at=clock.now() - timedelta(days=days_ago))
    with transaction() as session:
        session.add(mark)
    mongo.collection("backup_marks").insert_one({"_id": str(mark.id), "created_at": mark.created_at})
    return str(mark.id)


def marks() -> tuple[set[str], set[str]]:
    db.session.remove()
    rows = {str(id_) for id_ in db.session.scalars(sa.select(BackupMark.id))}
    return rows, {document["_id"] for document in mongo.collection("backup_marks").find()}


def test_old_marks_go_from_both_stores_but_the_newest_stays() -> None:
    _, newest = add_mark(60), add_mark(40)
    assert counts("outbox-marks") == {"marks": 1, "mark_documents": 1, "dead_letters": 0}
    assert marks() == ({newest}, {newest})
    young = add_mark(29)
    assert counts("outbox-marks")["marks"] == 1
    assert marks() == ({young}, {young})


def test_dead_letters_are_counted_and_stay() -> None:
    make_learners(1)
    with refusing("history", {"$jsonSchema": {"required": ["nothing"]}}):
        drain()
    execute("UPDATE outbox SET dead_at = now() - interval '400 days'")
    letters = len(waiting())
    assert letters > 0
    assert counts("outbox-marks")["dead_letters"] == letters
    assert len(waiting()) == letters


def test_nothing_is_forgotten_in_a_foreign_mongodb() -> None:
    add_mark(60), add_mark(40)
    before = marks()
    mongo.collection("meta").update_one({}, {"$set": {"store_id": str(uuid4())}})
    outcome = run_job("outbox-marks")
    assert (outcome.state, "ForeignMongoDatabase" in str(outcome.error)) == (FAILED, True)
    assert marks() == before


def test_superseded_backfills_go_and_the_newest_of_each_badge_stays() -> None:
    make_badge("busy", criteria=counted(3))
    for at_least in (4, 5):
        edit("busy", criteria=counted(at_least))
        judge_the_past()
    make_badge("other", criteria=counted(9))
    judge_the_past()
    with transaction() as session:
        newest = (
            session.execute(sa.select(sa.func.max(BackfillJob.id)).group_by(BackfillJob.badge_code)).scalars().all()
        )
    before = count(BackfillJob)
    assert before > len(newest)
    assert counts("archived-data")["backfills"] == 0
    with later(days=91):
        edit("busy", criteria=counted(6))
        assert counts("archived-data")["backfills"] == before - 1
    db.session.remove()
    left = db.session.scalars(sa.select(BackfillJob).order_by(BackfillJob.id)).all()
    assert [(job.badge_code, job.state) for job in left] == [("other", "done"), ("busy", "waiting")]


def test_share_links_go_a_month_after_their_end() -> None:
    (ada,) = make_learners(1)
    ends = clock.now() + timedelta(days=1)
    for expires_at in (ends, ends, None):
        pictures.create_share_link(ada, pictures.NewShareLink(expires_at=expires_at))
    with later(days=30):
        assert counts("archived-data")["share_links"] == 0
    with later(days=32):
        assert counts("archived-data")["share_links"] == 2
    assert count(ShareLink) == 1


def test_old_runs_go_but_each_job_keeps_its_last() -> None:
    for name in ("expired-tokens", "expired-tokens", "answer-attempts"):
        counts(name)
    with later(days=91):
        assert counts("archived-data")["runs"] == 1
        db.session.remove()
        names = db.session.scalars(sa.select(JobRun.name).order_by(JobRun.id)).all()
        assert names == ["expired-tokens", "answer-attempts", "archived-data"]


LEDGERS = ("activity_events", "xp_entries", "challenge_completions", "badge_grants", "leaderboard_places")


def test_no_job_touches_what_counts() -> None:
    (ada,) = make_learners(1)
    make_badge("first_step")
    complete(ada, make_challenge())
    drain()

    def rows() -> list[Any]:
        tables = [*LEDGERS, "learner_states", "users", "challenges", "group_memberships", "challenge_results"]
        return [db.session.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1, 2")).all() for table in tables]

    before = rows()
    with later(days=800):
        assert {run_job(name).state for name in JOBS} == {DONE}
    db.session.remove()
    assert rows() == before
    assert_stores_agree()


def test_days_are_counted_once_they_are_over_and_never_again() -> None:
    noon = clock.now().replace(hour=12)
    with time_machine.travel(noon - timedelta(days=40), tick=True):
        (ada,) = make_learners(1)
    assert counts("statistics")["days"] == 40
    with time_machine.travel(noon, tick=True):
        complete(ada, make_challenge())
    assert counts("statistics")["days"] == 0
    midnight = (noon + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    for seconds, days in ((30, 0), (90, 1), (90, 0)):
        with time_machine.travel(midnight + timedelta(seconds=seconds), tick=True):
            assert counts("statistics")["days"] == days
    db.session.remove()
    learned = db.session.scalars(sa.select(UsageDay.completions).order_by(UsageDay.day)).all()
    assert learned == [0] * 40 + [1]


def test_what_comes_by_itself_makes_nobody_active() -> None:
    noon = clock.now().replace(hour=12) - timedelta(days=1)
    with time_machine.travel(noon - timedelta(days=1), tick=True):
        (ada,) = make_learners(1)
        complete(ada, make_challenge())
    with time_machine.travel(noon, tick=True):
        make_badge("first_step")
        judge_the_past()
    counts("statistics")
    db.session.remove()
    day = db.session.get_one(UsageDay, noon.date())
    assert (day.learners, day.events, day.completions, day.xp) == (0, 1, 0, 10)


def test_who_is_taken_from_a_workshop_was_not_active_and_who_leaves_was() -> None:
    noon, workshop = clock.now().replace(hour=12) - timedelta(days=1), make_workshop(capacity=1)
    with time_machine.travel(noon - timedelta(days=1), tick=True):
        ada, bob = make_learners(2)
        for who in (ada, bob):
            enter(who, workshop)
    with time_machine.travel(noon, tick=True):
        workshops.remove_registration(admin(), workshop.id, ada.user_id)
        workshops.leave(bob, workshop.id)
    counts("statistics")
    db.session.remove()
    days = db.session.execute(
        sa.select(UsageDay.learners, UsageDay.events).order_by(UsageDay.day.desc()).limit(1)
    ).all()
    assert days == [(1, 3)]


def test_the_planner_learns_what_changed() -> None:
    make_learners(3)
    with db.engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    analysed = "SELECT coalesce(last_analyze, '-infinity') FROM pg_stat_user_tables WHERE relname = 'users'"
    before = clock.now()

    def is_known() -> bool:
        assert counts("statistics")["skipped"] == 0
        with db.engine.connect() as connection:
            return bool(connection.scalar(sa.text(f"SELECT ({analysed}) > :before"), {"before": before}))

    until(is_known)


def test_a_job_runs_once_at_a_time() -> None:
    add_keys(1, timedelta(hours=25))
    with exclusive(job_lock("idempotency-keys")):
        assert run_job("idempotency-keys") == Outcome("idempotency-keys", RUNNING)
        assert run_job("answer-attempts").state == DONE
    assert counts("idempotency-keys") == {"keys": 1}


def test_a_failure_is_kept_with_its_reason_and_healed_by_the_next_run() -> None:
    execute("ALTER TABLE answer_attempts RENAME TO hidden_attempts")
    try:
        outcome = run_job("answer-attempts")
    finally:
        execute("ALTER TABLE hidden_attempts RENAME TO answer_attempts")
    assert (outcome.state, "answer_attempts" in str(outcome.error)) == (FAILED, True)
    assert state_of("answer-attempts") == FAILED
    counts("answer-attempts")
    assert state_of("answer-attempts") == DONE


def test_rows_that_somebody_holds_are_left_for_the_next_run() -> None:
    add_keys(3, timedelta(hours=25))
    with db.engine.connect() as other, other.begin():
        other.execute(sa.text("SELECT 1 FROM idempotency_keys LIMIT 1 FOR UPDATE"))
        assert counts("idempotency-keys") == {"keys": 2}
    assert counts("idempotency-keys") == {"keys": 1}


def test_much_goes_in_batches_each_of_its_own() -> None:
    add_keys(2 * batches.BATCH + 5, timedelta(hours=25))
    told: list[str] = []
    assert run_job("idempotency-keys", told.append).counts == {"keys": 2 * batches.BATCH + 5}
    assert told == [f"idempotency-keys: {total}" for total in (1000, 2000, 2005)]


def test_a_killed_job_leaves_whole_batches_and_no_lock(committed_db: Flask) -> None:
    add_keys(2 * batches.BATCH, timedelta(hours=25))
    command = ("jobs", "run", "idempotency-keys")
    with started(committed_db, *command, TEST_FAILPOINTS="batch.deleted") as killed:
        assert killed.wait(30) == -signal.SIGKILL
    assert count(IdempotencyKey) == batches.BATCH
    until(lambda: state_of("idempotency-keys") == "interrupted")
    with started(committed_db, *command) as next_one:
        output, _ = next_one.communicate(timeout=30)
        assert (next_one.returncode, "keys=1000" in output) == (0, True), output
    assert (count(IdempotencyKey), state_of("idempotency-keys")) == (0, DONE)


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        (("--all",), {}, 0, "done     statistics"),
        (("expired-tokens", "outbox-marks"), NO_MONGODB, 1, "failed   outbox-marks"),
        (("answer-attempts", "expired-tokens"), {}, 75, "running  answer-attempts"),
        (("expired-tokens",), {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}, 2, "Error: "),
        ((), {}, 2, "Name jobs, or say --all."),
        (("--all", "statistics"), {}, 2, "Name jobs, or say --all."),
        (("nonsense",), {}, 2, "is not one of"),
    ],
)
def test_exit_codes(
    committed_db: Flask, arguments: tuple[str, ...], environment: dict[str, str], code: int, told: str
) -> None:
    held = "answer-attempts" if code == 75 else "none"
    with exclusive(job_lock(held)), started(committed_db, "jobs", "run", *arguments, **environment) as process:
        output, _ = process.communicate(timeout=30)
        assert (process.returncode, told in output) == (code, True), output


def test_the_list_tells_purpose_schedule_and_last_run(committed_db: Flask) -> None:
    counts("expired-tokens")
    with exclusive(job_lock("statistics")), started(committed_db, "jobs", "list", "--json", "--language", "fr") as told:
        output, _ = told.communicate(timeout=30)
    assert '"name":"expired-tokens","purpose":"Supprime les jetons' in output
    assert '"schedule":"10 3 * * *","state":"done"' in output
    # The lock is held, and the run that holds it has no row yet.
    assert '"schedule":"5 0 * * *","state":"running"' in output
