"""Streaks: how they stand and why, freezes for days to come, repairs of missed ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import ONE_DAY, Days
from rebootcamp.core.errors import DomainError, InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.events.facts import Fact
from rebootcamp.events.journal import LearnerLine, lock_line, record
from rebootcamp.events.store import fetch_activity
from rebootcamp.events.streaks import FreezeCancelled, FreezePlaced, StreakRepaired
from rebootcamp.models.sql.accounts import day_columns
from rebootcamp.models.sql.calendar import CALENDAR_VERSION
from rebootcamp.services.gamification.rest_days import Calendar, calendar_of
from rebootcamp.services.gamification.streaks import (
    DAYS_PER_FREEZE,
    FROZEN,
    MAX_FREEZES,
    REPAIRED,
    Off,
    Streak,
    off_days,
    recount,
)
from rebootcamp.services.progress.streak_errors import (
    AlreadyProtected,
    DayAlreadyCounted,
    DayNotMissed,
    NoFreezeLeft,
    RepairUsed,
    StreakNotMended,
    TooLateToCancel,
    TooLateToRepair,
)
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

FREEZE_AHEAD: Final = timedelta(days=30)
REPAIR_WINDOW: Final = timedelta(days=3)
REPAIR_EVERY: Final = timedelta(days=30)
EXPLAINED_DAYS: Final = 60

_STREAK: Final = f"""
    SELECT s.daily_streak, s.longest_daily_streak, s.last_active_on, s.freezes, s.perfect_quiz_streak,
        s.protected_days, s.user_id, s.last_seq, {CALENDAR_VERSION}, {day_columns("u")}
    FROM learner_states s JOIN users u ON u.id = s.user_id CROSS JOIN app_meta m
    WHERE s.user_id = %(user_id)s"""  # noqa: S608


@dataclass(frozen=True)
class Diary:
    """A learner's streaks at one instant."""

    streak: Streak
    days: Days
    calendar: Calendar
    now: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Diary:
        """Read the columns of state, person and calendar version, as of now."""
        return cls(Streak.from_row(row), Days.from_row(row), calendar_of(row["calendar_version"]), clock.now())

    @classmethod
    def of_line(cls, line: LearnerLine) -> Diary:
        """Read a locked line, as of now."""
        return cls(Streak.from_row(vars(line)), line.days, calendar_of(line.calendar_version), clock.now())

    @cached_property
    def today(self) -> date:
        """Return the learner's date."""
        return self.days.date_of(self.now)

    @cached_property
    def off(self) -> Off:
        """Return what tells whether a date may pass without activity."""
        return off_days(self.streak, self.calendar, self.days.rule.timezone)

    @property
    def daily(self) -> int:
        """Return the run, if it still goes on."""
        return self.streak.as_of(self.today, self.off)

    @property
    def deadline(self) -> datetime:
        """Return the last second of today."""
        return self.days.end_of(self.today)

    @property
    def keep_by(self) -> datetime:
        """Return the last second at which activity keeps the run."""
        return self.days.end_of(self.streak.keep_on(self.today, self.off))

    @property
    def freezes(self) -> int:
        """Return how many freezes can be placed."""
        return max(0, self.streak.freezes)

    @property
    def frozen(self) -> list[date]:
        """Return the dates from today on that a freeze protects."""
        return [day for day in self.streak.dates(FROZEN) if day >= self.today]


@dataclass(frozen=True)
class ExplainedDay:
    """What one date did to the run; `names`: how the calendar calls a rest day."""

    on: date
    state: str
    names: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StreakView:
    """A learner's streaks with the dates behind them, newest first, down to the one that broke the run before."""

    diary: Diary
    explained: tuple[ExplainedDay, ...]
    repairable_on: date | None

    @property
    def repair_from(self) -> date:
        """Return the date from which a repair is available."""
        return max([self.diary.today, *(day + REPAIR_EVERY for day in repairs(self.diary.streak))])

    @property
    def days_to_freeze(self) -> int | None:
        """Return how many more days of the run earn the next freeze; None: the bank is full."""
        return (
            None if self.diary.streak.freezes >= MAX_FREEZES else DAYS_PER_FREEZE - self.diary.daily % DAYS_PER_FREEZE
        )


def get_streak(actor: Actor, user_id: int) -> StreakView:
    """Return a learner's streaks and why they are what they are; raise `NotFound` for a stranger."""
    return streak_of(get_streak_row(actor, user_id))


def get_streak_row(actor: Actor, user_id: int) -> Row:
    """Return all that a learner's streaks are made of but the active days; raise `NotFound` for a stranger."""
    actor.require_self_or("progress:read_any", user_id)
    row = fetch_one(_STREAK, {"user_id": user_id})
    if row is None:
        raise NotFound("user")
    return row


