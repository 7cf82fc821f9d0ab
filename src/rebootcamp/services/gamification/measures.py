"""Running counters: what is kept of a learner's past, so that no rule ever reads the history.

A measure counts (or sums a field of) the occurrences of one event type. A plain one is an integer; with `distinct` or
`grain` it is a small map from a sub-key to an integer. Only the last `KEPT` of its dated parts are kept; different days
without a `grain` are counted for ever, but older ones are only one number and no longer told apart. A map is stored
as one text: a learner with a long past has hundreds of parts, and a deed changes few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final

from rebootcamp.services.gamification.vocabulary import EVENTS, UNDOES

GRAINS: Final = ("day", "week", "month", "season", "year")
KEPT: Final = timedelta(days=400)
# `2025-03-01+=37`: 37 days up to this one.
_AND_BEFORE: Final = "+"

Counter = int | str | dict[str, int]
Counters = Mapping[str, Any]
Values = Mapping[str, Any]


def packed(counters: Counters) -> dict[str, Any]:
    """Return counters as they are stored; a part without a number counts one."""
    return {key: _packed(counter) if isinstance(counter, dict) else counter for key, counter in counters.items()}


def _packed(parts: Mapping[str, int]) -> str:
    return ",".join(part if count == 1 else f"{part}={count}" for part, count in sorted(parts.items()))


def parts_of(counter: str | Mapping[str, int]) -> Mapping[str, int]:
    """Return the parts of a counter, stored or not."""
    return _unpacked(counter) if isinstance(counter, str) else counter


@lru_cache(maxsize=512)
def _unpacked(text: str) -> Mapping[str, int]:
    pairs = (item.partition("=") for item in text.split(","))
    return {part: int(count or 1) for part, _, count in pairs}


def counter_key(event_type: str, field: str | None = None, value: object = None) -> str:
    """Return the key of a plain counter: `challenge.completed` or `challenge.completed|category=water`."""
    return event_type if field is None else f"{event_type}|{field}={value}"


def is_standard_key(key: str) -> bool:
    """Tell whether a key names a counter that exists without any rule; keys of other things are such."""
    event, *parts = key.split("|")
    if event not in EVENTS or not parts:
        return True
    name, has_value, _ = parts[0].partition("=")
    return len(parts) == 1 and bool(has_value) and name in EVENTS[event].choices


def start_of(grain: str, day: date) -> date:
    """Return the first day of the period; weeks are ISO 8601 weeks, seasons meteorological ones."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "year":
        return day.replace(month=1, day=1)
    if grain == "season":
        month = day.month // 3 * 3 or 12
        return date(day.year - (day.month < 3), month, 1)
    return day


def end_of(grain: str, day: date) -> date:
    """Return the last day of the period."""
    longest = {"day": 1, "week": 7, "month": 31, "season": 92, "year": 366}[grain]
    return start_of(grain, start_of(grain, day) + timedelta(days=longest)) - timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """What the counters of a timed challenge look at: the period of a deed, within local dates, both included."""

    grain: str | None = None
    span: tuple[date, date] | None = None


