"""Deleting much in little pieces: each commits for itself, and nobody waits for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from rebootcamp.core.failpoints import failpoint
from rebootcamp.storage.sql import Base
from rebootcamp.storage.transactions import transaction

BATCH: Final = 1000


def delete_in_batches(
    entity: type[Base], is_over: sa.ColumnElement[bool], on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Delete the rows that fulfil a condition and that nobody holds; tell the total after each batch and return it."""
    key, total = sa.inspect(entity).primary_key, 0
    # Not a subquery: the planner might run that once for each row, and each time it would pick others.
    due = sa.select(*key).where(is_over).limit(BATCH).with_for_update(skip_locked=True).cte("due")
    statement = sa.delete(entity).where(sa.tuple_(*key).in_(sa.select(due)))
    while True:
        with transaction() as session:
            deleted = _rows(session.execute(statement, execution_options={"synchronize_session": False}))
        failpoint("batch.deleted")
        total += deleted
        if deleted:
            on_progress(total)
        if deleted < BATCH:
            return total


def _rows(result: Any) -> int:
    return int(result.rowcount)
