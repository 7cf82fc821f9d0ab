"""Facts about badges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class BadgeAwarded(Fact):
    """A learner holds a badge from now on.

    `origin` is `rule`, `manual` or `challenge` (which gives it); `evidence` says what it rests on. `expires_at` is an
    ISO 8601 instant, None when the badge is held without end.
    """

    type: ClassVar[str] = "badge.awarded"

    badge: str
    tier: str
    points: int
    origin: str
    rule_version: int
    evidence: dict[str, Any]
    expires_at: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return the stored object; that a badge never ends is left unsaid, as it was before any did."""
        stored = super().payload()
        if self.expires_at is None:
            del stored["expires_at"]
        return stored

    @property
    def score_points(self) -> int:
        return self.points


@dataclass(frozen=True, kw_only=True)
class BadgeRevoked(Fact):
    """A learner holds a badge no more; `points` is what the award had given."""

    type: ClassVar[str] = "badge.revoked"

    badge: str
    tier: str
    points: int
    reason: str

    @property
    def score_points(self) -> int:
        return -self.points
