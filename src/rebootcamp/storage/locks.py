"""Advisory lock numbers of the service, kept in one place because they are global to a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from rebootcamp.core.errors import Busy
from rebootcamp.storage.sql import db

# Relays hold the shared side for each batch; a rebuild, a check or a backup takes the exclusive side for a moment.
BARRIER: Final = 7_203_001
DDL: Final = 7_203_002
BACKFILL: Final = 7_203_003
# Relays hold the shared side while they write boards; who changes whether a learner is listed takes the exclusive one.
LISTING: Final = 7_203_004
# One repair at a time: what two of them add to the same count would be added twice.
REPAIR: Final = 7_203_008


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
