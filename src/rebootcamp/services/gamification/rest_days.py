"""The calendar as the engine reads it: loaded once for each version, which travels with the learner's line."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, is_settled

_REST_DAYS: Final = "SELECT weekday, starts_on, ends_on, translations FROM rest_days ORDER BY id"


@dataclass(frozen=True)
class Rest:
    """One entry of the calendar: whole dates, or one day of each week between them."""

    weekday: int | None
    starts_on: date
    ends_on: date | None
    names: Mapping[str, str]

    def __contains__(self, day: object) -> bool:
        """Tell whether the date rests."""
        return (
            isinstance(day, date)
            and self.starts_on <= day
            and (self.ends_on is None or day <= self.ends_on)
            and self.weekday in (None, day.isoweekday())
        )


class Calendar:
    """The rest days of the institution."""

    def __init__(self, rests: Iterable[Rest] = ()) -> None:
        self._rests = tuple(rests)

    def __contains__(self, day: object) -> bool:
        """Tell whether nobody is expected to be active on the date."""
        return any(day in rest for rest in self._rests)

    def names_of(self, day: date) -> Mapping[str, str] | None:
        """Return the bilingual name of the rest that covers the date."""
        return next((rest.names for rest in self._rests if day in rest), None)


class _CalendarCache:
    """The calendar of one version; a command that meets another version loads it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: str | None = None
        self._calendar = Calendar()

    def get(self, version: str) -> Calendar:
        with self._lock:
            if self._version == version:
                return self._calendar
        calendar = Calendar(map(rest_of, fetch_all(_REST_DAYS, {})))
        if is_settled():
            with self._lock:
                self._version, self._calendar = version, calendar
        return calendar


_cache = _CalendarCache()


def calendar_of(version: str) -> Calendar:
    """Return the calendar as of a version."""
    return _cache.get(version)


def rest_of(row: Row | Mapping[Any, Any]) -> Rest:
    """Return the entry of a row of `rest_days`."""
    return Rest(row["weekday"], row["starts_on"], row["ends_on"], row["translations"])
