"""What the tests of the spine share: learners by the dozen, faults in MongoDB, both stores as plain values."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import sqlalchemy as sa
from flask import Flask, current_app
from pymongo import MongoClient

from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.ids import event_id
from rebootcamp.events.accounts import AccountRegistered
from rebootcamp.events.journal import lock_line, open_line, record
from rebootcamp.events.tables import PROJECTED_TABLES
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.progress import ActivityEvent, LearnerState, OutboxEntry
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema, declarations
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction

T = TypeVar("T")


def make_learners(count: int) -> list[Actor]:
    """Register learners, and the administrator that factories look for, without the price of hashing passwords."""
    if not is_registered("root@example.org"):
        register("root@example.org", "admin")
    return [register(f"learner{uuid4()}@example.org", "student") for _ in range(count)]


def is_registered(email: str) -> bool:
    """Tell whether there is such an account."""
    with transaction() as session:
        return session.scalar(sa.select(User.id).where(User.email == email)) is not None


def register(email: str, role: str) -> Actor:
    """Make an account that cannot sign in."""
    now = clock.now()
    user = User(email=email, role=role, password_hash="", first_name="A", last_name="B", display_name=email)
    user.created_at = user.updated_at = now
    with transaction() as session:
        session.add(user)
        session.flush()
        open_line(user.id)
        record(AccountRegistered(learner_id=user.id))
    return Actor(user.id, role)


def journal_size() -> int:
    """Return how many events there are."""
    return count(ActivityEvent)


def count(entity: type[Any]) -> int:
    """Return the number of rows, as committed now."""
    db.session.remove()
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(entity)) or 0)


def waiting(user_id: int | None = None) -> list[OutboxEntry]:
    """Return the outbox rows, in order."""
    db.session.remove()
    statement = sa.select(OutboxEntry).order_by(OutboxEntry.user_id, OutboxEntry.seq)
    if user_id is not None:
        statement = statement.where(OutboxEntry.user_id == user_id)
    return list(db.session.scalars(statement))


def execute(statement: str, **parameters: Any) -> None:
    """Run a statement in a transaction of its own, triggers and foreign keys switched off."""
    db.session.remove()
    with db.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(statement), parameters)


def restore_outbox() -> None:
    """Put every event back as if none had been delivered; what tables count leaves and comes with the outbox row."""
    execute("""
        INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
        SELECT event_id, user_id, seq, 0, now() - interval '1 second' FROM activity_events""")
    for table in PROJECTED_TABLES:
        execute(f"DELETE FROM {table.__tablename__}")


def make_due() -> None:
    """Let the time of every back-off pass."""
    execute("UPDATE outbox SET next_attempt_at = now() - interval '1 second'")


def append_foreign(user_id: int, event_type: str, payload: str = "{}") -> int:
    """Record an event of a type this version does not know, as a newer version of the service would; return its seq."""
    with transaction() as session:
        lock_line(user_id)
        seq = int(session.scalar(sa.select(LearnerState.last_seq).where(LearnerState.user_id == user_id)) or 0) + 1
        values = {"id": event_id(user_id, seq), "user": user_id, "seq": seq, "type": event_type, "payload": payload}
        for statement in (
            "UPDATE learner_states SET last_seq = :seq WHERE user_id = :user",
            """INSERT INTO activity_events (event_id, user_id, seq, type, version, payload, points, occurred_at,
               local_date, timezone) VALUES (:id, :user, :seq, :type, 1, CAST(:payload AS jsonb), 0,
               date_trunc('milliseconds', now()), current_date, 'UTC')""",
            """INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
               VALUES (:id, :user, :seq, 0, now() - interval '1 second')""",
        ):
            session.execute(sa.text(statement), values)
    return seq


def documents() -> dict[str, list[dict[str, Any]]]:
    """Return every projection as MongoDB shows it."""
    names = [declared["collection"] for declared in declarations() if declared["projection"]]
    return {name: list(mongo.collection(name).find().sort("_id")) for name in names}


def seqs_in_history(user_id: int) -> list[int]:
    """Return the sequence numbers of a learner's history documents."""
    return sorted(document["seq"] for document in mongo.collection("history").find({"user_id": user_id}))


def assert_stores_agree(pending: int = 0) -> None:
    """Fail with the findings of the integrity check."""
    db.session.remove()
    report = check_stores()
    assert report.findings == []
    assert report.pending == pending


@contextmanager
def fault(mode: Any = "alwaysOn", **data: Any) -> Iterator[None]:
    """Let mongod fail commands of the service for the length of the block (`failCommand`)."""
    # A client of its own: the one under test may come to think that there is no server.
    uri = current_app.config["REBOOTCAMP"].mongodb_uri
    with MongoClient[dict[str, Any]](uri, appname="saboteur") as saboteur:
        on = {"mode": mode, "data": {"appName": "rebootcamp", **data}}
        saboteur.admin.command({"configureFailPoint": "failCommand", **on})
        try:
            yield
        finally:
            saboteur.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@contextmanager
def refusing(collection: str, validator: dict[str, Any]) -> Iterator[None]:
    """Let MongoDB refuse documents that do not match, for the length of the block."""
    mongo.database().command("collMod", collection, validator=validator)
    try:
        yield
    finally:
        apply_schema(mongo.database())


def close_breaker(app: Flask) -> None:
    """Forget the failures so far, as a process that has just started would."""
    mongo.configure(app.config["REBOOTCAMP"])


def in_threads(app: Flask, *tasks: Callable[[], T]) -> list[T]:
    """Run each task in a thread with an application context of its own; raise what any of them raised."""

    def run(task: Callable[[], T]) -> T:
        with app.app_context():
            return task()

    with ThreadPoolExecutor(len(tasks)) as threads:
        return list(threads.map(run, tasks))


def environment(settings: Settings, **extra: str) -> dict[str, str]:
    """Return the environment of a process that works on the same stores."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(("src", ".")),
        "DATABASE_URL": settings.database_url,
        "MONGODB_URI": settings.mongodb_uri,
        "MONGODB_DATABASE": settings.mongodb_database,
        "SECRET_KEY": settings.secret_key,
        "APP_ENV": "test",
        "LOG_LEVEL": "CRITICAL",
        "TEST_FAILPOINTS": "",
        **extra,
    }


def flask_command(*arguments: str) -> list[str]:
    """Return the command line of a `flask` command."""
    return [sys.executable, "-m", "flask", "--app", "rebootcamp.wsgi", *arguments]


def attempts_later(entry: OutboxEntry) -> timedelta:
    """Return how long from now the entry waits for its next attempt."""
    return entry.next_attempt_at - clock.now()


@contextmanager
def started(app: Flask, *arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """Run a `flask` command beside the test; it outlives neither the block nor a minute."""
    process = subprocess.Popen(
        flask_command(*arguments),
        env=environment(app.config["REBOOTCAMP"], **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    too_long = threading.Timer(60, process.kill)
    too_long.start()
    with process:
        try:
            yield process
        finally:
            too_long.cancel()
            process.kill()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
