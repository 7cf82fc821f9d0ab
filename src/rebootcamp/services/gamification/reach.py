"""How much XP can be reached at all with what is on offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

# The first and the last place on earth to see a date.
_WEST: Final = timedelta(hours=-12)
_EAST: Final = timedelta(hours=14)
_REPEATING: Final = ("daily", "weekly", "monthly", "seasonal")


@dataclass(frozen=True)
class Offer:
    """What a challenge gives, how often, and in which window; `closes_at` itself is outside."""

    points: int
    cadence: str
    opens_at: datetime
    closes_at: datetime | None = None


def reachable_xp(challenges: Iterable[Offer], badges: Iterable[int]) -> int | None:
    """Return the XP of somebody who misses nothing; None: without limit. `badges` are the points of each.

    Never too low: a window counts with every local date that it has anywhere.
    """
    total = sum(badges)
    for challenge in challenges:
        if not challenge.points:
            continue
        times = _times(challenge)
        if times is None:
            return None
        total += times * challenge.points
    return total


def _times(challenge: Offer) -> int | None:
    if challenge.cadence not in _REPEATING:
        return 1
    if challenge.closes_at is None:
        return None
    first = _local(challenge.opens_at, _WEST)
    last = _local(challenge.closes_at, _EAST - timedelta(microseconds=1))
    return max(_index(challenge.cadence, last) - _index(challenge.cadence, first) + 1, 0)


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
