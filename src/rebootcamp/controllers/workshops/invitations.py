"""What a mail carries along for the reader's calendar."""

from __future__ import annotations

from rebootcamp.core.actors import Actor
from rebootcamp.schemas.workshops import calendars
from rebootcamp.services import workshops


def calendar_file(user_id: int, workshop_id: int, language: str) -> str:
    """Return the iCalendar file of a workshop as a learner sees it; raise `NotFound`."""
    return calendars.render_event(workshops.get_workshop(Actor(user_id, "student"), workshop_id), language)
