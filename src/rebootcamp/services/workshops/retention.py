"""What is kept of workshops for a time only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rebootcamp.config import Settings
from rebootcamp.core import clock


@dataclass
class _Policy:
    kept: timedelta = timedelta(days=Settings.workshop_log_days)


_policy = _Policy()


def configure(settings: Settings) -> None:
    """Set how long it is known who looked at a workshop."""
    _policy.kept = timedelta(days=settings.workshop_log_days)


def kept_since() -> datetime:
    """Return the instant before which the log of a workshop tells nothing."""
    return clock.now() - _policy.kept
