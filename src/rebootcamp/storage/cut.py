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
    """Both stores as they were at one moment: whatever PostgreSQL calls delivered is in MongoDB."""

    sql: Session
    mongo: ClientSession


@contextmanager
def common_cut() -> Iterator[Cut]:
    """Yield the cut. Relays wait only while the two snapshots are taken; commands never do."""
    with (
        db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        mongo.client().start_session(snapshot=True) as mongo_session,
        Session(bind=connection) as session,
    ):
        with exclusive(BARRIER):
            # Nobody switches the pair under the barrier, so name and snapshots belong together.
            mongo.forget()
            with mongo.guarded():
                mongo.database()["meta"].find_one({}, session=mongo_session)
            session.execute(sa.text("SET TRANSACTION READ ONLY"))
            session.execute(sa.text("SELECT set_config('statement_timeout', '0', true)"))
            session.execute(sa.text("SELECT set_config('idle_in_transaction_session_timeout', '0', true)"))
        yield Cut(session, mongo_session)
