"""Instants as people write them, in the zone where they happen; the zone is always told."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rebootcamp.core.clock import zone

DAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
MONTHS: Final = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "fr": (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
}


def spoken_day(at: datetime, language: str) -> str:
    """Return the date of a local instant with its weekday."""
    day = "1er" if language == "fr" and at.day == 1 else str(at.day)
    return f"{DAYS[language][at.weekday()]} {day} {MONTHS[language][at.month - 1]} {at.year}"


def spoken_instant(at: datetime, timezone: str, language: str) -> str:
    """Return an instant in the zone."""
    local = at.astimezone(zone(timezone))
    return f"{spoken_day(local, language)}, {local:%H:%M} ({_told(local, timezone)})"


def spoken_span(starts_at: datetime, ends_at: datetime, timezone: str, language: str) -> str:
    """Return from when to when, in the zone."""
    first, last = starts_at.astimezone(zone(timezone)), ends_at.astimezone(zone(timezone))
    begins = f"{spoken_day(first, language)}, {first:%H:%M}"
    ends = f"{last:%H:%M}" if first.date() == last.date() else f" {spoken_day(last, language)}, {last:%H:%M}"
    dash = "–" if first.date() == last.date() else " –"
    if first.utcoffset() != last.utcoffset():
        return f"{begins} ({_told(first, timezone)}){dash}{ends} ({_told(last, timezone)})"
    return f"{begins}{dash}{ends} ({_told(first, timezone)})"


def _told(local: datetime, timezone: str) -> str:
    offset = f"{local:%z}"
    return timezone if timezone == "UTC" else f"{timezone}, UTC{offset[:3]}:{offset[3:5]}"
