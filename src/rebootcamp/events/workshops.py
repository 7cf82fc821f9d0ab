"""Facts about workshops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class WorkshopFact(Fact, is_abstract=True):
    """Something about one registration; titles are kept as they were when it happened."""

    registration_id: int
    workshop_id: int
    slug: str
    titles: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class WorkshopRegistered(WorkshopFact):
    """A learner got a seat at once. `words`: `{answers: {key: text}, note?}`; a dash once the account is erased."""

    type: ClassVar[str] = "workshop.registered"

    words: dict[str, Any] | str


@dataclass(frozen=True, kw_only=True)
class WorkshopWaitlisted(WorkshopFact):
    """A learner waits for a seat; `words` as in `WorkshopRegistered`."""

    type: ClassVar[str] = "workshop.waitlisted"

    words: dict[str, Any] | str


@dataclass(frozen=True, kw_only=True)
class WorkshopOffered(WorkshopFact):
    """A freed seat is kept for a waiting learner until an instant (ISO 8601)."""

    type: ClassVar[str] = "workshop.offered"

    offered_until: str


@dataclass(frozen=True, kw_only=True)
class WorkshopPromoted(WorkshopFact):
    """A waiting learner has a seat now."""

    type: ClassVar[str] = "workshop.promoted"


@dataclass(frozen=True, kw_only=True)
class WorkshopLeft(WorkshopFact):
    """A registration ended; `cause` is one of `LEAVING_CAUSES`, `had_seat` says whether a seat became free."""

    type: ClassVar[str] = "workshop.left"

    cause: str
    had_seat: bool


@dataclass(frozen=True, kw_only=True)
class WorkshopAttended(WorkshopFact):
    """A learner took part; dated on the day of the workshop. It gives experience, and no score of its own."""

    type: ClassVar[str] = "workshop.attended"
    activity: ClassVar[int] = 1

    points: int

    @property
    def xp_points(self) -> int:
        return self.points


@dataclass(frozen=True, kw_only=True)
class WorkshopAttendanceRevoked(WorkshopFact):
    """An attendance was marked by mistake; dated on the day that it takes back."""

    type: ClassVar[str] = "workshop.attendance_revoked"
    activity: ClassVar[int] = -1

    points: int

    @property
    def xp_points(self) -> int:
        return -self.points


@dataclass(frozen=True, kw_only=True)
class WorkshopRated(WorkshopFact):
    """A participant's feedback: 1 to 5; `words`: `{text?}`."""

    type: ClassVar[str] = "workshop.rated"

    rating: int
    words: dict[str, Any] | str
