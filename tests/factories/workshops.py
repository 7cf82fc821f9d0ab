"""Workshops that tests need; rows are written as they are, so that any moment of a workshop's life can be made."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services import workshops
from rebootcamp.storage.transactions import transaction
from tests.factories import make_actor

_numbers = itertools.count(1)


def make_workshop(trainer: Actor | None = None, **fields: Any) -> Workshop:
    """Add a published workshop of two seats, in a week, for two hours; `fields` override its columns."""
    number, now = next(_numbers), clock.now()
    owner = trainer or make_actor("instructor")
    # Each on a day of its own, so that nobody is refused because two overlap.
    starts_at = now + timedelta(days=6 + number)
    values: dict[str, Any] = {
        "slug": f"made-workshop-{number}",
        "trainer_id": owner.user_id,
        "translations": {
            "en": {"title": f"Workshop {number}", "description": "Come."},
            "fr": {"title": f"Atelier {number}", "description": "Venez."},
        },
        "place": "Room 1",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=2),
        "timezone": "Europe/Paris",
        "capacity": 2,
        "points": 30,
        "created_at": now,
        "updated_at": now,
    }
    with transaction() as session:
        workshop = Workshop(**{**values, **fields})
        session.add(workshop)
        session.flush()
    return workshop


def make_stay(
    workshop: Workshop, learner: Actor, status: str = "registered", *, counted: bool = True, **fields: Any
) -> WorkshopRegistration:
    """Add a registration as a row alone, without the event; `fields` override its columns.

    Unless it is not `counted`, the workshop's seats and queue follow.
    """
    now = clock.now()
    values: dict[str, Any] = {
        "workshop_id": workshop.id,
        "user_id": learner.user_id,
        "status": status,
        "registered_at": now,
        "seated_at": now if status in ("registered", "attended") else None,
        "ended_at": now if status == "cancelled" else None,
        "attended_on": now.date() if status == "attended" else None,
        "first_seq": 1,
        "last_seq": 1,
    }
    has_seat = status in ("registered", "attended") or fields.get("offered_until") is not None
    with transaction() as session:
        registration = WorkshopRegistration(**{**values, **fields})
        session.add(registration)
        if counted and status != "cancelled":
            counter = Workshop.taken if has_seat else Workshop.waiting
            session.execute(sa.update(Workshop).where(Workshop.id == workshop.id).values({counter: counter + 1}))
        session.flush()
    return registration


def enter(actor: Actor, workshop: Workshop, **limits: Any) -> workshops.Registration:
    """Register a learner for a workshop."""
    allowed = workshops.Limits(**limits)
    return workshops.register(actor, workshop.id, answers={}, note=None, limits=allowed)
