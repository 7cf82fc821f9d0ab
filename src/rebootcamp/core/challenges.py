"""Vocabulary of challenges and the periods in which one counts once."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

CATEGORIES: Final = ("energy", "mobility", "food", "waste", "water", "digital", "biodiversity", "community")
DIFFICULTIES: Final = ("easy", "medium", "hard")
CADENCES: Final = ("once", "daily", "weekly", "monthly", "seasonal", "event")
VALIDATIONS: Final = ("self", "answer", "approval", "criteria")
MAX_TEAM_TARGET: Final = 1_000_000_000
STATUSES: Final = ("pending", "validated", "rejected", "revoked")
SEASONS: Final = ("winter", "spring", "summer", "autumn")


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


def days_of(cadence: str, period: str) -> tuple[date, date]:
    """Return the first and the last day of a period that repeats; raise `ValueError` for any other text."""
    found = re.fullmatch(r"([12][0-9]{3})-(?:W([0-9]{2})|([0-9]{2})(?:-([0-9]{2}))?|([a-z]+))", period)
    if found is None:
        raise ValueError(period)
    year, week, month, day, season = found.groups()
    if season in SEASONS:
        month = SEASONS.index(season) * 3 or 12
    elif season:
        raise ValueError(period)
    first = date.fromisocalendar(int(year), int(week), 1) if week else date(int(year), int(month), int(day or 1))
    if period_of(cadence, first) != period:
        raise ValueError(period)
    if day:
        return first, first
    return first, first + timedelta(days=6) if week else _month_end(first, 3 if season else 1)


def _month_end(first: date, months: int) -> date:
    """Return the last day of so many months."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1) - timedelta(days=1)
