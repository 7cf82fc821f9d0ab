"""How the service itself is doing."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from rebootcamp.core.errors import DatabaseUnavailable
from rebootcamp.events.store import fetch_backlog
from rebootcamp.storage.mongo import MongoUnavailable, client, guarded


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

    @property
    def is_ready(self) -> bool:
        """Requests can be served: reads fall back to PostgreSQL when MongoDB is away."""
        return self.postgresql.is_up

    @property
    def is_degraded(self) -> bool:
        """Served, with one store away."""
        return not self.mongodb.is_up


def readiness() -> Readiness:
    """Ask both stores."""
    postgresql, outbox = _postgresql()
    return Readiness(postgresql, _mongodb(), outbox)


def _postgresql() -> tuple[StoreHealth, OutboxHealth | None]:
    started = perf_counter()
    try:
        row = fetch_backlog()
    except DatabaseUnavailable:
        return StoreHealth(is_up=False), None
    latency = _elapsed_ms(started)
    # An event stamped just ahead of the database's clock is as good as new.
    oldest = max(0.0, round(row["oldest_seconds"] or 0.0, 3))
    return StoreHealth(is_up=True, latency_ms=latency), OutboxHealth(row["pending"], oldest, row["dead_letters"])


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
