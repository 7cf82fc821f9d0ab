"""What MongoDB shows of registrations, made from events alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.events.states import State
from rebootcamp.events.workshops import (
    WorkshopAttendanceRevoked,
    WorkshopAttended,
    WorkshopFact,
    WorkshopLeft,
    WorkshopOffered,
    WorkshopPromoted,
    WorkshopRated,
    WorkshopRegistered,
    WorkshopWaitlisted,
)
from rebootcamp.models.mongo.workshops import RegistrationDocument
from rebootcamp.storage.mongo import Doc

DOMAIN: Final = "workshop."


def registration_fields(event: RecordedEvent) -> Doc | None:
    """Return what one event says of a registration."""
    fact = event.fact
    if not isinstance(fact, WorkshopFact):
        return None
    stated, step = _READERS[type(fact)](event, fact)
    return {
        "_id": fact.registration_id,
        "workshop_id": fact.workshop_id,
        "user_id": event.user_id,
        "seq": event.seq,
        "steps": {str(event.seq): {"type": fact.type.removeprefix(DOMAIN), "at": event.occurred_at, **step}},
        **stated,
    }


REGISTRATIONS: Final = State(RegistrationDocument, registration_fields)


def _began(status: str) -> Callable[[RecordedEvent, WorkshopRegistered | WorkshopWaitlisted], tuple[Doc, Doc]]:
    def read(event: RecordedEvent, fact: WorkshopRegistered | WorkshopWaitlisted) -> tuple[Doc, Doc]:
        stated = {
            "status": status,
            "offered_until": None,
            "registered_at": event.occurred_at,
            "answers": _said(fact.words, "answers") or {},
            "note": _said(fact.words, "note"),
            "rating": None,
            "feedback": None,
        }
        return stated, {}

    return read


def _offered(_: RecordedEvent, fact: WorkshopOffered) -> tuple[Doc, Doc]:
    until = clock.parse(fact.offered_until)
    return {"status": "waitlisted", "offered_until": until}, {"offered_until": until}


def _promoted(_: RecordedEvent, fact: WorkshopPromoted) -> tuple[Doc, Doc]:
    return {"status": "registered", "offered_until": None}, {}


def _left(_: RecordedEvent, fact: WorkshopLeft) -> tuple[Doc, Doc]:
    return {"status": "cancelled", "offered_until": None}, {"cause": fact.cause}


def _attended(event: RecordedEvent, _: WorkshopAttended) -> tuple[Doc, Doc]:
    return {"status": "attended"}, {"attended_on": event.local_date.isoformat()}


def _revoked(_: RecordedEvent, fact: WorkshopAttendanceRevoked) -> tuple[Doc, Doc]:
    return {"status": "registered"}, {}


def _rated(_: RecordedEvent, fact: WorkshopRated) -> tuple[Doc, Doc]:
    return {"rating": fact.rating, "feedback": _said(fact.words, "text")}, {"rating": fact.rating}


def _said(words: Mapping[str, Any] | str, name: str) -> Any:
    """Return a part of what a learner said; None of an erased one, who left a dash."""
    return None if isinstance(words, str) else words.get(name)


# What a fact sets, and what its step in the history says beside type and time.
_READERS: Final[Mapping[type[WorkshopFact], Callable[[RecordedEvent, Any], tuple[Doc, Doc]]]] = {
    WorkshopRegistered: _began("registered"),
    WorkshopWaitlisted: _began("waitlisted"),
    WorkshopOffered: _offered,
    WorkshopPromoted: _promoted,
    WorkshopLeft: _left,
    WorkshopAttended: _attended,
    WorkshopAttendanceRevoked: _revoked,
    WorkshopRated: _rated,
}
