"""How the service itself is doing."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from rebootcamp.core.errors import DatabaseUnavailable, DomainError
from rebootcamp.events.pair import require_pair
from rebootcamp.events.store import fetch_backlog
from rebootcamp.storage.mongo import MongoUnavailable, client, guarded
from rebootcamp.storage.sql import Row


@dataclass(frozen=True)
class StoreHealth:
    """Whether a store answers, and how fast."""

    is_up: bool
    latency_ms: float | None = None


@dataclass(frozen=True)
class OutboxHealth:
    """What the relay has left to do."""

    pending: int
    oldest_seconds: float
    dead_letters: int


@dataclass(frozen=True)
class Readiness:
    """Both stores and the way between them; without PostgreSQL nothing is known about the outbox."""

    postgresql: StoreHealth
    mongodb: StoreHealth
    outbox: OutboxHealth | None
    # Why no request may be served. MongoDB alone being away is no reason: reads fall back to PostgreSQL.
    refusal: DomainError | None

    @property
    def is_degraded(self) -> bool:
        """Served, with one store away."""
        return not self.mongodb.is_up


def readiness() -> Readiness:
    """Ask both stores, and whether they belong together."""
    started = perf_counter()
    try:
        backlog = fetch_backlog()
    except DatabaseUnavailable as error:
        return Readiness(StoreHealth(is_up=False), _mongodb(), None, error)
    postgresql = StoreHealth(is_up=True, latency_ms=_elapsed_ms(started))
    return Readiness(postgresql, _mongodb(), _outbox(backlog), _unpaired())


def _outbox(row: Row) -> OutboxHealth:
    # An event stamped just ahead of the database's clock is as good as new.
    oldest = max(0.0, round(row["oldest_seconds"] or 0.0, 3))
    return OutboxHealth(row["pending"], oldest, row["dead_letters"])


def _unpaired() -> DomainError | None:
    try:
        require_pair()
    except MongoUnavailable:
        return None
    except DomainError as error:
        return error
    return None


def _mongodb() -> StoreHealth:
    started = perf_counter()
    try:
        with guarded():
            client().admin.command("ping")
    except MongoUnavailable:
        return StoreHealth(is_up=False)
    return StoreHealth(is_up=True, latency_ms=_elapsed_ms(started))


def _elapsed_ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 2)
