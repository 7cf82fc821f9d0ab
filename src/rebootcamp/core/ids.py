"""Identifiers that are derived, so that a replay makes the same ones."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

EVENT_NAMESPACE = UUID("8c0a7f3e-5f0b-5a67-9d0e-3c1f6a2b7d10")
WORKSHOP_NAMESPACE = UUID("3eff5764-9c18-403b-bae3-79de8cebf346")


def event_id(user_id: int, seq: int) -> UUID:
    """Return the id of one occurrence: `seq` is gap-free per learner, so the pair never repeats."""
    return uuid5(EVENT_NAMESPACE, f"{user_id}:{seq}")


def workshop_uid(workshop_id: int, created_at: datetime) -> UUID:
    """Return by which name calendars know a workshop; ids begin anew in every installation, the instant tells which."""
    return uuid5(WORKSHOP_NAMESPACE, f"{workshop_id}:{created_at.timestamp()}")