def streak_versions_of(row: Row) -> tuple[int, str, date, str, int]:
    """Return what changes whenever the streaks of a row do: the date, and the hour at which it ends, included."""
    days, now = Days.from_row(row), clock.now()
    rule = days.rule_at(now)
    return row["last_seq"], row["calendar_version"], days.date_of(now), rule.timezone, rule.start_hour


def streak_of(row: Row) -> StreakView:
    """Return the streaks of a row, as of now."""
    diary, active = Diary.from_row(row), set(+fetch_activity(row["user_id"]))
    window = (diary.today - n * ONE_DAY for n in range(1, REPAIR_WINDOW.days + 1))
    repairable = next((day for day in window if _repair_refusal(diary, day, active) is None), None)
    return StreakView(diary, tuple(_explained(diary, active)), repairable)


def place_freeze(actor: Actor, on: date) -> StreakView:
    """Protect today or a day to come with a freeze of the bank.

    Raises `InvalidField`, `AlreadyProtected`, `DayAlreadyCounted`, `NoFreezeLeft`.
    """
    with transaction():
        diary = Diary.of_line(lock_line(actor.user_id))
        if not diary.today <= on <= diary.today + FREEZE_AHEAD:
            message = Text(
                f"This must be today or one of the next {FREEZE_AHEAD.days} days.",
                f"Indiquez aujourd'hui ou l'un des {FREEZE_AHEAD.days} prochains jours.",
            )
            raise InvalidField("/on", message, "out_of_range")
        if diary.off(on):
            raise AlreadyProtected
        if on == diary.streak.last_active_on:
            raise DayAlreadyCounted
        if not diary.freezes:
            raise NoFreezeLeft
        return _record(actor, FreezePlaced(learner_id=actor.user_id, on=on.isoformat()), diary)


def cancel_freeze(actor: Actor, on: str) -> None:
    """Return a freeze to the bank before its day (as ISO 8601); raise `NotFound`, `TooLateToCancel`."""
    with transaction():
        diary = Diary.of_line(lock_line(actor.user_id))
        if on not in map(date.isoformat, diary.streak.dates(FROZEN)):
            raise NotFound("freeze")
        if on <= diary.today.isoformat():
            raise TooLateToCancel
        record(FreezeCancelled(learner_id=actor.user_id, on=on), occurred_at=diary.now)


def repair_streak(actor: Actor, on: date) -> StreakView:
    """Mend a missed day, when that mends the run.

    Raises `DayNotMissed`, `TooLateToRepair`, `RepairUsed`, `StreakNotMended`.
    """
    with transaction():
        diary = Diary.of_line(lock_line(actor.user_id))
        refusal = _repair_refusal(diary, on, set(+fetch_activity(actor.user_id)))
        if refusal is not None:
            raise refusal
        return _record(actor, StreakRepaired(learner_id=actor.user_id, on=on.isoformat()), diary)


def repairs(streak: Streak) -> Iterable[date]:
    """Return the dates on which repairs were made."""
    return (date.fromisoformat(entry[1]) for entry in streak.protected.values() if entry[0] == REPAIRED)


def _record(actor: Actor, fact: Fact, diary: Diary) -> StreakView:
    record(fact, occurred_at=diary.now)
    return get_streak(actor, actor.user_id)


def _repair_refusal(diary: Diary, on: date, active: set[date]) -> DomainError | None:
    today, streak = diary.today, diary.streak
    if on < today - REPAIR_WINDOW:
        return TooLateToRepair(days=REPAIR_WINDOW.days)
    if on >= today or on in active or diary.off(on):
        return DayNotMissed()
    if any(day > today - REPAIR_EVERY for day in repairs(streak)):
        return RepairUsed(days=REPAIR_EVERY.days)
    mended = recount(streak.protect(REPAIRED, [on.isoformat()], today), active, diary.calendar)
    if mended.as_of(today, off_days(mended, diary.calendar, diary.days.rule.timezone)) <= diary.daily:
        return StreakNotMended()
    return None


def _explained(diary: Diary, active: set[date]) -> Iterable[ExplainedDay]:
    """Yield what each date did, newest first; before the first activity there is nothing to explain."""
    first = min(active, default=diary.today)
    for n in range(EXPLAINED_DAYS):
        day = diary.today - n * ONE_DAY
        if n and day < first:
            return
        explained = _explain(diary, day, active)
        yield explained
        if explained.state == "missed":
            return


def _explain(diary: Diary, day: date, active: set[date]) -> ExplainedDay:
    if day in active:
        return ExplainedDay(day, "counted")
    if (kind := diary.streak.protection_of(day)) is not None:
        return ExplainedDay(day, kind)
    if (names := diary.calendar.names_of(day)) is not None:
        return ExplainedDay(day, "rest", names)
    if diary.off(day):
        return ExplainedDay(day, "bridged")
    return ExplainedDay(day, "open" if day == diary.today else "missed")
