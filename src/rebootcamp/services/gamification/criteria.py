"""Criteria, compiled: pure objects that say whether a learner meets them, how far the way is, and what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from rebootcamp.services.gamification.measures import Counters, Measure

# What a criterion may watch beside counters; `badge:<code>` stands for holding a badge.
POINTS, XP, DAILY, PERFECT_QUIZ = "points", "xp", "streak:daily", "streak:perfect_quiz"
# What may hold without anything having moved, a window of dates or a `not`, is judged at every deed.
DAY: Final = "day"
TOTALS: Final = {"points": POINTS, "xp": XP, "level": XP, "daily": DAILY, "perfect_quiz": PERFECT_QUIZ}


def badge_signal(code: str) -> str:
    """Return what changes when a learner gets or loses a badge."""
    return f"badge:{code}"


@dataclass(frozen=True)
class Situation:
    """A learner on a local date.

    `reviewed_on` is the date on which a badge that is already held is judged again (see `Not`, `Counted`).
    """

    counters: Counters
    points: int
    xp: int
    level: int
    daily: int
    perfect_quiz: int
    held: Collection[str]
    day: date
    reviewed_on: date | None = None


@dataclass(frozen=True)
class Reading:
    """What one part of a criterion saw: the counter or total, its value and its target."""

    counter: str
    value: int
    target: int


@dataclass(frozen=True)
class Advance:
    """How far a learner is; `value` reaches `target` exactly when the criterion holds."""

    value: int
    target: int


class Criterion:
    """One node of a rule; a plain one is met or not, and has no parts."""

    def holds(self, situation: Situation) -> bool:
        """Tell whether the learner meets it."""
        raise NotImplementedError

    def advance(self, situation: Situation) -> Advance:
        """Return how far the learner is."""
        return Advance(int(self.holds(situation)), 1)

    def parts(self) -> Iterable[Criterion]:
        """Yield the criteria directly inside."""
        return ()

    def signals(self) -> Iterable[str]:
        """Yield what this node watches, its parts left out."""
        return ()

    def readings(self, situation: Situation) -> Iterable[Reading]:
        """Yield what this node sees, its parts left out."""
        return ()


class Gauge(Criterion):
    """A criterion that reaches a number."""

    at_least: int

    def value(self, situation: Situation) -> int:
        """Return where the learner stands."""
        raise NotImplementedError

    def holds(self, situation: Situation) -> bool:
        """Tell whether the number is reached."""
        return self.value(situation) >= self.at_least

    def advance(self, situation: Situation) -> Advance:
        """Return the number, at most the target."""
        return Advance(max(0, min(self.value(situation), self.at_least)), self.at_least)

    def readings(self, situation: Situation) -> Iterable[Reading]:
        """Yield the number."""
        yield Reading(next(iter(self.signals())), self.value(situation), self.at_least)


@dataclass(frozen=True)
class Counted(Gauge):
    """`count` and `sum`: a measure, in its period or over the last days where the rule says so."""

    measure: Measure
    at_least: int
    within_days: int | None = None

    def value(self, situation: Situation) -> int:
        """Return the count on the situation's date."""
        return self.measure.value(situation.counters, situation.day, self.within_days)

    def holds(self, situation: Situation) -> bool:
        """Tell whether the count is reached; what nobody can count any more is not held against a holder."""
        today = situation.reviewed_on
        if today is not None and self.measure.may_have_forgotten(situation.day, self.within_days, today):
            return True
        return super().holds(situation)

    def signals(self) -> Iterable[str]:
        """Yield the counter."""
        yield self.measure.key


@dataclass(frozen=True)
class Total(Gauge):
    """`points`, `xp`, `level` and `streak`."""

    kind: str
    at_least: int

    def holds(self, situation: Situation) -> bool:
        """Tell whether the total is reached; a run of perfect quizzes that ended later is not held against a holder."""
        return (situation.reviewed_on is not None and self.kind == "perfect_quiz") or super().holds(situation)

    def value(self, situation: Situation) -> int:
        """Return the total."""
        return int(getattr(situation, self.kind))

    def signals(self) -> Iterable[str]:
        """Yield the total."""
        yield TOTALS[self.kind]


@dataclass(frozen=True)
class HoldsBadge(Criterion):
    """`badge`: another badge is held."""

    code: str

    def holds(self, situation: Situation) -> bool:
        """Tell whether the learner holds it."""
        return self.code in situation.held

    def signals(self) -> Iterable[str]:
        """Yield the badge."""
        yield badge_signal(self.code)


