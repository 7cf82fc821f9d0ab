"""Use cases and queries about workshops."""

from __future__ import annotations

from rebootcamp.services.workshops.notices import CANCELLED, CHANGED, announce, remind

__all__ = ["CANCELLED", "CHANGED", "announce", "remind"]
