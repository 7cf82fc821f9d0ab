"""PostgreSQL: the engine, the entity base and the read connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from rebootcamp.config import Settings
from rebootcamp.core.errors import DatabaseUnavailable
from rebootcamp.core.json import dumps_text, loads

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# One row of a read, by column name.
Row = Mapping[Any, Any]


class Base(DeclarativeBase):
    """Base of every entity; plain SQLAlchemy, so that types stay visible to mypy."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {dict[str, Any]: JSONB}


db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})

CONNECTION_CLASSES = ("08", "53", "57")  # connection exception, insufficient resources, operator intervention
QUERY_CANCELED = "57014"

OPEN = "transaction_open"  # key in `Session.info`, set by `transaction()`

SESSION_LIMITS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
    "TimeZone": "UTC",
}


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the pool and connection limits; every wait is bounded so that a dead server cannot hold a worker."""
    return {
        "pool_size": settings.database_pool_size,
        "max_overflow": 2,
        "pool_timeout": 2,
        "pool_recycle": 1800,
        "json_serializer": dumps_text,
        "json_deserializer": loads,
        "connect_args": {
            "connect_timeout": 2,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 5000,
            "application_name": "rebootcamp",
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION_LIMITS.items()),
        },
    }


@contextmanager
def read_connection() -> Iterator[sa.Connection]:
    """Yield an autocommit connection: a read is one statement and one round trip."""
    try:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    except (DBAPIError, PoolTimeout) as error:
        if is_connection_failure(error):
            raise DatabaseUnavailable from error
        raise


def fetch_all(statement: str, parameters: Mapping[str, object]) -> Sequence[Row]:
    """Run one driver-level statement (`%(name)s` parameters) and return its rows; in autocommit unless a
    transaction is open.

    The first statement after a server restart meets a dead pooled connection; a read may simply be asked again.
    """
    try:
        return _fetch(statement, parameters)
    except DatabaseUnavailable:
        if in_transaction():
            raise
        return _fetch(statement, parameters)


def fetch_one(statement: str, parameters: Mapping[str, object]) -> Row | None:
    """Like `fetch_all`, for a statement that answers one row or none."""
    rows = fetch_all(statement, parameters)
    return rows[0] if rows else None


def _fetch(statement: str, parameters: Mapping[str, object]) -> Sequence[Row]:
    if in_transaction():
        # Inside a unit of work a read must see what that work has written.
        session = db.session()
        session.flush()
        return session.connection().exec_driver_sql(statement, parameters).mappings().all()
    with read_connection() as connection:
        return connection.exec_driver_sql(statement, parameters).mappings().all()


def in_transaction() -> bool:
    """Tell whether `transaction()` is open here."""
    return bool(db.session.registry.has() and db.session().info.get(OPEN))


def is_connection_failure(error: Exception) -> bool:
    """Tell whether PostgreSQL was not there, as opposed to refusing the statement."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    sqlstate = getattr(error.orig, "pgcode", None)
    if error.connection_invalidated or (sqlstate is None and isinstance(error, OperationalError)):
        return True
    return str(sqlstate)[:2] in CONNECTION_CLASSES and sqlstate != QUERY_CANCELED
