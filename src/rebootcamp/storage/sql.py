"""PostgreSQL: the engine, the entity base and the read connection."""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any

import psycopg2
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from rebootcamp.config import Settings
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
SCHEMA_MISSING = ("42P01", "42703")  # undefined table, undefined column

READS = "reads"  # the bind whose connections stay in autocommit
OPEN = "transaction_open"  # key in `Session.info`, set by `transaction()`

SESSION_LIMITS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
    "TimeZone": "UTC",
    # Every statement here is short: compiling one costs more than it ever takes to run.
    "jit": "off",
}


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the pool and connection limits; every wait is bounded so that a dead server cannot hold a worker."""
    return {
        "pool_size": settings.database_pool_size,
        "max_overflow": 2,
        "pool_timeout": 2,
        "pool_recycle": 1800,
        "pool_events": [(_refuse_dead, "checkout")],
        # An error message must not carry what people sent: it ends in a log.
        "hide_parameters": True,
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


def _refuse_dead(connection: Any, *_: object) -> None:
    """Let the pool replace a connection that the server closed: before anything was sent, and without a statement.

    A sound idle connection is silent; one that can be read from holds the server's farewell.
    """
    if connection.closed:
        raise InvalidatePoolError
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError


def reads_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the engine for reads: always in autocommit, so nothing is to be undone between two."""
    return {**options, "isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}


def is_connection_failure(error: Exception) -> bool:
    """Tell whether PostgreSQL was not there, as opposed to refusing the statement."""
    if isinstance(error, PoolTimeout):
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, psycopg2.Error):
        return False
    sqlstate = original.pgcode
    if sqlstate is None:
        # Without a state the server did not answer: the connection could not be made or broke.
        return isinstance(original, psycopg2.OperationalError | psycopg2.InterfaceError)
    return str(sqlstate)[:2] in CONNECTION_CLASSES and sqlstate != QUERY_CANCELED


def lacks_schema(error: Exception) -> bool:
    """Tell whether PostgreSQL answered that it has no such table or column."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(original, psycopg2.Error) and original.pgcode in SCHEMA_MISSING
