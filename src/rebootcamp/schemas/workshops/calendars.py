"""Workshops as iCalendar (RFC 5545): instants in UTC and no rules, so that neither zones nor recurrences are needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import validate

from rebootcamp.core.ids import workshop_uid
from rebootcamp.core.languages import LANGUAGES, Text, pick
from rebootcamp.schemas.base import QuerySchema, String

LONGEST: Final = 75
NAME: Final = Text("My workshops", "Mes ateliers")
_HEAD: Final = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//RebootCamp//Workshops//EN", "CALSCALE:GREGORIAN")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPED: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


class CalendarArguments(QuerySchema):
    """In which language; calendar programs do not say."""

    lang = String(
        load_default=None, validate=validate.OneOf(LANGUAGES), metadata={"description": "Instead of Accept-Language."}
    )


class FeedArguments(CalendarArguments):
    """In which language, and what opens the calendar to programs that have no token."""

    key = String(
        load_default=None,
        validate=validate.Length(1, 200),
        metadata={"description": "Of a share link that opens `workshops`; no token then."},
    )


def render_event(view: Any, language: str) -> str:
    """Return the calendar of one `services.workshops.WorkshopView`."""
    return _calendar(_event(view, language))


def render_agenda(views: Iterable[Any], language: str) -> str:
    """Return a learner's calendar, that programs fetch again and again."""
    head = (f"X-WR-CALNAME:{_text(NAME.resolve(language))}", "X-PUBLISHED-TTL:PT1H")
    return _calendar((*head, *(line for view in views for line in _event(view, language))))


def _calendar(lines: Iterable[str]) -> str:
    return "".join(f"{_folded(line)}\r\n" for line in (*_HEAD, *lines, "END:VCALENDAR"))


def _event(view: Any, language: str) -> Iterator[str]:
    workshop, texts = view.workshop, pick(view.workshop.translations, language)
    revised = _utc(max(workshop.updated_at, view.mine.since) if view.mine else workshop.updated_at)
    yield "BEGIN:VEVENT"
    yield f"UID:{workshop_uid(workshop.id, workshop.created_at)}"
    # Without METHOD, DTSTAMP is the last revision (RFC 5545, 3.8.7.2): the same calendar has the same bytes.
    yield f"DTSTAMP:{revised}"
    yield f"LAST-MODIFIED:{revised}"
    yield f"CREATED:{_utc(workshop.created_at)}"
    yield f"SEQUENCE:{workshop.version}"
    yield f"DTSTART:{_utc(workshop.starts_at)}"
    yield f"DTEND:{_utc(workshop.ends_at)}"
    yield f"STATUS:{_status(view)}"
    yield f"SUMMARY:{_text(texts['title'])}"
    if texts["description"]:
        yield f"DESCRIPTION:{_text(texts['description'])}"
    if place := workshop.place or (view.shows_link and workshop.link):
        yield f"LOCATION:{_text(place)}"
    if view.shows_link and workshop.link:
        yield f"URL:{_CONTROLS.sub('', workshop.link)}"
    if workshop.tags:
        yield f"CATEGORIES:{','.join(map(_text, workshop.tags))}"
    if workshop.cancel_reason:
        yield f"COMMENT:{_text(workshop.cancel_reason)}"
    yield "END:VEVENT"


def _status(view: Any) -> str:
    if view.workshop.status == "cancelled":
        return "CANCELLED"
    is_sure = view.workshop.status != "draft" and (view.mine is None or view.mine.status != "waitlisted")
    return "CONFIRMED" if is_sure else "TENTATIVE"


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    return _CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n")).translate(_ESCAPED)


def _folded(line: str) -> str:
    """Return the line in pieces of at most 75 octets, none of which cuts a character."""
    pieces, piece, size = list[str](), "", 0
    for sign in line:
        width = len(sign.encode())
        if size + width > LONGEST:
            pieces.append(piece)
            piece, size = " ", 1
        piece, size = piece + sign, size + width
    return "\r\n".join((*pieces, piece))
