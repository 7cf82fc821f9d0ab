"""Dropping every projection and replaying the journal."""

from __future__ import annotations

from collections.abc import Callable

import pymongo
import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.relay import Relay
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, exclusive
from rebootcamp.storage.mongo_schema import apply_schema, declarations
from rebootcamp.storage.transactions import transaction

REBUILD_BATCH = 2000
DROP_SECONDS = 60

_ENQUEUE = sa.text("""
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT event_id, user_id, seq, 0, :now FROM activity_events
    ON CONFLICT (event_id) DO UPDATE SET attempts = 0, dead_at = NULL, last_error = NULL, next_attempt_at = :now
""")


def drop_projections() -> int:
    """Forget all projections and mark every event as not yet shown; return the number of events.

    Relays are held off meanwhile; reads go on, from PostgreSQL. The outbox is filled first, so a kill at any
    point leaves a store that any relay brings back.
    """
    with exclusive(BARRIER):
        events = _enqueue_everything()
        failpoint("rebuild.before_drop")
        with mongo.guarded(), pymongo.timeout(DROP_SECONDS):
            database = mongo.database()
            for declared in declarations():
                if declared["projection"]:
                    database.drop_collection(declared["collection"])
            apply_schema(database)
        failpoint("rebuild.after_drop")
        return events


def _enqueue_everything() -> int:
    with transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        result = session.execute(_ENQUEUE, {"now": clock.now()})
        session.execute(sa.text("DELETE FROM leaderboard_entries"))
        session.execute(sa.text("UPDATE badge_definitions SET projected_version = 0"))
        return int(result.rowcount)  # type: ignore[attr-defined]


def replay(relay: Relay, on_progress: Callable[[int], None]) -> int:
    """Deliver everything that waits; tell how many events are done after each batch."""
    done = 0
    while True:
        batch = relay.deliver_batch()
        if not batch.delivered and not batch.refused:
            return done
        done += batch.delivered
        on_progress(done)
