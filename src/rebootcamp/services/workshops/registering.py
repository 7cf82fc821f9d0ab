"""Registering for a workshop, taking an offered seat, and leaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor, Caller
from rebootcamp.core.errors import InvalidField, NotFound, Unauthenticated
from rebootcamp.core.languages import Text
from rebootcamp.events.journal import LINE_COLUMNS, LINE_TABLES, LearnerLine, hold_line, lock_line, lock_lines, record
from rebootcamp.events.workshops import WorkshopRegistered, WorkshopWaitlisted
from rebootcamp.models.sql.accounts import CALLER_COLUMNS
from rebootcamp.services.workshops.errors import (
    AlreadyAttended,
    AlreadyRegistered,
    NoOffer,
    NotRegistered,
    OverlappingWorkshop,
    OwnWorkshop,
    RegistrationClosed,
    TooManyRegistrations,
)
from rebootcamp.services.workshops.queue import (
    IS_NEXT,
    WORKSHOP_COLUMNS,
    HeldWorkshop,
    Stay,
    apply,
    hand_on,
    hold_own_workshop,
    hold_workshop,
    stays_of,
    taking,
    workshop_of,
)
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

# Locked in the order in which the clause names them: first the workshop, then the learner's line.
_OPEN: Final = f"""
    SELECT {LINE_COLUMNS}, {CALLER_COLUMNS}, {WORKSHOP_COLUMNS}
    FROM {LINE_TABLES} CROSS JOIN workshops w
    WHERE s.user_id = %(user_id)s AND w.id = %(workshop_id)s FOR NO KEY UPDATE OF w FOR UPDATE OF s"""  # noqa: S608

# What somebody has now, here and in workshops that are not over. Both locks are held, so nothing of it can change.
_MINE: Final = """
    SELECT r.workshop_id, r.status, r.offered_until, r.registered_at, w.starts_at, w.ends_at,
        r.workshop_id <> %(workshop_id)s AND w.starts_at < %(ends_at)s AND w.ends_at > %(starts_at)s AS is_overlapping
    FROM workshop_registrations r JOIN workshops w ON w.id = r.workshop_id
    WHERE r.user_id = %(user_id)s AND r.status <> 'cancelled' AND (r.workshop_id = %(workshop_id)s
        OR (w.ends_at > %(now)s AND w.status <> 'cancelled' AND w.archived_at IS NULL))"""
# A statement of its own, because one that waited for its locks sees the past. It tells what stood in the way. Who waits
# is not counted anew: under the lock everybody else would wait for that, too.
_ENTER: Final = f"""
    WITH mine AS ({_MINE}), refusal AS (
        SELECT CASE
            WHEN NOT (SELECT u.is_active FROM users u WHERE u.id = %(user_id)s) THEN 'inactive'
            WHEN bool_or(workshop_id = %(workshop_id)s) THEN 'registered'
            WHEN %(refuses_overlap)s::boolean AND bool_or(is_overlapping) THEN 'overlaps'
            WHEN count(*) FILTER (WHERE starts_at > %(now)s) >= %(at_most)s::integer THEN 'too_many'
        END AS obstacle FROM mine
    ), made AS (
        INSERT INTO workshop_registrations (workshop_id, user_id, status, registered_at, seated_at, first_seq, last_seq)
        SELECT w.id, %(user_id)s, CASE WHEN free.is_seated THEN 'registered' ELSE 'waitlisted' END, %(now)s,
            CASE WHEN free.is_seated THEN %(now)s END, %(seq)s, %(seq)s
        FROM workshops w CROSS JOIN LATERAL (
            SELECT w.taken < w.capacity AND (w.waiting = 0 OR NOT EXISTS (
                SELECT 1 FROM workshop_registrations r WHERE r.workshop_id = w.id AND {IS_NEXT})) AS is_seated) AS free
        WHERE w.id = %(workshop_id)s AND (SELECT obstacle FROM refusal) IS NULL
        RETURNING id, status
    ), counted AS (
        UPDATE workshops w SET taken = w.taken + (made.status = 'registered')::integer,
            waiting = w.waiting + (made.status = 'waitlisted')::integer
        FROM made WHERE w.id = %(workshop_id)s
    )
    SELECT refusal.obstacle, made.id, made.status, CASE WHEN made.status = 'waitlisted' THEN 1 + w.waiting + (
        SELECT count(*) FROM workshop_registrations r
        WHERE r.workshop_id = w.id AND r.offered_until IS NOT NULL) END AS position
    FROM refusal CROSS JOIN workshops w LEFT JOIN made ON true WHERE w.id = %(workshop_id)s"""  # noqa: S608
_IN_THE_WAY: Final = f"""
    SELECT * FROM ({_MINE}) AS mine WHERE is_overlapping OR workshop_id = %(workshop_id)s
    ORDER BY workshop_id <> %(workshop_id)s, starts_at LIMIT 1"""  # noqa: S608

# What was asked for by a name of any length is not told again in full.
MAX_POINTER: Final = 200


@dataclass(frozen=True)
class Limits:
    """What a deployment allows a person: `Settings.workshop_overlap` and `workshop_max_registrations`."""

    refuses_overlap: bool = True
    at_most: int = 20


@dataclass(frozen=True)
class Registration:
    """Somebody's registration after a command; `position` counts from 1 while one waits."""

    id: int
    workshop_id: int
    user_id: int
    status: str
    position: int | None
    registered_at: datetime
    offered_until: datetime | None = None


