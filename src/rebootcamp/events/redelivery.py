"""Putting events back into the outbox, and the outbox itself right, so that any relay brings documents back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.storage.sql import Row

# One attempt stays on record, as in `redrive`: it tells the projection that later events have passed these.
_AGAIN: Final = sa.text("""
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT event_id, user_id, seq, 1, :now FROM activity_events
    WHERE user_id = :user_id AND seq = ANY(CAST(:seqs AS bigint[]))
    ON CONFLICT (event_id) DO NOTHING""")
_REVIVE: Final = sa.text("""
    UPDATE outbox SET dead_at = NULL, attempts = 1, next_attempt_at = :now
    WHERE dead_at IS NOT NULL AND (CAST(:user_id AS bigint) IS NULL OR user_id = :user_id)""")
_RENAME: Final = sa.text("""
    UPDATE outbox o SET user_id = e.user_id, seq = e.seq FROM activity_events e
    WHERE e.event_id = o.event_id AND (o.user_id, o.seq) IS DISTINCT FROM (e.user_id, e.seq)
        AND (CAST(:user_id AS bigint) IS NULL OR :user_id IN (o.user_id, e.user_id))
    RETURNING o.event_id""")
_ORPHANS: Final = sa.text("""
    SELECT o.* FROM outbox o LEFT JOIN activity_events e ON e.event_id = o.event_id
    WHERE e.event_id IS NULL AND (CAST(:user_id AS bigint) IS NULL OR o.user_id = :user_id)""")
_DISMISS: Final = sa.text("DELETE FROM outbox WHERE event_id = ANY(CAST(:event_ids AS uuid[]))")


def deliver_again(session: Session, user_id: int, seqs: Sequence[int]) -> None:
    """Mark delivered events of a learner as not yet shown. What tables count of them is the caller's to take back.

    The caller holds the barrier: a batch that is under way would go on with a line whose head is now another.
    """
    session.execute(_AGAIN, {"user_id": user_id, "seqs": list(seqs), "now": _just_now()})


def revive(session: Session, user_id: int | None) -> int:
    """Give dead letters, of one learner or of all, another series of attempts; return how many. As `deliver_again`."""
    return _changed(session, _REVIVE, {"user_id": user_id, "now": _just_now()})


def rename_waiting(session: Session, user_id: int | None) -> int:
    """Give outbox rows the learner and the place that their events have; return how many. As `deliver_again`."""
    return _changed(session, _RENAME, {"user_id": user_id})


def list_orphans(session: Session, user_id: int | None) -> list[Row]:
    """Return the outbox rows of no event."""
    return list(session.execute(_ORPHANS, {"user_id": user_id}).mappings())


def dismiss(session: Session, rows: Sequence[Row]) -> None:
    """Take rows out of the outbox."""
    session.execute(_DISMISS, {"event_ids": [row["event_id"] for row in rows]})


def _just_now() -> Any:
    return clock.now() - timedelta(seconds=1)


def _changed(session: Session, statement: sa.TextClause, parameters: dict[str, Any]) -> int:
    return int(session.execute(statement, parameters).rowcount)  # type: ignore[attr-defined]
