"""Workshops that tests need; rows are written as they are, so that any moment of a workshop's life can be made."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.workshops import Workshop
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
        "slug": f"workshop-{number}",
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


def enter(actor: Actor, workshop: Workshop, **limits: Any) -> workshops.Registration:
    """Register a learner for a workshop."""
    allowed = workshops.Limits(**limits)
    return workshops.register(actor, workshop.id, answers={}, note=None, limits=allowed)