@dataclass(frozen=True)
class Measure:
    """What one counter counts. `span` limits it to deeds of these local dates, both included.

    `is_deed` leaves out what completes by itself: timed challenges must not feed one another.
    """

    event: str
    where: tuple[tuple[str, str | int], ...] = ()
    amount: str | None = None
    distinct: str | None = None
    grain: str | None = None
    span: tuple[date, date] | None = None
    is_deed: bool = False

    @cached_property
    def key(self) -> str:
        """Return the name under which the counter is stored."""
        parts = [self.event, *(f"{name}={value}" for name, value in self.where)]
        parts += [f"{label}:{value}" for label, value in (("sum", self.amount), ("distinct", self.distinct)) if value]
        if self.grain:
            parts.append(f"per:{self.grain}")
        if self.span:
            parts.append(f"span:{self.span[0]}..{self.span[1]}")
        if self.is_deed:
            parts.append("deeds")
        return "|".join(parts)

    @property
    def is_standard(self) -> bool:
        """Tell whether every learner has this counter anyway, rule or no rule."""
        is_plain = not (self.amount or self.distinct or self.grain or self.span or self.is_deed)
        return is_plain and (
            not self.where or (len(self.where) == 1 and self.where[0][0] in EVENTS[self.event].choices)
        )

    def matches(self, values: Values, day: date) -> bool:
        """Tell whether an occurrence counts."""
        if self.span and not self.span[0] <= day <= self.span[1]:
            return False
        if self.is_deed and values.get("is_goal"):
            return False
        return all(values.get(name) == value for name, value in self.where)

    def add(self, counter: Counter | None, values: Values, day: date, sign: int) -> Counter:
        """Return the counter after one occurrence (`sign` 1) or after one was taken back (-1)."""
        step = sign * (values[self.amount] if self.amount else 1)
        if not (self.grain or self.distinct):
            return (counter if isinstance(counter, int) else 0) + step
        kept = {} if counter is None or isinstance(counter, int) else dict(parts_of(counter))
        newest = self._newest(kept)
        start = start_of(self.grain, day) if self.grain else day
        if newest is not None and (start < newest - KEPT or start.isoformat() <= _last_folded(kept)):
            return kept
        parts = [start.isoformat()] if self.grain else []
        if self.distinct:
            parts.append(day.isoformat() if self.distinct == "local_date" else str(values[self.distinct]))
        part = "|".join(parts)
        # What was forgotten cannot be taken back: nothing counts below zero.
        count = kept.pop(part, 0) + step
        if count > 0:
            kept[part] = count
        return self._without_old(kept, start) if newest is not None and start > newest else kept

    def value(self, counters: Counters, day: date, within_days: int | None = None) -> int:
        """Return what the counter says on a local date: in its period, or in the last `within_days` days."""
        counter = counters.get(self.key, 0)
        if isinstance(counter, int):
            return counter
        parts: Iterable[tuple[str, int]] = parts_of(counter).items()
        if self.grain:
            start = self.window_start(day, within_days)
            first, last = start.isoformat(), (day if within_days else start).isoformat()
            parts = [(part, n) for part, n in parts if first <= part[:10] <= last]
        if self._folds:
            return sum(n if part.endswith(_AND_BEFORE) else 1 for part, n in parts)
        if self.distinct:
            return len({part.rpartition("|")[2] for part, _ in parts})
        return sum(n for _, n in parts)

    def window_start(self, day: date, within_days: int | None) -> date:
        """Return the first date that counts on `day`."""
        return day - timedelta(days=within_days - 1) if within_days else start_of(self.grain or "day", day)

    def may_have_forgotten(self, day: date, within_days: int | None, today: date) -> bool:
        """Tell whether what counted on a past date may no longer be known in full."""
        return self.grain is not None and self.window_start(day, within_days) < today - KEPT

    def days(self, counters: Counters, after: date | None = None) -> list[date]:
        """Return the first days of the dated parts that are kept, oldest first; those after a date if one is given."""
        counter = counters.get(self.key, 0)
        if isinstance(counter, int) or not self.grain:
            return []
        since = "" if after is None else after.isoformat()
        return sorted({date.fromisoformat(part[:10]) for part in parts_of(counter) if part[:10] > since})

    def _newest(self, parts: Mapping[str, int]) -> date | None:
        if not (self.grain or self._folds) or not parts:
            return None
        return date.fromisoformat(max(parts)[:10])

    @property
    def _folds(self) -> bool:
        """Tell whether old parts become one number: a learner who stays for years adds a day at each of them."""
        return self.distinct == "local_date" and not self.grain

    def _without_old(self, parts: dict[str, int], newest: date) -> dict[str, int]:
        oldest = (newest - KEPT).isoformat()
        recent = {part: n for part, n in parts.items() if part[:10] >= oldest}
        old = [part for part in parts if part not in recent]
        if old and self._folds:
            days = sum(parts[part] if part.endswith(_AND_BEFORE) else 1 for part in old)
            recent[max(old)[:10] + _AND_BEFORE] = days
        return recent


def _last_folded(parts: Mapping[str, int]) -> str:
    return next((part[:10] for part in parts if part.endswith(_AND_BEFORE)), "")


class MeasureIndex:
    """Measures by the events that touch them, each with the rules version `since` which it is kept."""

    def __init__(self, measures: Mapping[Measure, int]) -> None:
        self.since = {measure: since for measure, since in measures.items() if not measure.is_standard}
        self._by_event: dict[str, dict[tuple[str, str | int] | None, list[Measure]]] = {}
        for measure in sorted(self.since, key=lambda measure: measure.key):
            first = measure.where[0] if measure.where else None
            self._by_event.setdefault(measure.event, {}).setdefault(first, []).append(measure)

    def touched(self, event_type: str, values: Values, day: date, measured: int) -> Iterator[Measure]:
        """Yield the measures that an occurrence changes, of those kept up to rules version `measured`."""
        by_first = self._by_event.get(event_type)
        if by_first is None:
            return
        pairs = [(name, values.get(name)) for name in EVENTS[event_type].fields]
        for first in (None, *pairs):
            for measure in by_first.get(first, ()):  # type: ignore[arg-type]
                if self.since[measure] <= measured and measure.matches(values, day):
                    yield measure

    def missing(self, measured: int) -> list[Measure]:
        """Return the measures that a learner measured up to a version still lacks."""
        return [measure for measure, since in self.since.items() if since > measured]


def occurrence(event_type: str) -> tuple[str, int] | None:
    """Return which countable event a recorded one adds (1) or takes back (-1), or None."""
    if event_type in EVENTS:
        return event_type, 1
    undone = UNDOES.get(event_type)
    return None if undone is None else (undone, -1)


def tally(
    counters: Counters, event_type: str, values: Values, day: date, index: MeasureIndex, measured: int
) -> tuple[dict[str, Any], set[str]]:
    """Return the counters after a recorded event, and the keys that changed."""
    counted = occurrence(event_type)
    if counted is None:
        return dict(counters), set()
    event, sign = counted
    changes = {counter_key(event): sign}
    changes |= {counter_key(event, name, values.get(name)): sign for name in EVENTS[event].choices}
    after = added(counters, changes)
    changed = set(changes)
    for measure in index.touched(event, values, day, measured):
        counter = measure.add(after.get(measure.key), values, day, sign)
        after[measure.key] = counter
        if not counter:
            del after[measure.key]
        changed.add(measure.key)
    return after, changed


def added(counters: Counters, changes: Mapping[str, int]) -> dict[str, Any]:
    """Return plain counters after some changes; a counter at zero is not kept."""
    total = dict(counters)
    for key, change in changes.items():
        total[key] = total.get(key, 0) + change
        if not total[key]:
            del total[key]
    return total
