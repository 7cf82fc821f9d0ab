"""Workshops when several people edit at once, and what an edit leaves behind."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError
from rebootcamp.core.ids import workshop_uid
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import workshops
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import make_actor
from tests.factories.workshops import make_workshop
from tests.relay.tools import in_threads

pytestmark = pytest.mark.usefixtures("committed_db")

TEXTS = {"en": {"title": "Compost", "description": ""}}


def fields() -> dict[str, Any]:
    starts_at = clock.now() + timedelta(days=1)
    return {"translations": TEXTS, "starts_at": starts_at, "ends_at": starts_at + timedelta(hours=1), "capacity": 3}


def stored(workshop_id: int) -> Workshop:
    db.session.remove()
    with transaction() as session:
        return session.get_one(Workshop, workshop_id)


def edited(trainer: Actor, workshop: Workshop, **changes: Any) -> str:
    try:
        workshops.update_workshop(trainer, workshop.id, changes, workshop.version)
    except DomainError as error:
        return error.code
    return "edited"


def test_one_title_at_once_makes_workshops_with_slugs_of_their_own(app: Flask) -> None:
    trainer = make_actor("instructor")
    slugs = in_threads(app, *[lambda: workshops.create_workshop(trainer, fields()).slug] * 4)
    assert len(set(slugs)) == 4
    assert "compost" in slugs
    assert all(slug.startswith("compost") for slug in slugs)


def test_of_several_edits_of_one_version_one_is_made(app: Flask) -> None:
    trainer = make_actor("instructor")
    workshop = make_workshop(trainer)
    found = in_threads(app, *[partial(edited, trainer, workshop, points=points) for points in range(1, 5)])
    assert sorted(found) == ["edited", "stale_edit", "stale_edit", "stale_edit"]
    assert stored(workshop.id).version == workshop.version + 1


def test_a_workshop_that_is_moved_is_reminded_of_again() -> None:
    trainer = make_actor("instructor")
    workshop = make_workshop(trainer, reminded_at=clock.now())
    edited(trainer, workshop, place="Elsewhere")
    assert stored(workshop.id).reminded_at is not None
    workshops.update_workshop(trainer, workshop.id, {"starts_at": workshop.starts_at - timedelta(hours=1)}, None)
    assert stored(workshop.id).reminded_at is None


def test_a_workshop_has_one_name_in_calendars_wherever_its_id_was_given() -> None:
    workshop = make_workshop()
    name = workshop_uid(workshop.id, workshop.created_at)
    assert name == workshop_uid(workshop.id, stored(workshop.id).created_at)
    assert name != workshop_uid(workshop.id, workshop.created_at + timedelta(milliseconds=1))
    assert name != workshop_uid(workshop.id + 1, workshop.created_at)
