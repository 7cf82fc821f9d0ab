"""How much XP can be reached at all with what is on offer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

# The first and the last place on earth to see a date.
_WEST: Final = timedelta(hours=-12)
_EAST: Final = timedelta(hours=14)
# The shortest period of each cadence that repeats, in days.
SHORTEST: Final[Mapping[str, int]] = {"daily": 1, "weekly": 7, "monthly": 28, "seasonal": 90}


@dataclass(frozen=True)
class Offer:
    """What a challenge gives, how often, and in which window; `closes_at` itself is outside.

    `most`: it cannot be completed more often, whatever its window says.
    """

    points: int
    cadence: str
    opens_at: datetime
    closes_at: datetime | None = None
    most: int | None = None

    @property
    def times(self) -> int | None:
        """Return how often it can be completed in all; None: once in every period, for ever."""
        found = self._in_window()
        return self.most if found is None or (self.most is not None and self.most < found) else found

    def _in_window(self) -> int | None:
        if self.cadence not in SHORTEST:
            return 1
        if self.closes_at is None:
            return None
        first = _local(self.opens_at, _WEST)
        last = _local(self.closes_at, _EAST - timedelta(microseconds=1))
        return max(_index(self.cadence, last) - _index(self.cadence, first) + 1, 0)


@dataclass(frozen=True)
class Reach:
    """The XP of somebody who misses nothing: `once` in all, and `again` in every period of a cadence, for ever."""

    once: int = 0
    again: Mapping[str, int] = field(default_factory=dict)

    @property
    def limit(self) -> int | None:
        """Return the most that can be reached; None: it is a matter of time only."""
        return None if self.again else self.once

    def days_to(self, xp: int) -> int:
        """Return the days in which what repeats gives the rest of so much XP, when that is not out of reach."""
        rest = max(xp - self.once, 0)
        a_day = sum(points / SHORTEST[cadence] for cadence, points in self.again.items())
        return round(rest / a_day) if a_day else 0


def reach_of(challenges: Iterable[Offer], badges: Iterable[int]) -> Reach:
    """Return what challenges and badges, of which the points of each are given, allow.

    Never too low: a window counts with every local date that it has anywhere.
    """
    once, again = sum(badges), Counter[str]()
    for challenge in challenges:
        times = challenge.times
        if times is None and challenge.points:
            again[challenge.cadence] += challenge.points
        else:
            once += (times or 0) * challenge.points
    return Reach(once, again)


def _index(cadence: str, day: date) -> int:
    """Return a number that grows by one from each period of `core.challenges.period_of` to the next."""
    if cadence == "daily":
        return day.toordinal()
    if cadence == "weekly":
        return (day.toordinal() - 1) // 7
    month = day.year * 12 + day.month
    return month if cadence == "monthly" else month // 3


def _local(instant: datetime, offset: timedelta) -> date:
    try:
        return (instant + offset).date()
    except OverflowError:
        return instant.date()
