"""How the service itself is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import psycopg2
from sqlalchemy.exc import DBAPIError

from rebootcamp.core.errors import DatabaseUnavailable, DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.events.pair import require_pair
from rebootcamp.events.store import fetch_backlog
from rebootcamp.services import mails
from rebootcamp.services.jobs import FAILED, INTERRUPTED, list_jobs
from rebootcamp.storage.mongo import MongoUnavailable, client, guarded
from rebootcamp.storage.sql import Row, lacks_schema


class UnpreparedDatabase(DomainError):
    """PostgreSQL answers, and this version of the service cannot work with what is in it."""

    kind = Kind.UNAVAILABLE
    code = "unprepared_database"
    title = Text("Database not prepared", "Base de données non préparée")
    detail = Text(
        "PostgreSQL answers, but its tables are missing or older than this version: run flask prepare.",
        "PostgreSQL répond, mais ses tables manquent ou précèdent cette version : lancez flask prepare.",
    )
    retry_after = 30


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
    """Both stores and the way between them; without PostgreSQL nothing is known about what waits."""

    postgresql: StoreHealth
    mongodb: StoreHealth
    outbox: OutboxHealth | None
    # What waits to be sent, and what was given up: no reason to serve nobody.
    mails: mails.Backlog | None
    # Maintenance jobs whose last run failed or died.
    troubled_jobs: Sequence[str] | None
    # Why no request may be served. MongoDB alone being away is no reason: reads fall back to PostgreSQL.
    refusal: DomainError | None

    @property
    def is_degraded(self) -> bool:
        """Served, with one store away."""
        return not self.mongodb.is_up

    def figures(self) -> Mapping[str, float]:
        """Return what to watch, as numbers; what is unknown is left out."""
        found: dict[str, float] = {
            "ready": self.refusal is None,
            "postgresql_up": self.postgresql.is_up,
            "mongodb_up": self.mongodb.is_up,
        }
        if self.outbox is not None:
            found |= {f"outbox_{name}": value for name, value in vars(self.outbox).items()}
        if self.mails is not None:
            found |= {f"mails_{name}": value for name, value in vars(self.mails).items()}
        if self.troubled_jobs is not None:
            found["troubled_jobs"] = len(self.troubled_jobs)
        return found


def readiness() -> Readiness:
    """Ask both stores, and whether they belong together."""
    started = perf_counter()
    try:
        backlog, unsent = fetch_backlog(), mails.backlog()
        postgresql = StoreHealth(is_up=True, latency_ms=_elapsed_ms(started))
        troubled = [status.job.name for status in list_jobs() if status.state in (FAILED, INTERRUPTED)]
    except DatabaseUnavailable as error:
        return Readiness(StoreHealth(is_up=False), _mongodb(), None, None, None, error)
    except (psycopg2.Error, DBAPIError) as error:
        if not lacks_schema(error):
            raise
        postgresql = StoreHealth(is_up=True, latency_ms=_elapsed_ms(started))
        return Readiness(postgresql, _mongodb(), None, None, None, UnpreparedDatabase())
    return Readiness(postgresql, _mongodb(), _outbox(backlog), unsent, troubled, _unpaired())


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
