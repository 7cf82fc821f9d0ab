"""Dropping every projection and replaying the journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import pymongo
import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.boards import forget_boards
from rebootcamp.events.pair import require_pair
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.challenges import TeamContribution
from rebootcamp.models.sql.eco import EcoContribution, EcoTotal
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import OutboxEntry
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, exclusive
from rebootcamp.storage.mongo_schema import apply_schema, declarations, empty_collection
from rebootcamp.storage.transactions import transaction

DROP_SECONDS = 60
PAUSE_SECONDS = 0.05
PROJECTED_TABLES = (EcoTotal, EcoContribution, TeamContribution)

# One attempt stays on record, as in `redrive`: should the drop not come, later events may have passed a dead one.
_ENQUEUE = sa.text("""
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT event_id, user_id, seq, 0, :now FROM activity_events
    ON CONFLICT (event_id) DO UPDATE
    SET attempts = least(outbox.attempts, 1), dead_at = NULL, last_error = NULL, next_attempt_at = :now
""")


def drop_projections() -> int:
    """Forget all projections and mark every event as not yet shown; return the number of events.

    Relays are held off meanwhile; reads go on, from PostgreSQL. The outbox is filled first, so a kill at any
    point leaves a store that any relay brings back. Raises `MongoUnavailable`, `Unpaired`.
    """
    with exclusive(BARRIER):
        require_pair()
        events = _enqueue_everything()
        failpoint("rebuild.before_drop")
        with mongo.guarded(), pymongo.timeout(DROP_SECONDS):
            database = mongo.database()
            for declared in declarations():
                if declared["projection"]:
                    empty_collection(database, declared)
                    failpoint("rebuild.swapped")
            apply_schema(database)
        failpoint("rebuild.after_drop")
        return events


def _enqueue_everything() -> int:
    with transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        result = session.execute(_ENQUEUE, {"now": clock.now()})
        forget_boards(session)
        for projection in PROJECTED_TABLES:
            session.execute(sa.delete(projection))
        session.execute(sa.text("UPDATE badge_definitions SET projected_version = 0"))
        # Whoever asked MongoDB a moment ago may find nothing there: the tag of such an answer must not live on.
        session.execute(sa.update(AppMeta).values(rules_version=AppMeta.rules_version + 1))
        return int(result.rowcount)  # type: ignore[attr-defined]


def replay(relay: Relay, on_progress: Callable[[int], None]) -> int:
    """Deliver everything that waits, or see other relays deliver it; tell how many events are done after each batch."""
    done, started = 0, clock.now()
    while True:
        batch = relay.deliver_batch()
        if batch.delivered or batch.refused:
            done += batch.delivered
            on_progress(done)
        elif _waits(started):
            time.sleep(PAUSE_SECONDS)
        else:
            return done


def _waits(since: datetime) -> bool:
    """Tell whether an event that was due then is still alive in the outbox; newer ones are no business of a replay."""
    with transaction() as session:
        due = sa.select(OutboxEntry).where(OutboxEntry.dead_at.is_(None), OutboxEntry.next_attempt_at <= since)
        return session.scalar(sa.select(due.exists())) is True
