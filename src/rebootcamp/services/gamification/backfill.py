"""Judging the past by a new rule: pure, one learner at a time, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from rebootcamp.services.gamification.criteria import Criterion, is_dated, measures_of
from rebootcamp.services.gamification.levels import Curve
from rebootcamp.services.gamification.measures import Measure, MeasureIndex, occurrence, tally
from rebootcamp.services.gamification.progression import Standing, situation_of
from rebootcamp.services.gamification.vocabulary import EVENTS


@dataclass(frozen=True)
class Deed:
    """One recorded event, as far as rules see it."""

    type: str
    payload: Mapping[str, Any]
    local_date: date


@dataclass(frozen=True)
class Trial:
    """One rule, tried on one learner after another. `missing` are counters that the learner's state lacks."""

    rule: Criterion
    curve: Curve
    missing: frozenset[Measure] = field(default_factory=frozenset)

    @property
    def types(self) -> frozenset[str]:
        """Return the event types that must be read; none when the running counters are enough."""
        measures = self.missing | (measures_of(self.rule) if is_dated(self.rule) else set())
        # A rule that only knows a window of dates is judged on every day on which anything was done.
        events = {measure.event for measure in measures} or (set(EVENTS) if is_dated(self.rule) else set())
        undone = {EVENTS[event].undone_by for event in events}
        return frozenset(events | {event_type for event_type in undone if event_type})

    def run(self, standing: Standing, deeds: Iterable[Deed], today: date) -> tuple[Standing, date | None]:
        """Return the standing with the missing counters, and the day on which the rule was first met, if ever.

        A deed that was taken back later counts on no day.
        """
        counted = self.missing | (measures_of(self.rule) if is_dated(self.rule) else set())
        index = MeasureIndex(dict.fromkeys(counted, 0))
        counters: dict[str, Any] = {}
        days: list[date] = []
        for deed in deeds:
            counters, _ = tally(counters, deed.type, deed.payload, deed.local_date, index, 0)
            if is_dated(self.rule) and self._is_met(standing, counters, deed):
                days.append(deed.local_date)
        kept = {name: value for name, value in standing.counters.items() if name not in {m.key for m in self.missing}}
        made = {measure.key: counters[measure.key] for measure in self.missing if measure.key in counters}
        after = replace(standing, counters={**kept, **made})
        candidates = sorted(set(days)) if is_dated(self.rule) else [today]
        for day in candidates:
            if self.rule.holds(replace(situation_of(after, day, self.curve), is_review=is_dated(self.rule))):
                return after, day
        return after, None

    def _is_met(self, standing: Standing, counters: Mapping[str, Any], deed: Deed) -> bool:
        counted = occurrence(deed.type)
        if counted is None or counted[1] < 0:
            return False
        then = replace(standing, counters={**standing.counters, **counters})
        return self.rule.holds(situation_of(then, deed.local_date, self.curve))
