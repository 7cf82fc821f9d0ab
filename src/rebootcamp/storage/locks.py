"""Advisory lock numbers of the service, kept in one place because they are global to a database."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from rebootcamp.core.errors import Busy
from rebootcamp.storage.sql import db

# Relays hold the shared side for each batch, and writers of natives for each write; a rebuild, a check or a backup
# takes the exclusive side for a moment.
BARRIER: Final = 7_203_001
# A backup holds the shared side; whoever changes tables or collections takes the exclusive one.
DDL: Final = 7_203_002
BACKFILL: Final = 7_203_003
# Relays hold the shared side while they write boards; who changes whether a learner is listed takes the exclusive one.
LISTING: Final = 7_203_004
# One rebuild at a time: what it left unfinished is then nobody's.
REBUILD: Final = 7_203_005
# One repair at a time: what two of them add to the same count would be added twice.
REPAIR: Final = 7_203_008
# Held in the `postgres` database, together with the hash of a name: one restore at a time of one database.
RESTORE: Final = 7_203_020
# The upper half of the numbers of maintenance jobs; the lower half comes from the name of the job.
JOBS: Final = 7_203

BARRIER_TRIES: Final = 6
BARRIER_PULSE: Final = 1.0
BARRIER_LIMITS: Final = {"lock_timeout": "2s", "idle_session_timeout": "5s", "statement_timeout": "0"}
# Longer than a transaction may idle: whoever freezes loses what it was about to commit before relays go on.
MENDING_LIMITS: Final = BARRIER_LIMITS | {"idle_session_timeout": "20s"}


@dataclass
class Barrier:
    """The exclusive side of `BARRIER`, on a connection of its own; should its holder freeze, it falls by itself."""

    connection: Connection
    since: float
    milliseconds: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def require(self) -> None:
        """Raise `Busy` where it had fallen by itself."""
        try:
            self._say_alive()
        except DBAPIError as error:
            raise Busy from error

    def lift(self) -> None:
        """Let relays go on; raise `Busy` where it had fallen by itself, and what was done behind it does not count."""
        try:
            unlock = self.connection.exec_driver_sql("SELECT pg_advisory_unlock(%(lock)s)", {"lock": BARRIER})
            is_freed = unlock.scalar() is True
        except DBAPIError as error:
            raise Busy from error
        if not is_freed:
            raise Busy
        self.milliseconds = (time.monotonic() - self.since) * 1000

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold it for long: as long as this process does not freeze, the connection is not idle."""
        is_over = threading.Event()

        def pulse() -> None:
            while not is_over.wait(BARRIER_PULSE):
                try:
                    self._say_alive()
                except DBAPIError:
                    # Whoever lifts it finds out.
                    return

        thread = threading.Thread(target=pulse, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _say_alive(self) -> None:
        with self._turn:
            self.connection.exec_driver_sql("SELECT 1")


@contextmanager
def barrier(limits: Mapping[str, str] = BARRIER_LIMITS) -> Iterator[Barrier]:
    """Hold relays off until the barrier is lifted, or the block left; raise `Busy` when they do not make way.

    Whoever waits for it holds them off too: it is tried for a short while, several times.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        for name, value in limits.items():
            connection.exec_driver_sql(f"SET {name} = '{value}'")
        for attempt in range(BARRIER_TRIES):
            try:
                connection.exec_driver_sql("SELECT pg_advisory_lock(%(lock)s)", {"lock": BARRIER})
                break
            except OperationalError as error:
                if attempt + 1 == BARRIER_TRIES:
                    raise Busy from error
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311
        yield Barrier(connection, time.monotonic())


@contextmanager
def shared(lock: int, wait: str = "2s") -> Iterator[None]:
    """Hold the shared side as `exclusive` holds the other; raise `Busy` when it is not free in time."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        connection.exec_driver_sql("SET lock_timeout = %(wait)s", {"wait": wait})
        try:
            connection.exec_driver_sql("SELECT pg_advisory_lock_shared(%(lock)s)", {"lock": lock})
        except OperationalError as error:
            raise Busy from error
        yield


@contextmanager
def exclusive(lock: int, wait: str = "60s") -> Iterator[None]:
    """Hold a lock on a connection of its own, so that it outlives transactions and dies with the process.

    Raises `Busy` when the lock is not free in time.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        connection.exec_driver_sql("SET lock_timeout = %(wait)s", {"wait": wait})
        connection.exec_driver_sql("SET statement_timeout = 0")
        try:
            connection.exec_driver_sql("SELECT pg_advisory_lock(%(lock)s)", {"lock": lock})
        except OperationalError as error:
            raise Busy from error
        yield


@contextmanager
def try_exclusive(lock: int) -> Iterator[bool]:
    """Hold a lock as `exclusive` does if it is free now, and say whether it was."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        yield bool(connection.exec_driver_sql("SELECT pg_try_advisory_lock(%(lock)s)", {"lock": lock}).scalar())


def share(session: Session, lock: int) -> None:
    """Hold the shared side until the transaction ends; who waits for the exclusive side goes first."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(lock)))


def hold(session: Session, lock: int) -> None:
    """Hold the exclusive side until the transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))


def job_lock(name: str) -> int:
    """Return the lock of a maintenance job."""
    return JOBS << 32 | crc32(name.encode())


def held_jobs(session: Session) -> set[int]:
    """Return the locks of maintenance jobs that some process holds now."""
    statement = sa.text("""
        SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND classid = :jobs
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")
    return set(session.scalars(statement, {"jobs": JOBS}))
