"""Seats: who has one, who waits, and who is next. Whatever frees a seat gives it on in the same transaction.

The workshop's row is locked first, then the lines of all whose stay changes, in the order of their ids. The queue is
the order of registrations; suspended accounts keep their place in it, and are passed over while they are suspended.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy, Forbidden, NotFound
from rebootcamp.core.json import dumps_text
from rebootcamp.core.turns import IsOver, never
from rebootcamp.events.journal import LearnerLine, lock_lines, record
from rebootcamp.events.workshops import WorkshopFact, WorkshopLeft, WorkshopOffered, WorkshopPromoted
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services.workshops.errors import CapacityBelowTaken
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one
from rebootcamp.storage.transactions import transaction

# How many seats one transaction gives on; the relay goes on where more are free.
BATCH: Final = 50

# Of its texts the titles alone: descriptions are long, and facts do not tell them.
WORKSHOP_COLUMNS: Final = """w.id, w.slug, w.trainer_id, w.starts_at, w.ends_at, w.capacity, w.taken,
        w.registration_opens_at, w.registration_closes_at, w.offer_hours, w.questions, w.points, w.status,
        w.archived_at, (SELECT jsonb_object_agg(key, value -> 'title') FROM jsonb_each(w.translations)) AS titles"""
# NO KEY UPDATE: a row that refers to the workshop must not wait for us.
_HOLD: Final = f"SELECT {WORKSHOP_COLUMNS} FROM workshops w WHERE w.id = %(id)s FOR NO KEY UPDATE"  # noqa: S608

STAY_COLUMNS: Final = "r.id, r.user_id, r.status, r.offered_until, r.registered_at, r.attended_on, r.rating"
_STAYS: Final = f"""
    SELECT {STAY_COLUMNS} FROM workshop_registrations r
    WHERE r.workshop_id = %(workshop_id)s AND r.user_id = ANY(%(user_ids)s::bigint[]) AND r.status <> 'cancelled'"""  # noqa: S608
# Nobody waits who cannot come: a seat kept for a suspended account would stay empty.
IS_NEXT: Final = """r.status = 'waitlisted' AND r.offered_until IS NULL
        AND EXISTS (SELECT 1 FROM users u WHERE u.id = r.user_id AND u.is_active)"""
_NEXT: Final = f"""
    SELECT {STAY_COLUMNS} FROM workshop_registrations r
    WHERE r.workshop_id = %(workshop_id)s AND {IS_NEXT} AND r.id <> ALL(%(but)s::bigint[])
    ORDER BY r.id LIMIT %(limit)s"""  # noqa: S608
# An offer ends with the beginning at the latest: the workshop may have been moved forward since.
_ENDED: Final = "r.offered_until IS NOT NULL AND least(r.offered_until, w.starts_at) <= %(now)s"
_LAPSED: Final = f"""
    SELECT {STAY_COLUMNS} FROM workshop_registrations r JOIN workshops w ON w.id = r.workshop_id
    WHERE w.id = %(workshop_id)s AND {_ENDED} ORDER BY r.id LIMIT %(limit)s"""  # noqa: S608

# The counters follow in the same statement, so that no check can see one without the other.
_MOVE: Final = """
    WITH moved AS (
        UPDATE workshop_registrations r SET status = m.status, offered_until = m.offered_until,
            seated_at = coalesce(m.seated_at, r.seated_at), ended_at = m.ended_at, last_seq = m.last_seq
        FROM jsonb_to_recordset(%(moves)s::jsonb) AS m (id bigint, status text, offered_until timestamptz,
            seated_at timestamptz, ended_at timestamptz, last_seq bigint)
        WHERE r.id = m.id
    )
    UPDATE workshops SET taken = taken + %(taken)s::integer, waiting = waiting + %(waiting)s::integer
    WHERE id = %(workshop_id)s"""

_DUE: Final = f"""
    WITH ended AS (SELECT w.id FROM workshop_registrations r JOIN workshops w ON w.id = r.workshop_id WHERE {_ENDED})
    SELECT w.id FROM workshops w
    WHERE w.status IN ('published', 'closed') AND w.archived_at IS NULL AND (
        w.id IN (SELECT id FROM ended)
        OR (w.starts_at > %(now)s AND w.waiting > 0 AND w.taken < w.capacity AND EXISTS (
            SELECT 1 FROM workshop_registrations r WHERE r.workshop_id = w.id AND {IS_NEXT})))
    ORDER BY w.id"""  # noqa: S608
_UPCOMING: Final = """
    SELECT r.workshop_id FROM workshop_registrations r JOIN workshops w ON w.id = r.workshop_id
    WHERE r.user_id = %(user_id)s AND r.status IN ('registered', 'waitlisted') AND w.starts_at > %(now)s
    ORDER BY r.workshop_id"""


@dataclass(frozen=True)
class HeldWorkshop:
    """What seats depend on, as locked."""

    id: int
    slug: str
    trainer_id: int
    titles: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    capacity: int
    taken: int
    registration_opens_at: datetime | None
    registration_closes_at: datetime | None
    offer_hours: int | None
    questions: list[dict[str, Any]]
    points: int
    status: str
    archived_at: datetime | None

    @property
    def is_listed(self) -> bool:
        """Tell whether everybody may know of it."""
        return self.status != "draft" and self.archived_at is None

    @property
    def is_on(self) -> bool:
        """Tell whether it takes place; whoever waits may still come where registrations are closed."""
        return self.status in ("published", "closed") and self.archived_at is None

    def gives_seats(self, now: datetime) -> bool:
        """Tell whether a free seat is of use to anybody."""
        return self.is_on and now < self.starts_at

    def about(self, user_id: int, registration_id: int) -> dict[str, Any]:
        """Return what every fact about a registration says; titles are kept as they were when it happened."""
        return {
            "learner_id": user_id,
            "registration_id": registration_id,
            "workshop_id": self.id,
            "slug": self.slug,
            "titles": self.titles,
        }


_WORKSHOP_FIELDS: Final = [item.name for item in fields(HeldWorkshop)]


@dataclass(frozen=True)
class Stay:
    """A learner's current registration in a held workshop."""

    id: int
    user_id: int
    status: str
    offered_until: datetime | None
    registered_at: datetime
    attended_on: Any
    rating: int | None

    @property
    def has_seat(self) -> bool:
        """Tell whether nobody else can have the seat."""
        return self.status != "waitlisted" or self.offered_until is not None


