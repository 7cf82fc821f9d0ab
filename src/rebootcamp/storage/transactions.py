"""The only committer, and the translation of what PostgreSQL answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from rebootcamp.core.errors import Busy, DatabaseUnavailable, DomainError, OutcomeUnknown
from rebootcamp.core.failpoints import failpoint
from rebootcamp.storage.sql import OPEN, QUERY_CANCELED, UNSETTLED, db, is_connection_failure

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"


@contextmanager
def transaction() -> Iterator[Session]:
    """Yield the session of one unit of work: commit at the end of the outermost block, roll back on any exception.

    Nested blocks join the outer one. Raises `Busy`, `DatabaseUnavailable`, or `OutcomeUnknown` when the
    answer to COMMIT was lost.
    """
    session = db.session()
    if session.info.get(OPEN):
        yield session
        return
    session.info[OPEN] = True
    try:
        yield session
        session.flush()
        failpoint("transaction.before_commit")
        _commit(session)
        failpoint("transaction.after_commit")
    except (DBAPIError, PoolTimeout) as error:
        raise _translated(error) from error
    finally:
        # A no-op after a commit; on every other way out it undoes the work.
        _roll_back(session)
        session.info.clear()


def unsettle() -> None:
    """Say that the open transaction changes what is remembered under a version: see `statements.is_settled`."""
    db.session().info[UNSETTLED] = True


@contextmanager
def savepoint() -> Iterator[None]:
    """Undo only what happens inside the block when it raises."""
    with db.session().begin_nested():
        yield


@contextmanager
def translating(errors: Mapping[str, DomainError]) -> Iterator[None]:
    """Turn the violation of a named constraint into the domain's own error."""
    try:
        yield
        db.session().flush()
    except IntegrityError as error:
        name = str(getattr(getattr(error.orig, "diag", None), "constraint_name", ""))
        if name in errors:
            raise errors[name] from error
        raise


def _commit(session: Session) -> None:
    try:
        session.commit()
    except DBAPIError as error:
        if is_connection_failure(error):
            raise OutcomeUnknown from error
        raise


def _roll_back(session: Session) -> None:
    try:
        session.rollback()
    except SQLAlchemyError:
        session.invalidate()


def _translated(error: Exception) -> Exception:
    if is_connection_failure(error):
        return DatabaseUnavailable()
    sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
    return Busy() if sqlstate in (LOCK_NOT_AVAILABLE, QUERY_CANCELED, DEADLOCK) else error
