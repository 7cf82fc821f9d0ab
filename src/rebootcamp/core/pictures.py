"""Vocabulary of pictures, and of what else a share link opens."""

from __future__ import annotations

from typing import Final

CARD: Final = "progress"
CALENDAR: Final = "activity"
PICTURES: Final = (CARD, CALENDAR)

# Shared only when asked for: it tells where somebody will be.
WORKSHOPS: Final = "workshops"
SHAREABLE: Final = (*PICTURES, WORKSHOPS)
