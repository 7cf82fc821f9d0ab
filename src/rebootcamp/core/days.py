"""Local days: which date an instant belongs to, when a date begins and ends, and how a change of zone takes effect.

A learner's day begins at `start_hour` on the wall clock of an IANA zone. It begins once: where the clock is put back
over that moment, the day that has begun goes on; where the clock jumps over it, the day begins with the jump.

A change of zone or hour never moves the day that is running. That day lasts until it ends by the former rule, and on
until the new rule has a later date: westward it is simply longer. Eastward the next date may be cut short; when less
than `SHORTEST` is left of it, it is skipped and the running day lasts until the one after begins. So dates never go
back, none is shorter than `SHORTEST`, and each change names the dates that it cut short or skipped, so that no
streak breaks on them. Of several changes in one day the last one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final

from rebootcamp.core.clock import zone

ONE_DAY: Final = timedelta(days=1)
ONE_SECOND: Final = timedelta(seconds=1)
LATEST_START_HOUR: Final = 12
SHORTEST: Final = timedelta(hours=12)
# No clock change leaves less of a date than this; a jump over the date line leaves nothing.
CUT_SHORT: Final = timedelta(hours=20)
EASTERNMOST: Final = "Pacific/Kiritimati"
# A date ends last at UTC-12, for whose day begins at noon, and a change of zone may hold it for some hours more.
LAST_END: Final = timedelta(hours=12 + LATEST_START_HOUR) + SHORTEST


@dataclass(frozen=True)
class DayRule:
    """Where and at what hour days begin."""

    timezone: str = "UTC"
    start_hour: int = 0

    def date_of(self, instant: datetime) -> date:
        """Return the date that the instant belongs to."""
        wall = instant.astimezone(zone(self.timezone)).replace(tzinfo=None)
        day = (wall - timedelta(hours=self.start_hour)).date()
        following = day + ONE_DAY
        return following if self.start_of(following) <= instant else day

    def start_of(self, day: date) -> datetime:
        """Return the first instant (UTC) of the date, or of the next one where the zone has no such date."""
        return _start(self.timezone, self.start_hour, day)


@dataclass(frozen=True)
class Change:
    """What a change of the rule leads to, from which date on, and the dates that it cuts short or skips."""

    days: Days
    holds_from: date
    bridged: tuple[date, ...]


@dataclass(frozen=True)
class Days:
    """A learner's days: the rule, and the day that ran when it was chosen, held until the rule takes effect."""

    rule: DayRule = DayRule()
    former: DayRule | None = None
    held_on: date | None = None
    held_until: datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any], prefix: str = "") -> Days:
        """Read the columns of `users`, which may carry a prefix."""
        former = row[f"{prefix}former_timezone"]
        return cls(
            DayRule(row[f"{prefix}timezone"], row[f"{prefix}day_start_hour"]),
            None if former is None else DayRule(former, row[f"{prefix}former_day_start_hour"]),
            row[f"{prefix}held_on"],
            row[f"{prefix}held_until"],
        )

    def to_row(self) -> dict[str, Any]:
        """Return the columns of `users`."""
        return {
            "timezone": self.rule.timezone,
            "day_start_hour": self.rule.start_hour,
            "former_timezone": self.former and self.former.timezone,
            "former_day_start_hour": None if self.former is None else self.former.start_hour,
            "held_on": self.held_on,
            "held_until": self.held_until,
        }

    def date_of(self, instant: datetime) -> date:
        """Return the learner's date at the instant."""
        if self.held_on is not None and self.is_held(instant):
            return self.held_on
        return self.rule.date_of(instant)

    def is_held(self, instant: datetime) -> bool:
        """Tell whether the day that ran at the last change still runs."""
        return self.held_until is not None and instant < self.held_until

    def rule_at(self, instant: datetime) -> DayRule:
        """Return the rule by which the learner's date is told."""
        return self.former if self.former is not None and self.is_held(instant) else self.rule

    def end_of(self, day: date) -> datetime:
        """Return the last second (UTC) of a date that is not over at the last change."""
        following = self.rule.start_of(day + ONE_DAY)
        return max(following, self.held_until or following) - ONE_SECOND

    def changed_to(self, rule: DayRule, at: datetime) -> Change:
        """Return the learner's days after choosing another rule."""
        today = self.date_of(at)
        former = self.rule_at(at)
        over = max(former.start_of(today + ONE_DAY), at)
        begins = over
        if rule.date_of(over) <= today:
            begins = rule.start_of(today + ONE_DAY)
        elif rule.start_of(rule.date_of(over) + ONE_DAY) - over < SHORTEST:
            begins = rule.start_of(rule.date_of(over) + ONE_DAY)
        first = rule.date_of(begins)
        last_bridged = first if rule.start_of(first) < begins else first - ONE_DAY
        bridged = tuple(today + n * ONE_DAY for n in range(1, (last_bridged - today).days + 1))
        return Change(Days(rule, former, today, begins), first, bridged)


UTC_DAYS: Final = Days()


def is_cut_short(day: date, timezone: str) -> bool:
    """Tell whether the zone itself skipped most of the date, by moving over the date line."""
    return _start(timezone, 0, day + ONE_DAY) - _start(timezone, 0, day) < CUT_SHORT


def latest_date(instant: datetime) -> date:
    """Return the latest date that anybody's calendar can show at the instant."""
    return DayRule(EASTERNMOST).date_of(instant)


@lru_cache(maxsize=8192)
def _start(timezone: str, hour: int, day: date) -> datetime:
    wall = datetime.combine(day, time(hour))
    tz = zone(timezone)
    # In an hour that the clock repeats, fold 0 is the earlier one; in one that it skips, the later.
    first = wall.replace(tzinfo=tz).astimezone(UTC)
    low = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    if first <= low:
        return first
    while first - low > ONE_SECOND:
        middle = low + timedelta(seconds=(first - low) // ONE_SECOND // 2)
        if middle.astimezone(tz).replace(tzinfo=None) < wall:
            low = middle
        else:
            first = middle
    return first


def ended_everywhere(day: date) -> datetime:
    """Return the instant from which no learner's day can be the date any more."""
    return datetime.combine(day + ONE_DAY, time.min, tzinfo=UTC) + LAST_END
