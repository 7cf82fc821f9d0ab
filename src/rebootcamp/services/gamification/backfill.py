"""Judging the past by a new rule: pure, one learner at a time, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from rebootcamp.services.gamification.criteria import Criterion, Situation, first_met, is_dated, measures_of
from rebootcamp.services.gamification.levels import ONE_LEVEL, Curve
from rebootcamp.services.gamification.measures import Measure, MeasureIndex, occurrence, tally
from rebootcamp.services.gamification.progression import (
    Standing,
    expired_key,
    may_earn,
    reward_key,
    situation_of,
    without_badges,
)
from rebootcamp.services.gamification.vocabulary import EVENTS


@dataclass(frozen=True)
class Deed:
    """One recorded event, as far as rules see it."""

    type: str
    payload: Mapping[str, Any]
    local_date: date


@dataclass(frozen=True)
class Verdict:
    """What a trial found: the learner's counters, the missing ones included, and when the rule was first met.

    `change` is what a re-evaluation would do: `gain`, `keep`, `lose`, or None.
    """

    counters: Mapping[str, Any]
    met: Situation | None
    change: str | None


@dataclass(frozen=True)
class Trial:
    """One rule, tried on one learner after another. `missing` are counters that the learner's state lacks."""

    rule: Criterion
    missing: frozenset[Measure] = field(default_factory=frozenset)
    curve: Curve = field(default_factory=lambda: ONE_LEVEL)

    @cached_property
    def types(self) -> frozenset[str]:
        """Return the event types that must be read; none when the running counters are enough."""
        # A rule that only knows a window of dates is judged on every day on which anything was done.
        judged = ({measure.event for measure in measures_of(self.rule)} or set(EVENTS)) if self._is_dated else set()
        events = {measure.event for measure in self.missing} | judged
        return frozenset(events | _undoing(events))

    @cached_property
    def undoing(self) -> frozenset[str]:
        """Return the types of those events that must be known before any: what they take back counts on no day."""
        return frozenset(_undoing(self.types)) if self._is_dated else frozenset()

    def judge(
        self, code: str, standing: Standing, deeds: Iterable[Deed], undone: Iterable[Deed], today: date
    ) -> Verdict:
        """Try the rule as that of badge `code` on a learner's deeds, oldest first.

        Whoever holds the badge is judged without its points, and no `not` takes it away. Whoever held it until it
        expired must do something anew.
        """
        held = standing.held.get(code)
        judged = standing if held is None else without_badges(standing, {code: held})
        counters, met = self._run(judged, deeds, Counter(map(_identity, undone)), today, is_holder=held is not None)
        if held is None:
            may_gain = may_earn(standing, code) and not standing.counters.get(expired_key(code))
            change = "gain" if met is not None and may_gain else None
        else:
            is_rewarded = held["origin"] != "rule" or standing.counters.get(reward_key(code))
            change = "lose" if met is None and not is_rewarded else "keep"
        return Verdict(counters, met, change)

    def _run(
        self, standing: Standing, deeds: Iterable[Deed], undone: Counter[Hashable], today: date, *, is_holder: bool
    ) -> tuple[Mapping[str, Any], Situation | None]:
        made, valid = _Tally(self.missing), _Tally(measures_of(self.rule))
        base, newest, met = situation_of(standing, today, self.curve), date.min, None
        for deed in deeds:
            made.add(deed)
            if self._is_dated and met is None and _counts(deed, undone):
                valid.add(deed)
                day = deed.local_date
                then = replace(base, counters=valid.counters, day=day, reviewed_on=day if is_holder else None)
                met = first_met(self.rule, then, is_late=day < newest)
                newest = max(newest, day)
        missing = {measure.key for measure in self.missing}
        kept = {name: value for name, value in standing.counters.items() if name not in missing}
        counters = kept | {name: made.counters[name] for name in missing if name in made.counters}
        if not self._is_dated:
            now = replace(base, counters=counters, reviewed_on=today if is_holder else None)
            met = now if self.rule.holds(now) else None
        return counters, met

    @cached_property
    def _is_dated(self) -> bool:
        return is_dated(self.rule)


class _Tally:
    """Counters that are made from nothing."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._index = MeasureIndex(dict.fromkeys(measures, 0))
        self.counters: dict[str, Any] = {}

    def add(self, deed: Deed) -> None:
        self.counters, _ = tally(self.counters, deed.type, deed.payload, deed.local_date, self._index, 0)


def _undoing(events: Iterable[str]) -> set[str]:
    undoes = (EVENTS[event].undone_by for event in events if event in EVENTS)
    return {event_type for event_type in undoes if event_type}


def _counts(deed: Deed, undone: Counter[Hashable]) -> bool:
    """Tell whether a deed was never taken back; of equal ones on the same day it does not matter which was."""
    counted = occurrence(deed.type)
    if counted is None or counted[1] < 0:
        return False
    identity = _identity(deed)
    if undone[identity]:
        undone[identity] -= 1
        return False
    return True


def _identity(deed: Deed) -> Hashable:
    """Return all that rules see of a deed, or of the one that it takes back."""
    counted = occurrence(deed.type)
    event = counted[0] if counted else deed.type
    names = (*EVENTS[event].fields, *EVENTS[event].amounts) if counted else ()
    return event, deed.local_date, *(deed.payload.get(name) for name in names)
