"""One blueprint per domain: parse, call a service, answer."""

from __future__ import annotations

from rebootcamp.controllers import (
    accounts,
    badges,
    calendar,
    challenges,
    eco,
    groups,
    jobs,
    leaderboards,
    levels,
    operations,
    pictures,
    progress,
    workshops,
)
from rebootcamp.web.parsing import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = (
    accounts.blueprint,
    challenges.blueprint,
    progress.blueprint,
    pictures.blueprint,
    badges.blueprint,
    levels.blueprint,
    leaderboards.blueprint,
    groups.blueprint,
    eco.blueprint,
    calendar.blueprint,
    workshops.blueprint,
    jobs.blueprint,
    operations.blueprint,
)
