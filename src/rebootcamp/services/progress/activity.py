"""A year of activity: on which local dates a learner completed something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from rebootcamp.services.gamification.streaks import Streak, recount
from rebootcamp.storage.statements import fetch_all

WEEKS: Final = 53

# The index on valid completions by learner and date answers it: what was revoked is not in it. What completes by
# itself is no activity, only the deeds behind it are.
_DAYS: Final = """
    SELECT d.local_date, count(*) AS completions
    FROM challenge_completions d JOIN challenges c ON c.id = d.challenge_id AND c.criteria IS NULL
    WHERE d.user_id = %(user_id)s AND d.status = 'validated'
        AND d.local_date BETWEEN %(first)s::date AND %(last)s::date
    GROUP BY d.local_date"""


@dataclass(frozen=True)
class Activity:
    """Valid completions by local date, from `first` to `last`; a date without any is left out."""

    first: date
    last: date
    days: Mapping[date, int]

    @property
    def total(self) -> int:
        """Return how many completions there are."""
        return sum(self.days.values())

    @property
    def longest_streak(self) -> int:
        """Return the longest run of consecutive active dates in the span."""
        return recount(Streak(), self.days).longest


def get_activity(user_id: int, today: date, year: int | None) -> Activity:
    """Return a learner's activity: of one year, else of the 53 weeks (from Monday) that end today."""
    first, last = _span(today, year)
    rows = fetch_all(_DAYS, {"user_id": user_id, "first": first, "last": last})
    return Activity(first, last, {row["local_date"]: row["completions"] for row in rows})


def _span(today: date, year: int | None) -> tuple[date, date]:
    if year is not None:
        return date(year, 1, 1), date(year, 12, 31)
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(weeks=WEEKS - 1), today