def register(
    caller: Caller, workshop_id: int, *, answers: Mapping[str, str], note: str | None, limits: Limits
) -> Registration:
    """Take a seat, or a place at the end of the queue while others wait or no seat is free.

    Raises `NotFound`, `OwnWorkshop`, `RegistrationClosed`, `InvalidField`, `AlreadyRegistered`,
    `OverlappingWorkshop`, `TooManyRegistrations`.
    """
    now = clock.now()
    with transaction():
        line, workshop = _locked(caller, workshop_id, now)
        words = _words(workshop, answers, note)
        entered = _enter(workshop, line, limits, now)
        about = workshop.about(line.user_id, entered["id"])
        fact = WorkshopRegistered if entered["status"] == "registered" else WorkshopWaitlisted
        record(fact(**about, words=words), occurred_at=now)
    return Registration(entered["id"], workshop.id, line.user_id, entered["status"], entered["position"], now)


def accept_offer(actor: Actor, workshop_id: int) -> Registration:
    """Take the seat that is kept for the caller.

    Raises `NotFound`, `NotRegistered`, `NoOffer`, `RegistrationClosed`.
    """
    now = clock.now()
    with transaction():
        workshop = hold_workshop(workshop_id)
        stay = _current_stay(workshop, actor.user_id)
        if stay.offered_until is None or stay.offered_until <= now:
            raise NoOffer().because(status=stay.status, offered_until=stay.offered_until)
        if not workshop.gives_seats(now):
            raise _closed(workshop, _obstacle(workshop, now) or "closed")
        apply(workshop, [taking(workshop, stay, now)], lock_lines([actor.user_id]), now)
    return Registration(stay.id, workshop.id, stay.user_id, "registered", None, stay.registered_at)


def leave(actor: Actor, workshop_id: int) -> None:
    """Give one's seat, offer or place in the queue up, until the workshop begins; the next in line gets the seat.

    Raises `NotFound`, `NotRegistered`, `AlreadyAttended`, `RegistrationClosed`.
    """
    now = clock.now()
    with transaction():
        workshop = hold_workshop(workshop_id)
        stay = _current_stay(workshop, actor.user_id)
        _refuse_attended(stay)
        if workshop.starts_at <= now:
            # Who did not come must not look like somebody who had left before.
            raise _closed(workshop, "started")
        hand_on(workshop, now, [(stay, "left" if stay.offered_until is None else "declined")])


def remove_registration(actor: Actor, workshop_id: int, user_id: int) -> None:
    """End somebody's registration at any time, for the trainer and administrators; the next in line gets the seat.

    Raises `NotFound`, `Forbidden`, `AlreadyAttended`.
    """
    with transaction():
        workshop = hold_own_workshop(actor, workshop_id)
        stay = stays_of(workshop, [user_id]).get(user_id)
        if stay is None:
            raise NotFound("registration")
        _refuse_attended(stay)
        hand_on(workshop, clock.now(), [(stay, "removed")])


