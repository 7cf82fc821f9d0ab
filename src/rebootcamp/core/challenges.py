"""Vocabulary of challenges and the periods in which one counts once."""

from __future__ import annotations

from datetime import date
from typing import Final

CATEGORIES: Final = ("energy", "mobility", "food", "waste", "water", "digital", "biodiversity", "community")
DIFFICULTIES: Final = ("easy", "medium", "hard")
CADENCES: Final = ("once", "daily", "weekly", "monthly", "seasonal", "event")
VALIDATIONS: Final = ("self", "answer", "approval")
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
