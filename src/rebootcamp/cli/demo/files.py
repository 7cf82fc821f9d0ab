"""Where the demo data lie, and what of the stores they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from psycopg2 import extensions
from sqlalchemy.orm import Session

import rebootcamp.models.sql  # noqa: F401  registers every table
from rebootcamp.core import json
from rebootcamp.storage.sql import Base

DATA: Final = Path(__file__).resolve().parents[4] / "data"
SQL_DUMP: Final = DATA / "rebootcamp.sql"
MONGO_DUMP: Final = DATA / "mongo.json"
MONGO_FORMAT: Final = "rebootcamp-mongo"
MONGO_VERSION: Final = 1

# Secrets of devices, remembered answers and wrong ones are nobody's demo; a dump is only made when nothing waits.
LEFT_OUT: Final = frozenset({"refresh_tokens", "idempotency_keys", "answer_attempts", "outbox"})


def catalogue(name: str) -> list[dict[str, Any]]:
    """Return one of the hand-written lists: `challenges`, `goals`, `badges` or `learners`."""
    found: list[dict[str, Any]] = json.loads((DATA / "catalogue" / f"{name}.json").read_bytes())
    return found


def dumped_tables() -> list[sa.Table]:
    """Return the tables of the dump, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def raw_cursor(session: Session) -> extensions.cursor:
    """Return a cursor of the driver inside the session's transaction: COPY exists there only."""
    connection: Any = session.connection().connection.driver_connection
    cursor: extensions.cursor = connection.cursor()
    return cursor
