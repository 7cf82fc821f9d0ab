"""Vocabulary of badges."""

from __future__ import annotations

from typing import Final

TIERS: Final = ("bronze", "silver", "gold", "legendary")
ORIGINS: Final = ("rule", "manual", "challenge")
HOLDERS: Final = ("keep", "reevaluate")
SEVERITIES: Final = ("error", "warning")
JOB_STATES: Final = ("waiting", "done", "superseded")
