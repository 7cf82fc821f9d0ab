"""Reading the journal: the only queries on events and outbox outside the writer and the relay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.events.facts import RecordedEvent, Row, UnreadableEvent, recorded_from_row
from rebootcamp.models.sql.progress import ActivityEvent

STREAM_ROWS: Final = 2000

# As a JSON value inside a larger statement: the learner's events after a sequence number, oldest first.
EVENT_JSON: Final = """jsonb_build_object(
    'event_id', e.event_id, 'user_id', e.user_id, 'seq', e.seq, 'type', e.type, 'version', e.version,
    'payload', e.payload, 'occurred_at', e.occurred_at, 'local_date', e.local_date, 'timezone', e.timezone)"""


def stream_events(session: Session, user_id: int | None = None) -> Iterator[Row]:
    """Yield event rows ordered by learner and sequence, in constant memory."""
    statement = sa.select(ActivityEvent.__table__).order_by(ActivityEvent.user_id, ActivityEvent.seq)
    if user_id is not None:
        statement = statement.where(ActivityEvent.user_id == user_id)
    result = session.execute(statement, execution_options={"yield_per": STREAM_ROWS})
    yield from result.mappings()


def readable(rows: Iterable[Row]) -> Iterator[RecordedEvent]:
    """Decode rows, leaving out those that this version cannot read."""
    for row in rows:
        try:
            yield recorded_from_row(row)
        except UnreadableEvent:
            continue