@dataclass(frozen=True)
class Move:
    """A change of one stay: what the row becomes, what is told about it, what it does to both counters."""

    stay: Stay
    row: dict[str, Any]
    fact: WorkshopFact
    taken: int
    waiting: int


def workshop_of(row: Row) -> HeldWorkshop:
    """Return the workshop of a row that was locked with `WORKSHOP_COLUMNS`."""
    return HeldWorkshop(**{name: row[name] for name in _WORKSHOP_FIELDS})


def hold_workshop(workshop_id: int) -> HeldWorkshop:
    """Lock a workshop, before any line; raise `NotFound`."""
    row = fetch_one(_HOLD, {"id": workshop_id})
    if row is None:
        raise NotFound("workshop")
    return workshop_of(row)


def hold_own_workshop(actor: Actor, workshop_id: int) -> HeldWorkshop:
    """Lock a workshop that the caller leads or administers; raise `NotFound`, `Forbidden`."""
    actor.require("workshop:write")
    workshop = hold_workshop(workshop_id)
    if not (actor.can("workshop:write_any") or workshop.trainer_id == actor.user_id):
        raise Forbidden if workshop.is_listed else NotFound("workshop")
    return workshop


def stays_of(workshop: HeldWorkshop, user_ids: Sequence[int]) -> dict[int, Stay]:
    """Return the current stays of some learners, by learner."""
    rows = fetch_all(_STAYS, {"workshop_id": workshop.id, "user_ids": list(user_ids)})
    return {row["user_id"]: Stay(**row) for row in rows}


def hand_on(workshop: HeldWorkshop, now: datetime, leaving: Sequence[tuple[Stay, str]] = ()) -> int:
    """End some stays, each for its cause, and give what is free to the next in line; return how many stays changed."""
    free = workshop.capacity - workshop.taken + sum(stay.has_seat for stay, _ in leaving)
    coming = _next(workshop, min(free, BATCH), [stay.id for stay, _ in leaving]) if workshop.gives_seats(now) else []
    lines = lock_lines([stay.user_id for stay in (*(stay for stay, _ in leaving), *coming)])
    moves = [_left(workshop, stay, cause, now) for stay, cause in leaving]
    moves += [_seated(workshop, stay, now) for stay in coming]
    apply(workshop, moves, lines, now)
    return len(moves)


def apply(workshop: HeldWorkshop, moves: Sequence[Move], lines: dict[int, LearnerLine], now: datetime) -> None:
    """Write the changes of stays whose lines are held, and tell of each in its learner's line."""
    if not moves:
        return
    rows = [{"id": move.stay.id, **move.row, "last_seq": lines[move.stay.user_id].last_seq + 1} for move in moves]
    counted = {"taken": sum(move.taken for move in moves), "waiting": sum(move.waiting for move in moves)}
    fetch_all(_MOVE, {"moves": dumps_text(rows), "workshop_id": workshop.id, **counted})
    for move in moves:
        record(move.fact, occurred_at=now)


