"""What tests about costs share: counting what a block asks of both stores, and lines of any length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2.extensions
import sqlalchemy as sa
from pymongo import monitoring

from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person

# Round trips beside BEGIN and COMMIT; the first one authenticates, the last one carries two statements.
# A change of these numbers is a decision, not an accident.
COMPLETION_ROUND_TRIPS = 3
COMPLETION_STATEMENTS = 4
COMPLETION_WITH_KEY = 8
HISTORIES = (3, 300, 3000)

_GROW = """
    INSERT INTO activity_events (
        event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    SELECT gen_random_uuid(), e.user_id, s.last_seq + n, e.type, e.version, e.payload, e.points, e.occurred_at,
        e.local_date, e.timezone
    FROM activity_events e JOIN learner_states s ON s.user_id = e.user_id, generate_series(1, :count) n
    WHERE e.user_id = :user_id AND e.type = 'challenge.completed' AND e.seq = 2"""
_QUEUE = """
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT e.event_id, e.user_id, e.seq, 0, e.occurred_at
    FROM activity_events e JOIN learner_states s ON s.user_id = e.user_id AND e.seq > s.last_seq
    WHERE e.user_id = :user_id"""
_ADVANCE = """
    UPDATE learner_states SET last_seq = last_seq + :count WHERE user_id = :user_id"""


@dataclass
class Cost:
    """What a block asked of each store."""

    sql: list[str] = field(default_factory=list)
    mongo: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.sql), len(self.mongo)

    @property
    def statements(self) -> int:
        """How many prepared statements were run: one round trip may carry several."""
        return "".join(self.sql).count("EXECUTE ")


@dataclass
class _Watched:
    """What runs now, if anybody counts it."""

    cost: Cost | None = None


_watched = _Watched()


class Finds(monitoring.CommandListener):
    """Notes what is asked of MongoDB."""

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if _watched.cost is not None:
            _watched.cost.mongo.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to count."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to count."""


class _CountingCursor(psycopg2.extensions.cursor):
    """Notes each statement that leaves for PostgreSQL, whichever way the code sends it."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        # Preparing is done once for each connection.
        if _watched.cost is not None and not str(query).startswith("PREPARE "):
            _watched.cost.sql.append(str(query))
        super().execute(query, parameters)


def _count_on(connection: Any, *_: Any) -> None:
    connection.cursor_factory = _CountingCursor


@contextmanager
def counted() -> Iterator[Cost]:
    """Count what is asked inside the block; of MongoDB only by clients that were made with a listener (`Finds`)."""
    _watched.cost = Cost()
    for engine in db.engines.values():
        sa.event.listen(engine, "checkout", _count_on)
    try:
        yield _watched.cost
    finally:
        _watched.cost = None
        for engine in db.engines.values():
            sa.event.remove(engine, "checkout", _count_on)


def grow(who: Person, length: int) -> None:
    """Lengthen a learner's line to so many events, all of them still to be delivered."""
    with transaction() as session:
        last_seq = session.scalar(sa.text("SELECT last_seq FROM learner_states WHERE user_id = :id"), {"id": who.id})
        parameters = {"user_id": who.id, "count": length - int(last_seq or 0)}
        for statement in (_GROW, _QUEUE, _ADVANCE):
            session.execute(sa.text(statement), parameters)
