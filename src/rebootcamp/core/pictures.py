"""Vocabulary of pictures."""

from __future__ import annotations

from typing import Final

CARD: Final = "progress"
CALENDAR: Final = "activity"
PICTURES: Final = (CARD, CALENDAR)
