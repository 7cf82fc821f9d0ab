"""Vocabulary of challenges and the periods in which one counts once."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

CATEGORIES: Final = ("energy", "mobility", "food", "waste", "water", "digital", "biodiversity", "community")
DIFFICULTIES: Final = ("easy", "medium", "hard")
CADENCES: Final = ("once", "daily", "weekly", "monthly", "seasonal", "event")
VALIDATIONS: Final = ("self", "answer", "approval", "criteria")
MAX_TEAM_TARGET: Final = 1_000_000_000
STATUSES: Final = ("pending", "validated", "rejected", "revoked")
SEASONS: Final = ("winter", "spring", "summer", "autumn")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WEEK: Final = re.compile(r"([0-9]{4})-W([0-9]{2})")
_MONTH: Final = re.compile(r"[0-9]{4}-[0-9]{2}")
_SEASON: Final = re.compile(rf"([0-9]{{4}})-({'|'.join(SEASONS)})")


def period_of(cadence: str, day: date) -> str:
    """Return the period of a local date: a challenge can be completed once in each.

    Weeks are ISO 8601 weeks; seasons are meteorological (three whole months), winter named after its December.
    """
    if cadence == "daily":
        return day.isoformat()
    if cadence == "weekly":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    if cadence == "monthly":
        return f"{day:%Y-%m}"
    if cadence == "seasonal":
        year = day.year - 1 if day.month < 3 else day.year
        return f"{year}-{SEASONS[day.month % 12 // 3]}"
    return cadence


def day_of(cadence: str, period: str) -> date | None:
    """Return a local date in a period that repeats, or None for a text that names no such period."""
    try:
        if cadence == "daily" and _DAY.fullmatch(period):
            return date.fromisoformat(period)
        if cadence == "weekly" and (found := _WEEK.fullmatch(period)):
            return date.fromisocalendar(int(found[1]), int(found[2]), 1)
        if cadence == "monthly" and _MONTH.fullmatch(period):
            return date.fromisoformat(f"{period}-01")
        if cadence == "seasonal" and (found := _SEASON.fullmatch(period)):
            return date(int(found[1]), SEASONS.index(found[2]) * 3 or 12, 1)
    except ValueError:
        pass
    return None
