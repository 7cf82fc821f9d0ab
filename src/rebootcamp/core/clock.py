"""The one clock: always aware, always UTC, truncated to what both stores can hold."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return the current instant in UTC, to the millisecond (BSON keeps no more)."""
    return to_milliseconds(datetime.now(UTC))


def to_milliseconds(instant: datetime) -> datetime:
    """Return the instant cut to whole milliseconds."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def iso(instant: datetime) -> str:
    """Return ISO 8601 in UTC ending in `Z`, with milliseconds only when there are some."""
    text = instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")
    # Nearly all are in UTC already, and each conversion costs more than the text.
    return f"{text[:-6]}Z" if text.endswith("+00:00") else iso(instant.astimezone(UTC))


def parse(text: str) -> datetime:
    """Read back an ISO 8601 instant that carries its offset, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the IANA zone; raise `ZoneInfoNotFoundError` for an unknown name."""
    return ZoneInfo(name)
