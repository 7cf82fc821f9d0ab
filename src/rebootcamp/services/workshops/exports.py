"""All registrations of a workshop, for a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from rebootcamp.core.actors import Actor
from rebootcamp.events.store import fetch_stretches
from rebootcamp.events.workshops import WorkshopRegistered, WorkshopWaitlisted
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.workshops.catalogue import get_workshop
from rebootcamp.storage.transactions import transaction

BATCH: Final = 200
FIRST: Final = (WorkshopRegistered.type, WorkshopWaitlisted.type)
_Rows = Sequence[sa.Row[WorkshopRegistration, str, str]]


@dataclass(frozen=True)
class Entry:
    """One registration with what was said in it; `email` is for who has to write to people."""

    registration: WorkshopRegistration
    position: int | None
    display_name: str
    email: str | None
    answers: Mapping[str, str]
    note: str | None


@dataclass(frozen=True)
class Export:
    """A workshop and its registrations, which are read while one walks through them."""

    workshop: Workshop
    entries: Iterator[Entry]


def export_registrations(actor: Actor, workshop_id: int) -> Export:
    """Return all registrations in the order of the queue, for the trainer and staff. Raises `NotFound`, `Forbidden`."""
    actor.require("registration:read_any")
    view = get_workshop(actor, workshop_id)
    # What can be refused is refused before the answer begins.
    return Export(view.workshop, _entries(workshop_id, view.is_editable, _page(workshop_id, 0)))


def _entries(workshop_id: int, has_addresses: bool, rows: _Rows) -> Iterator[Entry]:
    ahead = 0
    while rows:
        words = _words([row.WorkshopRegistration for row in rows])
        for row in rows:
            entry, said = row.WorkshopRegistration, words.get(row.WorkshopRegistration.id, {})
            is_waiting = entry.status == "waitlisted"
            ahead += is_waiting
            position, email = ahead if is_waiting else None, row.email if has_addresses else None
            yield Entry(entry, position, row.display_name, email, said.get("answers", {}), said.get("note"))
        rows = _page(workshop_id, rows[-1].WorkshopRegistration.id) if len(rows) == BATCH else ()


def _page(workshop_id: int, after: int) -> _Rows:
    entry = WorkshopRegistration
    statement = (
        sa.select(entry, User.display_name, User.email)
        .join(User, User.id == entry.user_id)
        .where(entry.workshop_id == workshop_id, entry.id > after)
        .order_by(entry.id)
        .limit(BATCH)
    )
    with transaction() as session:
        return session.execute(statement.execution_options(populate_existing=True)).all()


def _words(registrations: Sequence[WorkshopRegistration]) -> dict[int, Mapping[str, Any]]:
    """Return what learners said by registration, from the journal; nothing of erased accounts, who left a dash."""
    places = [(item.user_id, item.first_seq, item.first_seq) for item in registrations]
    told = [event.fact for event in fetch_stretches(places, FIRST)]
    return {
        fact.registration_id: fact.words
        for fact in told
        if isinstance(fact, WorkshopRegistered | WorkshopWaitlisted) and not isinstance(fact.words, str)
    }
