"""Badges: the catalogue, its rules and their trial, awards by hand and by back-fill."""

from rebootcamp.services.badges.awards import award_badge, expire_awards, revoke_badge
from rebootcamp.services.badges.backfill import get_backfill, run_backfills, work_on_backfills
from rebootcamp.services.badges.catalogue import (
    BadgeView,
    badge_names,
    current_badge_names,
    get_badge,
    list_badges,
)
from rebootcamp.services.badges.definitions import create_badge, list_rules, update_badge
from rebootcamp.services.badges.errors import AlreadyHeld, CodeTaken, NotHeld
from rebootcamp.services.badges.preview import Preview, preview_badge
from rebootcamp.services.badges.why import why_award

__all__ = [
    "AlreadyHeld",
    "BadgeView",
    "CodeTaken",
    "NotHeld",
    "Preview",
    "award_badge",
    "badge_names",
    "create_badge",
    "current_badge_names",
    "expire_awards",
    "get_backfill",
    "get_badge",
    "list_badges",
    "list_rules",
    "preview_badge",
    "revoke_badge",
    "run_backfills",
    "update_badge",
    "why_award",
    "work_on_backfills",
]
