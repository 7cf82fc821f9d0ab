"""Who took part, and what participants say of it. Being there is an event: what follows from it is the engine's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.json import dumps_text
from rebootcamp.core.languages import Text
from rebootcamp.events.journal import LearnerLine, lock_lines, record
from rebootcamp.events.store import fetch_journal
from rebootcamp.events.workshops import WorkshopAttendanceRevoked, WorkshopAttended, WorkshopRated
from rebootcamp.services.workshops.errors import AlreadyRated, NotAttended, NotRegistered, WorkshopCancelled
from rebootcamp.services.workshops.queue import HeldWorkshop, Stay, hold_own_workshop, hold_workshop, stays_of
from rebootcamp.storage.statements import fetch_all
from rebootcamp.storage.transactions import transaction

_ATTEND: Final = """
    UPDATE workshop_registrations r SET status = 'attended', attended_on = a.attended_on, last_seq = a.last_seq
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS a (id bigint, attended_on date, last_seq bigint)
    WHERE r.id = a.id"""
_REVOKE: Final = """
    UPDATE workshop_registrations SET status = 'registered', attended_on = NULL, last_seq = %(last_seq)s
    WHERE id = %(id)s"""
_RATE: Final = "UPDATE workshop_registrations SET rating = %(rating)s, last_seq = %(last_seq)s WHERE id = %(id)s"


@dataclass(frozen=True)
class Feedback:
    """What a participant thinks: 1 to 5, with or without a text."""

    workshop_id: int
    user_id: int
    rating: int
    text: str | None
    rated_at: datetime


def mark_attendance(actor: Actor, workshop_id: int, user_ids: Sequence[int]) -> list[int]:
    """Record that learners took part: all of them, or none; return those of whom it was not known.

    From publication on, since people arrive early; dated on the learner's day of the beginning once that has passed.
    Raises `NotFound`, `Forbidden`, `WorkshopCancelled`, `InvalidField`.
    """
    now = clock.now()
    with transaction():
        workshop = hold_own_workshop(actor, workshop_id)
        if workshop.status == "cancelled":
            raise WorkshopCancelled
        stays = stays_of(workshop, user_ids)
        _refuse_strangers(user_ids, stays)
        arrived = [stay for _, stay in sorted(stays.items()) if stay.status == "registered"]
        lines = lock_lines([stay.user_id for stay in arrived])
        days = {stay.user_id: _day_of(workshop, lines[stay.user_id], now) for stay in arrived}
        _attend(arrived, lines, days)
        for stay in arrived:
            fact = WorkshopAttended(**workshop.about(stay.user_id, stay.id), points=workshop.points)
            record(fact, occurred_at=now, local_date=days[stay.user_id])
    return [stay.user_id for stay in arrived]


def revoke_attendance(actor: Actor, workshop_id: int, user_id: int) -> None:
    """Take an attendance back with all that followed from it; the seat stays.

    Raises `NotFound`, `Forbidden`, `NotAttended`.
    """
    with transaction():
        workshop = hold_own_workshop(actor, workshop_id)
        stay = stays_of(workshop, [user_id]).get(user_id)
        if stay is None:
            raise NotFound("registration")
        if stay.status != "attended":
            raise NotAttended
        line = lock_lines([user_id])[user_id]
        fetch_all(_REVOKE, {"id": stay.id, "last_seq": line.last_seq + 1})
        about = workshop.about(user_id, stay.id)
        record(WorkshopAttendanceRevoked(**about, points=_points_given(stay)), local_date=stay.attended_on)


def give_feedback(actor: Actor, workshop_id: int, *, rating: int, text: str | None) -> Feedback:
    """Rate a workshop that one took part in, once.

    Raises `NotFound`, `NotRegistered`, `NotAttended`, `AlreadyRated`.
    """
    now, user_id = clock.now(), actor.user_id
    with transaction():
        workshop = hold_workshop(workshop_id)
        stay = stays_of(workshop, [user_id]).get(user_id)
        if stay is None:
            raise NotRegistered if workshop.is_listed else NotFound("workshop")
        if stay.status != "attended":
            raise NotAttended
        if stay.rating is not None:
            raise AlreadyRated
        line = lock_lines([user_id])[user_id]
        fetch_all(_RATE, {"id": stay.id, "rating": rating, "last_seq": line.last_seq + 1})
        words = {"text": text} if text else {}
        record(WorkshopRated(**workshop.about(user_id, stay.id), rating=rating, words=words), occurred_at=now)
    return Feedback(workshop.id, user_id, rating, text, now)


def _refuse_strangers(user_ids: Sequence[int], stays: dict[int, Stay]) -> None:
    for index, user_id in enumerate(user_ids):
        if user_id not in stays or stays[user_id].status == "waitlisted":
            message = Text(
                "This person has no seat in the workshop.", "Cette personne n'a pas de place dans l'atelier."
            )
            raise InvalidField(f"/user_ids/{index}", message, "not_registered")


def _day_of(workshop: HeldWorkshop, line: LearnerLine, now: datetime) -> date:
    return line.days.date_of(min(workshop.starts_at, now))


def _attend(arrived: Sequence[Stay], lines: dict[int, LearnerLine], days: dict[int, date]) -> None:
    rows = [
        {
            "id": stay.id,
            "attended_on": days[stay.user_id].isoformat(),
            "last_seq": lines[stay.user_id].last_seq + 1,
        }
        for stay in arrived
    ]
    fetch_all(_ATTEND, {"rows": dumps_text(rows)})


def _points_given(stay: Stay) -> int:
    """Return what the attendance gave: the workshop may be worth something else by now."""
    attended = (event.fact for event in fetch_journal(stay.user_id, event_type=WorkshopAttended.type))
    return next(
        fact.points for fact in attended if isinstance(fact, WorkshopAttended) and fact.registration_id == stay.id
    )