def _locked(caller: Caller, workshop_id: int, now: datetime) -> tuple[LearnerLine, HeldWorkshop]:
    """Lock the open workshop and the caller's line.

    Raises `NotFound`, `OwnWorkshop`, `RegistrationClosed`, and whatever speaks against the caller.
    """
    row = fetch_one(_OPEN, {"user_id": caller.user_id, "workshop_id": workshop_id})
    if row is None:
        lock_line(caller.user_id)
        raise NotFound("workshop")
    actor, workshop = caller.confirmed(row), workshop_of(row)
    is_own = workshop.trainer_id == actor.user_id
    # Drafts and archived ones exist for their trainer and administrators only, as they do for a reader.
    if not (workshop.is_listed or is_own or actor.can("workshop:write_any")):
        raise NotFound("workshop")
    if is_own:
        raise OwnWorkshop
    if obstacle := _obstacle(workshop, now):
        raise _closed(workshop, obstacle)
    return hold_line(row), workshop


def _obstacle(workshop: HeldWorkshop, now: datetime) -> str | None:
    """Return why nobody can register now, if anything speaks against it."""
    if workshop.archived_at is not None:
        return "archived"
    if workshop.status != "published":
        return workshop.status
    if workshop.starts_at <= now:
        return "started"
    opens_at, closes_at = workshop.registration_opens_at, workshop.registration_closes_at
    is_in_window = (opens_at is None or opens_at <= now) and (closes_at is None or now < closes_at)
    return None if is_in_window else "window"


def _closed(workshop: HeldWorkshop, reason: str) -> RegistrationClosed:
    return RegistrationClosed().because(
        reason=reason,
        opens_at=workshop.registration_opens_at,
        closes_at=workshop.registration_closes_at,
        starts_at=workshop.starts_at,
    )


def _words(workshop: HeldWorkshop, answers: Mapping[str, str], note: str | None) -> dict[str, Any]:
    """Return what the learner says, as events keep it; a blank answer is none. Raises `InvalidField`."""
    questions = {question["key"]: question for question in workshop.questions}
    unknown = next((key for key in answers if key not in questions), None)
    if unknown is not None:
        message = Text("This workshop does not ask that.", "Cet atelier ne pose pas cette question.")
        raise InvalidField(_pointer(unknown), message, "unknown_question")
    given = {key: answer for key, answer in answers.items() if answer}
    missing = next((key for key, asked in questions.items() if asked["is_required"] and key not in given), None)
    if missing is not None:
        message = Text("This question must be answered.", "Il faut répondre à cette question.")
        raise InvalidField(_pointer(missing), message, "required")
    return {"answers": given, **({"note": note} if note else {})}


def _pointer(key: str) -> str:
    return ("/answers/" + key.replace("~", "~0").replace("/", "~1"))[:MAX_POINTER]


def _enter(workshop: HeldWorkshop, line: LearnerLine, limits: Limits, now: datetime) -> Row:
    """Add the registration and count it, or raise what stands in the way."""
    at = {"workshop_id": workshop.id, "user_id": line.user_id, "now": now}
    times = {"starts_at": workshop.starts_at, "ends_at": workshop.ends_at}
    row = fetch_one(_ENTER, {**at, **times, **vars(limits), "seq": line.last_seq + 1})
    if row is None or row["obstacle"] == "inactive":
        # Suspended or erased while this request waited for the line.
        raise Unauthenticated
    if row["obstacle"] == "too_many":
        raise TooManyRegistrations(at_most=limits.at_most).because(at_most=limits.at_most)
    if row["obstacle"] is not None:
        found = fetch_one(_IN_THE_WAY, {**at, **times}) or {}
        names = ("workshop_id", "status", "offered_until", "registered_at", "starts_at", "ends_at")
        error = AlreadyRegistered() if row["obstacle"] == "registered" else OverlappingWorkshop()
        raise error.because(**{name: found.get(name) for name in names})
    return row


def _current_stay(workshop: HeldWorkshop, user_id: int) -> Stay:
    """Return the caller's own stay; a stranger does not learn of a workshop that is not listed."""
    stay = stays_of(workshop, [user_id]).get(user_id)
    if stay is None:
        raise NotRegistered if workshop.is_listed else NotFound("workshop")
    return stay


def _refuse_attended(stay: Stay) -> None:
    if stay.status == "attended":
        raise AlreadyAttended
