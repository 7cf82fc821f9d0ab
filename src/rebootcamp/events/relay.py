"""The relay: carries events to MongoDB, at least once, in order per learner. Any number of relays may run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.errors import DomainError
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.turns import IsOver
from rebootcamp.events.boards import add_to_boards
from rebootcamp.events.catalogue import project_catalogue
from rebootcamp.events.pair import require_pair
from rebootcamp.events.projection import Line, Outcome, project
from rebootcamp.events.savings import add_to_savings
from rebootcamp.events.store import readable, stream_events
from rebootcamp.storage.locks import BARRIER, hold, share
from rebootcamp.storage.mongo import MongoUnavailable
from rebootcamp.storage.sql import Row
from rebootcamp.storage.transactions import transaction

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 8
FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 30.0
OUTAGE_LONGEST_PAUSE: Final = 5.0
# Seconds between two rounds of chores, when nothing waits and when much does, and for one chore of a round.
CHORES_EVERY: Final = 1.0
CHORES_WHEN_BUSY: Final = 5.0
CHORE_SECONDS: Final = 0.25

# Work that waits for a quiet moment and needs PostgreSQL alone. It is told when its turn is over; any relay may go on.
Chore = Callable[[IsOver], object]

# What counts delivered rows: called in the transaction in which they leave the outbox, so once for each of them.
Projection = Callable[[Session, Sequence[Row]], None]
_projections: list[Projection] = [add_to_boards, add_to_savings]


def subscribe(projections: Sequence[Projection]) -> None:
    """Name the projections that belong to domains, beside those of the events themselves."""
    _projections[2:] = projections


# The head of each learner's line, found by hopping from learner to learner: the cost follows the number of
# learners that wait, not the length of their lines. Rows of a line that another relay holds are skipped, and a
# head that waits for its next attempt takes nobody's place in the batch.
_CLAIM: Final = sa.text("""
    WITH RECURSIVE heads AS (
        (SELECT user_id, event_id, next_attempt_at FROM outbox
         WHERE dead_at IS NULL AND user_id > :after ORDER BY user_id, seq LIMIT 1)
        UNION ALL
        SELECT next.* FROM heads CROSS JOIN LATERAL (
            SELECT user_id, event_id, next_attempt_at FROM outbox
            WHERE dead_at IS NULL AND user_id > heads.user_id ORDER BY user_id, seq LIMIT 1) AS next
    ), due AS (SELECT event_id FROM heads WHERE next_attempt_at <= :now LIMIT :learners)
    SELECT user_id FROM outbox
    WHERE event_id IN (SELECT event_id FROM due) AND next_attempt_at <= :now AND dead_at IS NULL
    FOR UPDATE SKIP LOCKED
""")
_RUNS: Final = sa.text("""
    SELECT e.*, o.attempts FROM unnest(CAST(:user_ids AS bigint[])) AS learner (id)
    CROSS JOIN LATERAL (
        SELECT event_id, attempts FROM outbox
        WHERE user_id = learner.id AND dead_at IS NULL ORDER BY user_id, seq LIMIT :run) AS o
    JOIN activity_events AS e ON e.event_id = o.event_id
    ORDER BY e.user_id, e.seq
""")
_SETTLE: Final = sa.text("DELETE FROM outbox WHERE event_id = ANY(CAST(:event_ids AS uuid[])) RETURNING event_id")
_POSTPONE: Final = sa.text("""
    UPDATE outbox SET attempts = attempts + 1, last_error = :error,
        next_attempt_at = CAST(:now AS timestamptz) + make_interval(
            secs => least(:longest, :first * power(2, attempts))::double precision),
        dead_at = CASE WHEN attempts + 1 >= :max_attempts THEN CAST(:now AS timestamptz) END
    WHERE event_id = :event_id