def taking(workshop: HeldWorkshop, stay: Stay, now: datetime) -> Move:
    """Return the change by which a waiting learner gets a seat; one that was offered is taken already."""
    row = {"status": "registered", "offered_until": None, "seated_at": clock.iso(now), "ended_at": None}
    is_new = not stay.has_seat
    return Move(stay, row, WorkshopPromoted(**workshop.about(stay.user_id, stay.id)), int(is_new), -int(is_new))


def change_capacity(session: Session, workshop: Workshop, capacity: int) -> None:
    """Change the seats of a workshop that the caller locked; new ones go to the next in line at once.

    Raises `CapacityBelowTaken`. More than `BATCH` at a time are given on by the relay.
    """
    if capacity < workshop.taken:
        raise CapacityBelowTaken(taken=workshop.taken).because(taken=workshop.taken)
    workshop.capacity = capacity
    session.flush()
    hand_on(hold_workshop(workshop.id), clock.now())
    session.refresh(workshop, ["taken", "waiting"])


def promote(workshop_id: int) -> int:
    """End the offers that nobody took in time and give free seats to the next in line; return how many stays changed.

    At most `BATCH` offers end, and as many seats are given. Raises `NotFound`.
    """
    now = clock.now()
    with transaction():
        workshop = hold_workshop(workshop_id)
        parameters = {"workshop_id": workshop_id, "now": now, "limit": BATCH}
        lapsed = [Stay(**row) for row in fetch_all(_LAPSED, parameters)] if workshop.is_on else []
        return hand_on(workshop, now, [(stay, "offer_lapsed") for stay in lapsed])


def promote_waiting(is_over: IsOver = never) -> int:
    """Do for every workshop what `promote` does for one, as often as it takes; return how many stays changed."""
    total = 0
    while moved := _promote_due(is_over):
        total += moved
        if is_over():
            break
    return total


def has_upcoming(user_id: int) -> bool:
    """Tell whether somebody has a seat, or waits for one, in a workshop that has not begun."""
    return bool(fetch_all(_UPCOMING, {"user_id": user_id, "now": clock.now()}))


def release_seats(user_id: int) -> int:
    """End every upcoming registration of an account that is about to be erased; return how many there were.

    One workshop a transaction, and none of them may be open: the workshop is locked before the line.
    """
    due = fetch_all(_UPCOMING, {"user_id": user_id, "now": clock.now()})
    return sum(_release(row["workshop_id"], user_id) for row in due)


def _release(workshop_id: int, user_id: int) -> bool:
    with transaction():
        workshop = hold_workshop(workshop_id)
        stay = stays_of(workshop, [user_id]).get(user_id)
        if stay is None or stay.status == "attended":
            return False
        hand_on(workshop, clock.now(), [(stay, "account_erased")])
        return True


def _promote_due(is_over: IsOver) -> int:
    total = 0
    for row in fetch_all(_DUE, {"now": clock.now()}):
        # One that is busy now has its turn in the next round.
        with suppress(Busy):
            total += promote(row["id"])
        if is_over():
            break
    return total


def _next(workshop: HeldWorkshop, limit: int, but: Sequence[int]) -> list[Stay]:
    if limit <= 0:
        return []
    return [Stay(**row) for row in fetch_all(_NEXT, {"workshop_id": workshop.id, "limit": limit, "but": list(but)})]


def _left(workshop: HeldWorkshop, stay: Stay, cause: str, now: datetime) -> Move:
    row = {"status": "cancelled", "offered_until": None, "seated_at": None, "ended_at": clock.iso(now)}
    fact = WorkshopLeft(**workshop.about(stay.user_id, stay.id), cause=cause, had_seat=stay.has_seat)
    return Move(stay, row, fact, -int(stay.has_seat), -int(not stay.has_seat))


def _seated(workshop: HeldWorkshop, stay: Stay, now: datetime) -> Move:
    """Return the change by which the next in line gets a free seat, or the offer of it."""
    if workshop.offer_hours is None:
        return taking(workshop, stay, now)
    until = clock.iso(min(now + timedelta(hours=workshop.offer_hours), workshop.starts_at))
    row = {"status": "waitlisted", "offered_until": until, "seated_at": None, "ended_at": None}
    return Move(stay, row, WorkshopOffered(**workshop.about(stay.user_id, stay.id), offered_until=until), 1, -1)