@dataclass(frozen=True)
class Between(Criterion):
    """`between`: the deed's local date lies in the window, both ends included."""

    start: date
    end: date

    def holds(self, situation: Situation) -> bool:
        """Tell whether the date lies in it."""
        return self.start <= situation.day <= self.end

    def signals(self) -> Iterable[str]:
        """Yield the date."""
        yield DAY


@dataclass(frozen=True)
class Not(Criterion):
    """`not`: a condition for getting a badge, never a reason to lose it."""

    part: Criterion

    def holds(self, situation: Situation) -> bool:
        """Tell whether the part is not met."""
        return situation.reviewed_on is not None or not self.part.holds(situation)

    def parts(self) -> Iterable[Criterion]:
        """Yield what is negated."""
        yield self.part

    def signals(self) -> Iterable[str]:
        """Yield every deed: it may hold without anything having moved."""
        yield DAY


@dataclass(frozen=True)
class All(Criterion):
    """`all`: every part is met."""

    inner: tuple[Criterion, ...]

    def holds(self, situation: Situation) -> bool:
        """Tell whether every part is met."""
        return all(part.holds(situation) for part in self.inner)

    def advance(self, situation: Situation) -> Advance:
        """Return the one number to be reached, or how many parts are met where there are several."""
        gauges = [part for part in self.inner if isinstance(part, Gauge)]
        met = sum(part.holds(situation) for part in self.inner)
        if len(gauges) != 1:
            return Advance(met, len(self.inner))
        only = gauges[0].advance(situation)
        is_blocked = only.value == only.target and met < len(self.inner)
        return Advance(only.value - is_blocked, only.target)

    def parts(self) -> Iterable[Criterion]:
        """Yield the parts."""
        return self.inner


@dataclass(frozen=True)
class AnyOf(Criterion):
    """`any`: at least one part is met."""

    inner: tuple[Criterion, ...]

    def holds(self, situation: Situation) -> bool:
        """Tell whether a part is met."""
        return any(part.holds(situation) for part in self.inner)

    def advance(self, situation: Situation) -> Advance:
        """Return the advance of the part that is closest."""
        ways = [part.advance(situation) for part in self.inner]
        return max(ways, key=lambda way: way.value / way.target)

    def parts(self) -> Iterable[Criterion]:
        """Yield the parts."""
        return self.inner


def nodes(criterion: Criterion) -> Iterable[Criterion]:
    """Yield a criterion and all that it contains."""
    yield criterion
    for part in criterion.parts():
        yield from nodes(part)


def watched(criterion: Criterion) -> set[str]:
    """Return every signal that may change whether it holds."""
    return {signal for node in nodes(criterion) for signal in node.signals()}


def measures_of(criterion: Criterion) -> set[Measure]:
    """Return the measures that it reads."""
    return {node.measure for node in nodes(criterion) if isinstance(node, Counted)}


def levels_of(criterion: Criterion) -> set[int]:
    """Return the numbers of the levels that it names."""
    return {node.at_least for node in nodes(criterion) if isinstance(node, Total) and node.kind == "level"}


def readings_of(criterion: Criterion, situation: Situation) -> list[Reading]:
    """Return what its parts see, as evidence."""
    return [reading for node in nodes(criterion) for reading in node.readings(situation)]


def days_of(criterion: Criterion, counters: Counters, after: date | None = None) -> list[date]:
    """Return the days on which the windows that it reads may be full, oldest first."""
    return sorted({day for measure in measures_of(criterion) for day in measure.days(counters, after)})


def first_met(criterion: Criterion, situation: Situation, *, is_late: bool) -> Situation | None:
    """Return the situation in which a deed makes it hold, or None.

    It is the day of the deed, or a later one: what was approved late may fill a window that has ended since.
    """
    if criterion.holds(situation):
        return situation
    if not is_late:
        return None
    later = (replace(situation, day=day) for day in days_of(criterion, situation.counters, situation.day))
    return next((then for then in later if criterion.holds(then)), None)


def still_holds(criterion: Criterion, situation: Situation, today: date) -> bool:
    """Tell whether a badge stays: its rule holds on the day on which it was met, or in another window that is known."""
    if criterion.holds(replace(situation, reviewed_on=today)):
        return True
    others = days_of(criterion, situation.counters)
    return any(criterion.holds(replace(situation, day=day, reviewed_on=day)) for day in others)


def is_dated(criterion: Criterion) -> bool:
    """Tell whether the day of a deed matters, so that a past learner must be judged on each active day."""
    return any(
        isinstance(node, Between) or (isinstance(node, Counted) and node.measure.grain) for node in nodes(criterion)
    )
