"""A common cut: one moment at which both stores are read, while the service goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from bson import Timestamp
from pymongo.client_session import ClientSession
from sqlalchemy.orm import Session

from rebootcamp.storage import locks, mongo
from rebootcamp.storage.sql import db

# What the texts of values look like: whoever compares hashes of rows must see the same.
FORMS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
# Whole tables are read to their end, in the order of learners.
LIMITS = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "cursor_tuple_fraction": "1"}
SNAPSHOT = sa.text(
    "SELECT pg_export_snapshot(), " + ", ".join(f"set_config('{name}', :{name}, true)" for name in LIMITS | FORMS)
)


@dataclass(frozen=True)
class Cut:
    """Both stores as they were at one moment: whatever PostgreSQL calls delivered is in MongoDB.

    Without a session of MongoDB it is this moment: whoever makes such a cut holds the barrier.
    """

    sql: Session
    mongo: ClientSession | None


@dataclass(frozen=True)
class CommonCut(Cut):
    """A cut with a name under which other connections see the same rows of PostgreSQL.

    Without a session of MongoDB (a standalone shows no past) the barrier holds relays off as long as the cut lasts.
    """

    snapshot: str
    barrier: locks.Barrier

    @property
    def cluster_time(self) -> Timestamp | None:
        """Return the moment of MongoDB's snapshot."""
        # The driver tells it nowhere else.
        return self.mongo._snapshot_time if self.mongo is not None else None


@contextmanager
def common_cut(mark: Callable[[], object] | None = None) -> Iterator[CommonCut]:
    """Yield the cut. Relays wait only while the two snapshots are taken; commands never do.

    `mark` is called first, behind the barrier. Raises `Busy` when relays do not make way.
    """
    with ExitStack() as stack:
        session = stack.enter_context(_reader())
        mongo_session = None
        if mongo.has_snapshots():
            mongo_session = stack.enter_context(mongo.client().start_session(snapshot=True))
        _warm(session)
        held = stack.enter_context(ExitStack())
        barrier = held.enter_context(locks.barrier())
        # Nobody switches the pair under the barrier, so name and snapshots belong together.
        mongo.forget()
        if mark:
            mark()
        with mongo.guarded():
            mongo.database()["meta"].find_one({}, session=mongo_session)
        cut = CommonCut(session, mongo_session, _snapshot(session), barrier)
        if mongo_session is not None:
            barrier.lift()
            held.close()
            yield cut
        else:
            with barrier.kept():
                yield cut
            barrier.lift()


@contextmanager
def sql_snapshot() -> Iterator[Session]:
    """Yield PostgreSQL as it is at one moment; nobody waits."""
    with _reader() as session:
        _snapshot(session)
        yield session


@contextmanager
def _reader() -> Iterator[Session]:
    with (
        db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        Session(bind=connection) as session,
    ):
        yield session


def _warm(session: Session) -> None:
    """Connect before the barrier is up: relays need not wait for that."""
    mongo.database_name()
    session.execute(sa.text("SELECT 1"))
    session.rollback()


def _snapshot(session: Session) -> str:
    """Begin to read; return the name under which other connections see the same rows.

    The lock was granted before the first statement that sees rows: the snapshot is not older than the barrier.
    """
    session.execute(sa.text("SET TRANSACTION READ ONLY"))
    return str(session.execute(SNAPSHOT, LIMITS | FORMS).scalar_one())
