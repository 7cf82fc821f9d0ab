"""Driver-level statements for the hot paths: planned once for each connection, rows as plain dicts.

Each statement is prepared on its pooled connection at the first use. That saves PostgreSQL the planning and this
process the compiling and the result metadata, together more than the query itself costs (docs/performance.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import psycopg2
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from rebootcamp.core.errors import Busy, DatabaseUnavailable
from rebootcamp.storage.sql import OPEN, QUERY_CANCELED, READS, UNSETTLED, Row, db, is_connection_failure

CONNECTION: Final = "connection"  # key in `Session.info`, for the length of a transaction

Parameters = Mapping[str, object]
Statement = tuple[str, Parameters]

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
# A migration changed what a statement returns, or something else dropped the statement: prepare it again.
_STALE_PLAN: Final = ("0A000", "26000")


class _StalePlan(Exception):
    """The connection's prepared statement is no longer usable."""


@dataclass(frozen=True)
class _Prepared:
    name: str
    prepare: str
    execute: str
    parameters: tuple[str, ...]


_Call = tuple[_Prepared, Parameters]


def fetch_all(statement: str, parameters: Parameters) -> Sequence[Row]:
    """Run a statement (`%(name)s` parameters) and return its rows.

    In autocommit, unless a transaction is open: then it belongs to it. Raises `DatabaseUnavailable`; `Busy` when
    the statement took too long; inside a transaction SQLAlchemy's errors, which `transaction()` translates.
    """
    prepared = _prepared(statement)
    if in_transaction():
        return _run_in_transaction((prepared, parameters))
    return _run_alone(prepared, parameters)


def fetch_one(statement: str, parameters: Parameters) -> Row | None:
    """Like `fetch_all`, for a statement that answers one row or none."""
    rows = fetch_all(statement, parameters)
    return rows[0] if rows else None


def run_all(statements: Sequence[Statement]) -> None:
    """Run statements whose rows nobody needs one after the other, in one round trip of the open transaction."""
    _run_in_transaction(*((_prepared(statement), parameters) for statement, parameters in statements))


def run_apart(statement: str, parameters: Parameters) -> None:
    """Run a statement that stays whatever becomes of an open transaction; after an outage, perhaps twice."""
    _run_alone(_prepared(statement), parameters)


def in_transaction() -> bool:
    """Tell whether `transaction()` is open here."""
    return bool(db.session.registry.has() and db.session().info.get(OPEN))


def is_settled() -> bool:
    """Tell whether what is read here may be remembered: it may not while an edit of it could still be undone.

    Then its version could come again with another content.
    """
    return not (db.session.registry.has() and db.session().info.get(UNSETTLED))


def _run_in_transaction(*calls: _Call) -> Sequence[Row]:
    session = db.session()
    session.flush()
    # Asking the session each time costs as much as sending a small statement.
    connection: Connection = session.info.get(CONNECTION) or session.info.setdefault(CONNECTION, session.connection())
    try:
        return _execute(connection.connection, *calls)
    except psycopg2.Error as error:
        is_disconnect = is_connection_failure(error)
        if is_disconnect or error.pgcode in _STALE_PLAN:
            connection.invalidate(error)
        if is_disconnect:
            # All pooled connections were made to the server that went away: one command finds out for all.
            db.engine.dispose()
        raise DBAPIError.instance(
            calls[-1][0].execute, None, error, psycopg2.Error, connection_invalidated=is_disconnect
        ) from error


def _run_alone(prepared: _Prepared, parameters: Parameters) -> Sequence[Row]:
    try:
        return _read(prepared, parameters)
    except (DatabaseUnavailable, _StalePlan):
        # The first statement after a server restart meets a dead connection: it may simply be asked again.
        return _read(prepared, parameters)


def _read(prepared: _Prepared, parameters: Parameters) -> Sequence[Row]:
    try:
        connection = db.engines[READS].raw_connection()
    # Waiting for the pool fails as SQLAlchemy says it, connecting as the driver does.
    except (SQLAlchemyError, psycopg2.Error) as error:
        if is_connection_failure(error):
            raise DatabaseUnavailable from error
        raise
    try:
        return _execute(connection, (prepared, parameters))
    except psycopg2.Error as error:
        raise _after_failure(connection, error) from error
    finally:
        connection.close()


def _execute(connection: PoolProxiedConnection, *calls: _Call) -> Sequence[Row]:
    """Run the calls in one round trip and return the rows of the last one."""
    known: set[str] = connection.info.setdefault("prepared", set())
    with closing(connection.cursor()) as cursor:
        for prepared, _ in calls:
            if prepared.name not in known:
                cursor.execute(prepared.prepare)
                known.add(prepared.name)
        cursor.execute(
            "; ".join([prepared.execute for prepared, _ in calls]),
            [parameters[name] for prepared, parameters in calls for name in prepared.parameters],
        )
        if not cursor.description:
            return []
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _after_failure(connection: PoolProxiedConnection, error: psycopg2.Error) -> Exception:
    if is_connection_failure(error):
        # All pooled connections were made to the server that went away.
        connection.invalidate(error)
        db.engines[READS].dispose()
        return DatabaseUnavailable()
    if error.pgcode in _STALE_PLAN:
        connection.invalidate(error)
        return _StalePlan()
    return Busy() if error.pgcode == QUERY_CANCELED else error


@lru_cache(maxsize=512)
def _prepared(statement: str) -> _Prepared:
    names = tuple(dict.fromkeys(_PARAMETER.findall(statement)))
    numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", statement)
    name = "rebootcamp_" + hashlib.sha256(statement.encode()).hexdigest()[:16]
    slots = f" ({', '.join(['%s'] * len(names))})" if names else ""
    return _Prepared(name, f"PREPARE {name} AS {numbered}", f"EXECUTE {name}{slots}", names)
