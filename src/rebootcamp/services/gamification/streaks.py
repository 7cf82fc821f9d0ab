"""Daily streaks: runs of consecutive local calendar dates, never 24-hour arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Streak:
    """The run that ends on `last_active_on`, and the longest run ever."""

    current: int = 0
    longest: int = 0
    last_active_on: date | None = None

    def as_of(self, today: date) -> int:
        """Return the run as the learner sees it: it survives until a whole local day passed without activity."""
        if self.last_active_on is None or self.last_active_on < today - ONE_DAY:
            return 0
        return self.current


def extend(streak: Streak, day: date) -> Streak | None:
    """Return the streak after activity on `day`, or None when the day lies in the past and only a recount can tell."""
    last = streak.last_active_on
    if last is not None and day < last:
        return None
    if day == last:
        return streak
    current = streak.current + 1 if last is not None and day - last == ONE_DAY else 1
    return Streak(current, max(streak.longest, current), day)


def recount(days: Iterable[date]) -> Streak:
    """Return the streak that a set of active days makes."""
    streak = Streak()
    for day in sorted(set(days)):
        streak = extend(streak, day) or streak
    return streak
