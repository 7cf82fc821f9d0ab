"""Registrations as mails need them: the row and its event, without the rules of registering."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events.journal import lock_line, record
from rebootcamp.events.workshops import (
    WorkshopFact,
    WorkshopLeft,
    WorkshopOffered,
    WorkshopPromoted,
    WorkshopRegistered,
    WorkshopWaitlisted,
)
from rebootcamp.models.sql.mails import Mail
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction


def stay(actor: Actor, workshop: Workshop, status: str = "registered", **fields: Any) -> int:
    """Add a registration and its event; return its id."""
    now, is_seated = clock.now(), status == "registered"
    with transaction() as session:
        seq = lock_line(actor.user_id).last_seq + 1
        row = WorkshopRegistration(
            workshop_id=workshop.id,
            user_id=actor.user_id,
            status=status,
            registered_at=now,
            seated_at=now if is_seated else None,
            first_seq=seq,
            last_seq=seq,
            **fields,
        )
        session.add(row)
        session.flush()
        fact = WorkshopRegistered if is_seated else WorkshopWaitlisted
        record(fact(**described(actor, workshop, row.id), words={}))
    return row.id


def promote(actor: Actor, workshop: Workshop, stay_id: int) -> None:
    """Give a waiting learner a seat."""
    _change(stay_id, status="registered", offered_until=None, seated_at=clock.now())
    tell(WorkshopPromoted(**described(actor, workshop, stay_id)))


def offer(actor: Actor, workshop: Workshop, stay_id: int, until: datetime) -> None:
    """Keep a seat for a waiting learner."""
    _change(stay_id, offered_until=until)
    tell(WorkshopOffered(**described(actor, workshop, stay_id), offered_until=clock.iso(until)))


def leave(actor: Actor, workshop: Workshop, stay_id: int, cause: str = "left", *, had_seat: bool = True) -> None:
    """End a registration."""
    _change(stay_id, status="cancelled", offered_until=None, ended_at=clock.now())
    tell(WorkshopLeft(**described(actor, workshop, stay_id), cause=cause, had_seat=had_seat))


def described(actor: Actor, workshop: Workshop, stay_id: int) -> dict[str, Any]:
    """Return what every fact about a registration says."""
    return {
        "learner_id": actor.user_id,
        "registration_id": stay_id,
        "workshop_id": workshop.id,
        "slug": workshop.slug,
        "titles": {language: texts["title"] for language, texts in workshop.translations.items()},
    }


def tell(fact: WorkshopFact) -> None:
    """Record a fact."""
    record(fact)


def edit(workshop: Workshop, **values: Any) -> None:
    """Change columns of a workshop beside its entity."""
    _update(sa.update(Workshop).where(Workshop.id == workshop.id).values(values))


def all_mails() -> list[Mail]:
    """Return every mail, as committed now, the oldest first."""
    db.session.remove()
    return list(db.session.scalars(sa.select(Mail).order_by(Mail.id)))


def _change(stay_id: int, **values: Any) -> None:
    _update(sa.update(WorkshopRegistration).where(WorkshopRegistration.id == stay_id).values(values))


def _update(statement: sa.Update) -> None:
    with transaction() as session:
        session.execute(statement.execution_options(synchronize_session=False))
