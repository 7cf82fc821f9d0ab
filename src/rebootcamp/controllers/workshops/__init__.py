"""Workshops over HTTP, one module for each part; importing them adds their routes to the one blueprint."""

from __future__ import annotations

from rebootcamp.controllers.workshops import catalogue, comments, registering, registrations
from rebootcamp.controllers.workshops.blueprint import blueprint

__all__ = ["blueprint", "catalogue", "comments", "registering", "registrations"]
