"""Streaks: runs of consecutive local dates, never 24-hour arithmetic, and runs of perfect quizzes.

A date without activity breaks the run unless it is off: a rest day of the institution, frozen or repaired by the
learner, or bridged because a change of zone cut it short. An off day neither breaks the run nor adds to it; activity
on it counts as on any other. Each seventh day of a run earns a freeze, up to `MAX_FREEZES` in the bank. A freeze
leaves the bank when it is placed, whether its day turns out to need it or not, and comes back only when it is
cancelled before that day. All of it follows from the active days, the protected days and the calendar alone, so that
counting day by day, counting again and replaying the events agree.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from rebootcamp.core.days import ONE_DAY, is_cut_short
from rebootcamp.events.accounts import DaysChanged
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.events.quizzes import QuizCompleted
from rebootcamp.events.streaks import FreezeCancelled, FreezePlaced, StreakRepaired

MAX_FREEZES: Final = 2
DAYS_PER_FREEZE: Final = 7
FROZEN, REPAIRED, BRIDGED = "frozen", "repaired", "bridged"
PERFECT: Final = 100
# A calendar may rest for ever; nobody asks for a deadline that far away.
HORIZON: Final = 400

Off = Callable[[date], bool]
RestDays = Container[date]
NO_REST_DAYS: Final[RestDays] = frozenset()


@dataclass(frozen=True)
class Streak:
    """The run that ends on `last_active_on`, the longest run ever, and what protects it.

    `freezes`: the bank (below zero when what earned a spent one was taken back); `protected` maps a date to how and
    on which date it was protected.
    """

    current: int = 0
    longest: int = 0
    last_active_on: date | None = None
    freezes: int = 0
    perfect_quizzes: int = 0
    protected: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Streak:
        """Read the columns of `learner_states`."""
        return cls(
            current=row["daily_streak"],
            longest=row["longest_daily_streak"],
            last_active_on=row["last_active_on"],
            freezes=row["freezes"],
            perfect_quizzes=row["perfect_quiz_streak"],
            protected=row["protected_days"],
        )

    def as_of(self, today: date, off: Off | None = None) -> int:
        """Return the run as the learner sees it: it survives until a whole local day passed that was not off."""
        if self.last_active_on is None or not all(map(off or never_off, _between(self.last_active_on, today))):
            return 0
        return self.current

    def keep_on(self, today: date, off: Off) -> date:
        """Return the next date on which activity is needed to keep the run."""
        is_done = self.last_active_on is not None and self.last_active_on >= today
        first = today + ONE_DAY if is_done else today
        return next((day for n in range(HORIZON) if not off(day := first + n * ONE_DAY)), first)

    def protection_of(self, day: date) -> str | None:
        """Return how a date is protected: frozen, repaired, bridged or not at all."""
        entry = self.protected.get(day.isoformat())
        return entry[0] if entry else None

    def dates(self, kind: str) -> list[date]:
        """Return the dates that are protected in one way, in order."""
        return sorted(date.fromisoformat(day) for day, entry in self.protected.items() if entry[0] == kind)

    def protect(self, kind: str, days: Iterable[str], since: date) -> Streak:
        """Return the streak with more protected dates; what is protected already stays as it is."""
        added = {day: [kind, since.isoformat()] for day in days}
        return replace(self, protected=added | dict(self.protected))

    def unprotect(self, day: str) -> Streak:
        """Return the streak without the protection of a date."""
        return replace(self, protected={key: entry for key, entry in self.protected.items() if key != day})


def never_off(_: date) -> bool:
    """Say of any date that it counts."""
    return False


def off_days(streak: Streak, rest_days: RestDays, timezone: str | None = None) -> Off:
    """Return what tells whether a date may pass without activity; the zone tells of dates that it skipped itself."""
    return lambda day: (
        day.isoformat() in streak.protected
        or day in rest_days
        or (timezone is not None and is_cut_short(day, timezone))
    )


def streak_after(
    streak: Streak, event: RecordedEvent, active_days: Callable[[], Iterable[date]], rest_days: RestDays = NO_REST_DAYS
) -> Streak:
    """Return the streak after an event; `active_days` gives the days on which deeds remain."""
    fact, day, activity = event.fact, event.local_date, activity_of(event)
    if activity > 0:
        streak = _bridged_by_zone(streak, day, rest_days, event.timezone)
        return extend(streak, day, off_days(streak, rest_days)) or recount(streak, active_days(), rest_days)
    if isinstance(fact, QuizCompleted):
        return _after_quiz(streak, fact)
    if isinstance(fact, DaysChanged):
        later = {key for key in streak.protected if key > day.isoformat()}
        kept = {k: e for k, e in streak.protected.items() if not (k in later and e[0] == BRIDGED)}
        return replace(streak, protected=kept).protect(BRIDGED, fact.bridged, day)
    if isinstance(fact, FreezePlaced):
        streak = streak.protect(FROZEN, [fact.on], day)
    elif isinstance(fact, FreezeCancelled):
        streak = streak.unprotect(fact.on)
    elif isinstance(fact, StreakRepaired):
        streak = streak.protect(REPAIRED, [fact.on], day)
    elif activity == 0:
        return streak
    return recount(streak, active_days(), rest_days)


def activity_of(event: RecordedEvent) -> int:
    """Return 1 for a deed, -1 for one taken back, 0 for the rest: what completes by itself is no activity."""
    return 0 if event.fact.is_goal else event.fact.activity


def extend(streak: Streak, day: date, off: Off = never_off) -> Streak | None:
    """Return the streak after activity on `day`, or None when only a recount can tell: something happened later."""
    last = streak.last_active_on
    is_past = last is not None and day < last
    if is_past or any(entry[1] > day.isoformat() for entry in streak.protected.values() if entry[0] == FROZEN):
        return None
    return streak if day == last else _counted(streak, day, off)


def recount(streak: Streak, days: Iterable[date], rest_days: RestDays = NO_REST_DAYS) -> Streak:
    """Return the streak that a set of active days makes, with the protection and the quizzes it has."""
    off = off_days(streak, rest_days)
    spent = sorted((entry[1] for entry in streak.protected.values() if entry[0] == FROZEN), reverse=True)
    counted = replace(streak, current=0, longest=0, last_active_on=None, freezes=0)
    for day in sorted(set(days)):
        while spent and spent[-1] <= day.isoformat():
            spent.pop()
            counted = replace(counted, freezes=counted.freezes - 1)
        counted = _counted(counted, day, off)
    return replace(counted, freezes=counted.freezes - len(spent))


def _counted(streak: Streak, day: date, off: Off) -> Streak:
    last = streak.last_active_on
    goes_on = last is not None and all(map(off, _between(last, day)))
    current = streak.current + 1 if goes_on else 1
    earns = current % DAYS_PER_FREEZE == 0 and streak.freezes < MAX_FREEZES
    return replace(
        streak,
        current=current,
        longest=max(streak.longest, current),
        last_active_on=day,
        freezes=streak.freezes + earns,
    )


def _bridged_by_zone(streak: Streak, day: date, rest_days: RestDays, timezone: str) -> Streak:
    """Return the streak with the dates protected that the zone itself skipped since the last activity."""
    off, skipped = off_days(streak, rest_days), []
    for missed in _between(streak.last_active_on or day, day):
        if is_cut_short(missed, timezone):
            skipped.append(missed.isoformat())
        elif not off(missed):
            return streak
    return streak.protect(BRIDGED, skipped, day) if skipped else streak


def _after_quiz(streak: Streak, fact: QuizCompleted) -> Streak:
    """Only the first finished attempt at a quiz counts: practising neither mends nor breaks a run."""
    if fact.attempt != 1:
        return streak
    return replace(streak, perfect_quizzes=streak.perfect_quizzes + 1 if fact.percent == PERFECT else 0)


def _between(last: date, day: date) -> Iterator[date]:
    """Yield the dates after one and before the other."""
    return (last + n * ONE_DAY for n in range(1, (day - last).days))
