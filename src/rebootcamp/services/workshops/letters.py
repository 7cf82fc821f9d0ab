"""What the mails about workshops say, and which of them nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.languages import Text, pick
from rebootcamp.services.mails import (
    Attachment,
    Composer,
    Letter,
    Pointless,
    WaitingMail,
    spoken_instant,
    spoken_span,
)
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one

# The workshop as it is now, with the reader's present stay, if there is one.
_FACTS: Final = """
    SELECT w.id, w.status, w.translations, w.starts_at, w.ends_at, w.timezone, w.place, w.link, w.cancel_reason,
        w.slug, coalesce(t.nickname, t.display_name) AS trainer,
        r.id AS registration_id, r.status AS registration, r.offered_until,
        r.status IN ('registered', 'attended') IS TRUE AS has_seat,
        (SELECT count(*) + 1 FROM workshop_registrations q
         WHERE q.workshop_id = w.id AND q.status = 'waitlisted' AND q.id < r.id) AS position
    FROM workshops w JOIN users t ON t.id = w.trainer_id
    LEFT JOIN workshop_registrations r
        ON r.workshop_id = w.id AND r.user_id = %(user_id)s AND r.status <> 'cancelled'
    WHERE w.id = %(workshop_id)s"""

_WHEN, _WHERE, _LINK, _TRAINER = (
    Text("When", "Date"),
    Text("Where", "Lieu"),
    Text("Join at", "Connexion"),
    Text("Trainer", "Animation"),
)
_TOPIC: Final = "workshops"
# After these, the workshop stands in the reader's calendar.
_CONFIRMATIONS: Final = ("workshop_registered", "workshop_promoted", "workshop_changed")

# Returns the iCalendar file of a workshop as a learner sees it: ids of both, and a language.
Calendar = Callable[[int, int, str], str]
Objection = Callable[[WaitingMail, Row, datetime], str | None]


def composers(calendar: Calendar | None = None) -> Mapping[str, Composer]:
    """Return who writes each kind of mail; `calendar` makes what confirmations carry along."""
    return dict.fromkeys(_OBJECTIONS, lambda mail: _compose(mail, calendar))


def _compose(mail: WaitingMail, calendar: Calendar | None) -> Letter | Pointless:
    row = fetch_one(_FACTS, {"user_id": mail.user_id, "workshop_id": mail.data["workshop_id"]})
    if row is None:
        return Pointless("workshop_gone")
    objection = _objection(mail, row, clock.now())
    if objection is not None:
        return Pointless(objection)
    language, attachments = mail.language, list[Attachment]()
    if calendar is not None and mail.kind in _CONFIRMATIONS and row["has_seat"]:
        text = calendar(mail.user_id, row["id"], language)
        attachments = [Attachment(f"{row['slug']}.ics", "calendar", text)]
    until = row["offered_until"]
    values = {
        **mail.data,
        "title": pick(row["translations"], language)["title"],
        "position": row["position"],
        "has_seat": row["has_seat"],
        "cancel_reason": row["cancel_reason"],
        "offered_until": until and spoken_instant(until, row["timezone"], language),
    }
    return Letter(values, _told(row, language), f"/workshops/{row['id']}", _TOPIC, attachments)


def _told(row: Row, language: str) -> Sequence[tuple[str, str]]:
    span = spoken_span(row["starts_at"], row["ends_at"], row["timezone"], language)
    # The link of an online meeting is for those who have a seat.
    link = row["link"] if row["has_seat"] and row["status"] != "cancelled" else None
    told = ((_WHEN, span), (_WHERE, row["place"]), (_LINK, link), (_TRAINER, row["trainer"]))
    return [(label.resolve(language), str(value)) for label, value in told if value]


def _objection(mail: WaitingMail, row: Row, now: datetime) -> str | None:
    """Return why the mail makes no sense any more; None: it does."""
    if row["ends_at"] <= now:
        return "workshop_over"
    if row["status"] == "cancelled" and mail.kind != "workshop_cancelled":
        return "workshop_cancelled"
    return _OBJECTIONS[mail.kind](mail, row, now)


def _is_same_stay(mail: WaitingMail, row: Row) -> bool:
    return bool(row["registration_id"] == mail.data["registration_id"])


def _without_seat(mail: WaitingMail, row: Row, _: datetime) -> str | None:
    return None if row["has_seat"] and _is_same_stay(mail, row) else "registration_ended"


def _not_waiting(mail: WaitingMail, row: Row, _: datetime) -> str | None:
    is_waiting = row["registration"] == "waitlisted" and row["offered_until"] is None
    return None if is_waiting and _is_same_stay(mail, row) else "no_longer_waiting"


def _lapsed(mail: WaitingMail, row: Row, now: datetime) -> str | None:
    until = row["offered_until"]
    is_open = until is not None and until > now and until == clock.parse(mail.data["offered_until"])
    return None if is_open and _is_same_stay(mail, row) else "offer_lapsed"


def _came_back(_: WaitingMail, row: Row, __: datetime) -> str | None:
    return None if row["registration_id"] is None else "registered_again"


def _not_soon(mail: WaitingMail, row: Row, now: datetime) -> str | None:
    if not row["has_seat"]:
        return "registration_ended"
    if row["starts_at"] != clock.parse(mail.data["starts_at"]):
        return "workshop_moved"
    return None if row["starts_at"] > now else "workshop_started"


def _absent(_: WaitingMail, row: Row, __: datetime) -> str | None:
    return None if row["registration_id"] is not None else "registration_ended"


def _takes_place(_: WaitingMail, row: Row, __: datetime) -> str | None:
    return None if row["status"] == "cancelled" else "workshop_takes_place"


_OBJECTIONS: Final[Mapping[str, Objection]] = {
    "workshop_registered": _without_seat,
    "workshop_promoted": _without_seat,
    "workshop_waitlisted": _not_waiting,
    "workshop_offered": _lapsed,
    "workshop_left": _came_back,
    "workshop_reminder": _not_soon,
    "workshop_changed": _absent,
    "workshop_cancelled": _takes_place,
}
