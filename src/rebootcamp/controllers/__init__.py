"""One blueprint per domain: parse, call a service, answer."""

from __future__ import annotations

from rebootcamp.controllers import operations
from rebootcamp.web.parsing import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = (operations.blueprint,)
