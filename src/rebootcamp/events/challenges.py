"""Facts about challenges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class ChallengeFact(Fact, is_abstract=True):
    """Something about one completion; titles are kept as they were when it happened."""

    completion_id: int
    challenge_id: int
    slug: str
    titles: dict[str, str]
    category: str
    difficulty: str
    cadence: str
    period: str


@dataclass(frozen=True, kw_only=True)
class ChallengeCompleted(ChallengeFact):
    """A completion became valid. `is_first`: the learner held no other valid completion of this challenge."""

    type: ClassVar[str] = "challenge.completed"

    points: int
    co2e_grams: int
    is_first: bool

    @property
    def score_points(self) -> int:
        return self.points


@dataclass(frozen=True, kw_only=True)
class ChallengeRevoked(ChallengeFact):
    """A valid completion was taken back. `is_last`: no other valid completion of this challenge remains."""

    type: ClassVar[str] = "challenge.revoked"

    points: int
    co2e_grams: int
    is_last: bool
    reason: str

    @property
    def score_points(self) -> int:
        return -self.points


@dataclass(frozen=True, kw_only=True)
class ChallengeSubmitted(ChallengeFact):
    """A completion waits for approval."""

    type: ClassVar[str] = "challenge.submitted"


@dataclass(frozen=True, kw_only=True)
class ChallengeRejected(ChallengeFact):
    """Staff refused a completion that waited for approval."""

    type: ClassVar[str] = "challenge.rejected"

    reason: str
