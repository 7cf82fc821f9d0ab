"""One blueprint per domain: parse, call a service, answer."""

from __future__ import annotations

from rebootcamp.controllers import accounts, badges, calendar, challenges, leaderboards, operations, progress
from rebootcamp.web.parsing import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = (
    accounts.blueprint,
    challenges.blueprint,
    progress.blueprint,
    badges.blueprint,
    leaderboards.blueprint,
    calendar.blueprint,
    operations.blueprint,
)
