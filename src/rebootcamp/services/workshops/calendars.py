"""The workshops that a learner has to be at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.pictures import WORKSHOPS
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.pictures import get_shared_version
from rebootcamp.services.workshops.reading import WorkshopView, read, views
from rebootcamp.storage.transactions import transaction

KEPT: Final = timedelta(days=366)
MOST: Final = 1000


def list_shared_agenda(user_id: int, key: str) -> Sequence[WorkshopView]:
    """Return a learner's agenda to whoever holds a live key of it; raise `NotFound`."""
    get_shared_version(user_id, WORKSHOPS, key)
    return _agenda(user_id)


def list_agenda(actor: Actor, user_id: int) -> Sequence[WorkshopView]:
    """Return the workshops of the last year and to come for which a learner is, or waits to be, registered.

    For oneself and staff; each as the learner sees it. Raises `NotFound`.
    """
    actor.require_self_or("registration:read_any", user_id)
    with transaction() as session:
        if session.get(User, user_id) is None:
            raise NotFound("user")
        return _agenda(user_id)


def _agenda(user_id: int) -> Sequence[WorkshopView]:
    # Whatever else the learner may do, a calendar shows what participants see.
    statement = views(Actor(user_id, "student")).where(
        WorkshopRegistration.id.is_not(None), Workshop.ends_at > clock.now() - KEPT
    )
    with transaction() as session:
        return read(session, Actor(user_id, "student"), statement.order_by(Workshop.starts_at, Workshop.id).limit(MOST))
