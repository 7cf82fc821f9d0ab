"""One blueprint per domain: parse, call a service, answer."""

from __future__ import annotations

from rebootcamp.controllers import (
    accounts,
    badges,
    challenges,
    eco,
    groups,
    leaderboards,
    levels,
    operations,
    progress,
)
from rebootcamp.web.parsing import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = (
    accounts.blueprint,
    challenges.blueprint,
    progress.blueprint,
    badges.blueprint,
    levels.blueprint,
    leaderboards.blueprint,
    groups.blueprint,
    eco.blueprint,
    operations.blueprint,
)
