"""Bounds of the curve of levels."""

from __future__ import annotations

from typing import Final

MIN_LEVELS: Final = 2
MAX_LEVELS: Final = 50
MAX_FLOOR: Final = 1_000_000_000
