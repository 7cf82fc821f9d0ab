"""Badges: the catalogue, its rules and their trial, awards by hand and by back-fill."""

from rebootcamp.services.badges.awards import award_badge, expire_awards, revoke_badge
from rebootcamp.services.badges.backfill import get_backfill
from rebootcamp.services.badges.catalogue import (
    BadgeView,
    Labels,
    badge_icons,
    badge_names,
    current_badge_names,
    current_labels,
    get_badge,
    list_badges,
)
from rebootcamp.services.badges.definitions import create_badge, list_rules, update_badge
from rebootcamp.services.badges.errors import AlreadyHeld, CodeTaken, NotHeld
from rebootcamp.services.badges.lint import get_reach, lint_catalogue, lint_rules
from rebootcamp.services.badges.preview import Preview, preview_badge
from rebootcamp.services.badges.why import rule_teller, say_rule, why_award

__all__ = [
    "AlreadyHeld",
    "BadgeView",
    "CodeTaken",
    "Labels",
    "NotHeld",
    "Preview",
    "award_badge",
    "badge_icons",
    "badge_names",
    "create_badge",
    "current_badge_names",
    "current_labels",
    "expire_awards",
    "get_backfill",
    "get_badge",
    "get_reach",
    "lint_catalogue",
    "lint_rules",
    "list_badges",
    "list_rules",
    "preview_badge",
    "revoke_badge",
    "rule_teller",
    "say_rule",
    "update_badge",
    "why_award",
]
