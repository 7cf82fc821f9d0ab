"""Published boards: the places of a closed period, for ever, with a hash that anyone can make again.

The hash is the SHA-256 of the canonical JSON: `{"board":…,"period":…,"places":[{"rank":…,"user_id":…,"score":…,
"reached_at":…},…]}`, members in this order, no spaces, UTF-8, instants as the API writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import ended_everywhere
from rebootcamp.core.errors import DomainError, Kind, NotFound
from rebootcamp.core.json import dumps
from rebootcamp.core.languages import Text
from rebootcamp.core.leaderboards import Board
from rebootcamp.core.pages import Page, PageRequest, foreign_cursor, paginate
from rebootcamp.events.pending import IS_AWAITED
from rebootcamp.models.sql.accounts import LISTED_NAME, User
from rebootcamp.models.sql.leaderboards import LeaderboardPlace, LeaderboardSnapshot
from rebootcamp.services.leaderboards.settings import FULL, NEIGHBOURS, REACH, masked, sees_all
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction, translating

ORDER: Final = "snapshots"
PLACES: Final = "snapshot"
STREAM_ROWS: Final = 2000

Snapshot = LeaderboardSnapshot


class PeriodOpen(DomainError):
    """A board is published once nothing can be added to it any more."""

    kind = Kind.CONFLICT
    code = "period_open"
    title = Text("Period not over", "Période en cours")
    detail = Text(
        "This period is not over in every time zone; publish it later, or choose a closed one.",
        "Cette période n'est pas terminée dans tous les fuseaux horaires ; publiez plus tard ou choisissez-en une close.",  # noqa: E501
    )


class EventsPending(DomainError):
    """Events that count on the board are still on their way."""

    kind = Kind.CONFLICT
    code = "events_pending"
    title = Text("Events still pending", "Événements en attente")
    detail = Text(
        "Some events of this period are not delivered yet; let the relay finish, then publish again.",
        "Des événements de cette période ne sont pas encore distribués ; laissez le relais finir puis recommencez.",
    )
    retry_after = 5


class AlreadyFrozen(DomainError):
    """A period is published once."""

    kind = Kind.CONFLICT
    code = "already_frozen"
    title = Text("Already published", "Déjà publié")
    detail = Text("This period of the board is published already.", "Cette période du classement est déjà publiée.")


_NEXT_ID: Final = "SELECT nextval(pg_get_serial_sequence('leaderboard_snapshots', 'id')) AS id"
# The question and the copy see the same moment.
_FREEZE: Final = f"""
    WITH pending AS MATERIALIZED (
        SELECT {IS_AWAITED} AS is_pending
    ), placed AS (
        INSERT INTO leaderboard_places (snapshot_id, rank, user_id, score, reached_at)
        SELECT %(id)s::bigint, row_number() OVER (ORDER BY - b.score, b.reached_at, b.user_id), b.user_id, b.score,
            b.reached_at
        FROM leaderboard_entries b
        WHERE b.board = %(board)s AND b.period = %(period)s AND b.is_listed AND b.score > 0
            AND NOT (SELECT is_pending FROM pending)
        RETURNING 1
    )
    SELECT is_pending, (SELECT count(*) FROM placed) AS places FROM pending"""  # noqa: S608


@dataclass(frozen=True)
class SnapshotPlace:
    """A published place; the name is today's, None for who is no longer listed.

    Then other students are not told the id either.
    """

    rank: int
    user_id: int | None
    display_name: str | None
    score: int
    reached_at: datetime


@dataclass(frozen=True)
class SnapshotPlaces:
    """A part of a published board; `view` tells whether the reader may see all of it."""

    view: str
    page: Page[SnapshotPlace]


def freeze_board(actor: Actor, board: Board) -> Snapshot:
    """Publish the board of a closed period. Raises `PeriodOpen`, `EventsPending`, `AlreadyFrozen`."""
    actor.require("leaderboard:freeze")
    if board.days is None or not is_closed(board.days[1]):
        raise PeriodOpen
    with transaction() as session, translating({"uq_leaderboard_snapshots_once": AlreadyFrozen()}):
        session.execute(sa.text("SET LOCAL statement_timeout = '60s'"))
        snapshot_id = int((fetch_one(_NEXT_ID, {}) or {})["id"])
        first, last = board.days
        parameters = {"board": board.name, "period": board.period, "first": first, "last": last, "category": None}
        copied = fetch_one(_FREEZE, {**parameters, "id": snapshot_id})
        if copied is None or copied["is_pending"]:
            raise EventsPending
        snapshot = Snapshot(
            id=snapshot_id,
            board=board.name,
            period=board.period,
            places=copied["places"],
            sha256=hash_of(board.name, board.period, stream_places(session, snapshot_id)),
            frozen_at=clock.now(),
            frozen_by=actor.user_id,
        )
        session.add(snapshot)
    return snapshot


def is_closed(last: date) -> bool:
    """Tell whether the day is over for everybody."""
    return clock.now() >= ended_everywhere(last)


def list_snapshots(board: str, page: PageRequest) -> Page[Snapshot]:
    """List what was published of a board, the newest first."""
    statement = sa.select(Snapshot).where(Snapshot.board == board).order_by(Snapshot.id.desc()).limit(page.limit + 1)
    if (key := page.key(ORDER, (int,))) is not None:
        statement = statement.where(Snapshot.id < key[0])
    with transaction() as session:
        snapshots = session.scalars(statement).all()
    return paginate(snapshots, page.limit, ORDER, lambda snapshot: (snapshot.id,))


def get_snapshot(board: str, snapshot_id: int) -> Snapshot:
    """Return the head of a published board; raise `NotFound`."""
    with transaction() as session:
        snapshot = session.get(Snapshot, snapshot_id)
    if snapshot is None or snapshot.board != board:
        raise NotFound("snapshot")
    return snapshot


def list_snapshot_places(actor: Actor, snapshot: Snapshot, page: PageRequest) -> SnapshotPlaces:
    """List the published places by rank, to those who see whole boards; to others those around their own."""
    if not sees_all(actor):
        if page.cursor is not None:
            raise foreign_cursor()
        return SnapshotPlaces(NEIGHBOURS, Page(_around(snapshot, actor.user_id)))
    statement = _places(snapshot).limit(page.limit + 1)
    if (key := page.key(PLACES, (int,))) is not None:
        statement = statement.where(LeaderboardPlace.rank > key[0])
    with transaction() as session:
        places = [SnapshotPlace(*row) for row in session.execute(statement)]
    return SnapshotPlaces(FULL, paginate(places, page.limit, PLACES, lambda found: (found.rank,)))


def _around(snapshot: Snapshot, user_id: int) -> list[SnapshotPlace]:
    place = LeaderboardPlace
    mine = sa.select(place.rank).where(place.snapshot_id == snapshot.id, place.user_id == user_id)
    with transaction() as session:
        rank = session.scalar(mine)
        if rank is None:
            return []
        around = _places(snapshot).where(place.rank.between(rank - REACH, rank + REACH))
        return [masked(SnapshotPlace(*row), user_id) for row in session.execute(around)]


def _places(snapshot: Snapshot) -> sa.Select[Any]:
    place = LeaderboardPlace
    return (
        sa.select(place.rank, place.user_id, LISTED_NAME, place.score, place.reached_at)
        .join(User, User.id == place.user_id)
        .where(place.snapshot_id == snapshot.id)
        .order_by(place.rank)
    )


def stream_places(session: Session, snapshot_id: int) -> Iterator[dict[str, Any]]:
    """Yield the published places as the canonical JSON holds them, in constant memory."""
    place = LeaderboardPlace
    columns = place.rank, place.user_id, place.score, place.reached_at
    statement = sa.select(*columns).where(place.snapshot_id == snapshot_id).order_by(place.rank)
    for row in session.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings():
        yield dict(row)


def hash_of(board: str, period: str, places: Iterable[dict[str, Any]]) -> str:
    """Return the SHA-256 of the canonical JSON, in hexadecimal."""
    head, tail = dumps({"board": board, "period": period, "places": []}).split(b"[]")
    digest, separator = hashlib.sha256(head + b"["), b""
    for place in places:
        digest.update(separator + dumps(place))
        separator = b","
    digest.update(b"]" + tail)
    return digest.hexdigest()