""")


@dataclass(frozen=True)
class Batch:
    """What one round did; `next_after` is where the following round goes on."""

    delivered: int = 0
    refused: int = 0
    next_after: int = 0


class Relay:
    """One relay process: `deliver_batch` is one round, `run` is all of them until told to stop."""

    def __init__(self, batch: int, poll_seconds: float, chores: Sequence[Chore] = ()) -> None:
        self._batch = batch
        self._poll_seconds = poll_seconds
        self._chores = chores
        self._chores_done = -CHORES_WHEN_BUSY
        self._after = 0

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; an outage is waited out, with longer and longer pauses."""
        pause = self._poll_seconds
        while not stop.is_set():
            try:
                batch = self.deliver_batch()
            except (MongoUnavailable, DomainError) as error:
                detail = error.detail_in("en") if isinstance(error, DomainError) else str(error)[:300]
                log.warning("relay.waiting", reason=type(error).__name__, detail=detail, seconds=round(pause, 2))
                if isinstance(error, MongoUnavailable):
                    self._do_chores(stop, CHORES_EVERY)
                stop.wait(pause)
                pause = min(pause * 2, OUTAGE_LONGEST_PAUSE)
                continue
            pause = self._poll_seconds
            is_quiet = batch.delivered < self._batch
            self._do_chores(stop, CHORES_EVERY if is_quiet else CHORES_WHEN_BUSY)
            # Fewer and fuller batches: reads fold what waits, so nobody sees the pause, and every command gains.
            if is_quiet:
                stop.wait(self._poll_seconds)

    def _do_chores(self, stop: threading.Event, every: float) -> None:
        if time.monotonic() < self._chores_done + every:
            return
        for chore in self._chores:
            if stop.is_set():
                return
            try:
                chore(_turn(stop))
            except Exception as error:
                # Whatever goes wrong with a chore, events must go on; it is tried again in a while.
                log.exception(
                    "relay.chore_failed", chore=getattr(chore, "__name__", "chore"), reason=type(error).__name__
                )
        self._chores_done = time.monotonic()

    def drain(self) -> int:
        """Deliver until nothing is due; return how many events were delivered."""
        total = 0
        while True:
            batch = self.deliver_batch()
            total += batch.delivered
            if not batch.delivered and not batch.refused:
                return total

    def deliver_batch(self) -> Batch:
        """Deliver one batch; raise `MongoUnavailable` or a `DomainError` when a store is away or another's.

        Nothing is counted then.
        """
        project_catalogue()
        batch = self._deliver_after(self._after)
        if not batch.delivered and not batch.refused and self._after:
            batch = self._deliver_after(0)
        self._after = batch.next_after
        return batch

    def _deliver_after(self, after: int) -> Batch:
        with transaction() as session:
            share(session, BARRIER)
            lines = self._claim(session, after)
            if not lines:
                return Batch()
            require_pair()
            failpoint("relay.claimed")
            outcome = project(lines, lambda user_id: readable(stream_events(session, user_id)))
            failpoint("relay.after_mongo")
            _settle(session, outcome)
            return Batch(len(outcome.delivered), len(outcome.refused), lines[-1][0]["user_id"])

    def _claim(self, session: Session, after: int) -> list[Line]:
        parameters = {"after": after, "learners": self._batch, "now": clock.now()}
        user_ids = list(session.scalars(_CLAIM, parameters))
        if not user_ids:
            return []
        run = max(1, self._batch // len(user_ids))
        rows = session.execute(_RUNS, {"user_ids": user_ids, "run": run}).mappings().all()
        return [list(line) for _, line in groupby(rows, key=lambda row: row["user_id"])]


def _turn(stop: threading.Event) -> IsOver:
    end = time.monotonic() + CHORE_SECONDS
    return lambda: stop.is_set() or time.monotonic() >= end


def _settle(session: Session, outcome: Outcome) -> None:
    if outcome.delivered:
        settled = set(session.scalars(_SETTLE, {"event_ids": [row["event_id"] for row in outcome.delivered]}))
        # Only what left the outbox here counts here: whoever removes the row adds the points.
        counted = [row for row in outcome.delivered if row["event_id"] in settled]
        for add in _projections:
            add(session, counted)
    for event_id, reason in outcome.refused.items():
        log.error("relay.refused", event_id=str(event_id), reason=reason)
        parameters = {"first": FIRST_DELAY, "longest": LONGEST_DELAY, "max_attempts": MAX_ATTEMPTS}
        session.execute(_POSTPONE, {"event_id": event_id, "error": reason, "now": clock.now(), **parameters})


def redrive() -> int:
    """Give every dead letter another series of attempts; return how many there were.

    One attempt stays on record: it tells the projection that later events may have passed this one. No batch may
    be under way: it would go on with a line whose head is now another. Raises `Busy` when one takes too long.
    """
    with transaction() as session:
        # Barrier and commit are of one life: who freezes here loses both.
        session.execute(sa.text("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'"))
        hold(session, BARRIER)
        return revive(session)


def revive(session: Session) -> int:
    """Do what `redrive` promises, for who holds off the relays already."""
    statement = sa.text(
        "UPDATE outbox SET dead_at = NULL, attempts = 1, next_attempt_at = :now WHERE dead_at IS NOT NULL"
    )
    result = session.execute(statement, {"now": clock.now() - timedelta(seconds=1)})
    return int(result.rowcount)  # type: ignore[attr-defined]
