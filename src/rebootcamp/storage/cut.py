"""A common cut: one moment at which both stores are read, while the service goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from pymongo.client_session import ClientSession
from sqlalchemy.orm import Session

from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, exclusive
from rebootcamp.storage.sql import db


@dataclass(frozen=True)
class Cut:
    """Both stores as they were at one moment: whatever PostgreSQL calls delivered is in MongoDB.

    Without a session of MongoDB it is this moment: whoever makes such a cut holds the barrier.
    """

    sql: Session
    mongo: ClientSession | None


@contextmanager
def common_cut() -> Iterator[Cut]:
    """Yield the cut. Relays wait only while the two snapshots are taken; commands never do."""
    with _reader() as session, mongo.client().start_session(snapshot=True) as mongo_session:
        with exclusive(BARRIER):
            with mongo.guarded():
                mongo.database()["meta"].find_one({}, session=mongo_session)
            _begin(session)
        yield Cut(session, mongo_session)


@contextmanager
def sql_snapshot() -> Iterator[Session]:
    """Yield PostgreSQL as it is at one moment; nobody waits."""
    with _reader() as session:
        _begin(session)
        yield session


@contextmanager
def _reader() -> Iterator[Session]:
    with (
        db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        Session(bind=connection) as session,
    ):
        yield session


def _begin(session: Session) -> None:
    session.execute(sa.text("SET TRANSACTION READ ONLY"))
    # Whole tables are read to their end, in the order of learners.
    limits = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "cursor_tuple_fraction": "1"}
    for name, value in limits.items():
        session.execute(sa.select(sa.func.set_config(name, value, True)))
