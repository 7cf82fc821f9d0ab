"""Facts about streaks; `on` is the date that the learner protects, `YYYY-MM-DD`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class StreakFact(Fact, is_abstract=True):
    """Something that a learner did to one date of the streak."""

    on: str


@dataclass(frozen=True, kw_only=True)
class FreezePlaced(StreakFact):
    """A freeze of the bank protects a day to come."""

    type: ClassVar[str] = "streak.freeze_placed"


@dataclass(frozen=True, kw_only=True)
class FreezeCancelled(StreakFact):
    """A freeze returned to the bank before its day."""

    type: ClassVar[str] = "streak.freeze_cancelled"


@dataclass(frozen=True, kw_only=True)
class StreakRepaired(StreakFact):
    """A missed day was mended."""

    type: ClassVar[str] = "streak.repaired"
