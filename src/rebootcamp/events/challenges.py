"""Facts about challenges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class ChallengeFact(Fact, is_abstract=True):
    """Something about one completion; titles are kept as they were when it happened.

    `is_goal`: of a timed challenge, which completes by itself when its criteria are met. `reward_badge`: code of the
    badge that its completion gives.
    """

    completion_id: int
    challenge_id: int
    slug: str
    titles: dict[str, str]
    category: str
    difficulty: str
    cadence: str
    period: str
    is_goal: bool = False
    reward_badge: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return the stored object; what most facts do not have is left unsaid, as it was before any did."""
        stored = super().payload()
        for name in ("is_goal", "reward_badge"):
            if not stored[name]:
                del stored[name]
        return stored


@dataclass(frozen=True, kw_only=True)
class ChallengeCompleted(ChallengeFact):
    """A completion became valid. `is_first`: the learner held no other valid completion of this challenge."""

    type: ClassVar[str] = "challenge.completed"
    activity: ClassVar[int] = 1

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
    activity: ClassVar[int] = -1

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


@dataclass(frozen=True, kw_only=True)
class ChallengeJoined(Fact):
    """A learner takes part in a timed challenge from now on."""

    type: ClassVar[str] = "challenge.joined"

    challenge_id: int
    slug: str
    titles: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ChallengeLeft(Fact):
    """A learner takes part in a timed challenge no more."""

    type: ClassVar[str] = "challenge.left"

    challenge_id: int
    slug: str
    titles: dict[str, str]
