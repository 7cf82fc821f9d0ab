"""Writing events: one line per learner, locked, gap-free, with the reactions that belong to the same transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Final, Protocol

from rebootcamp.core import clock
from rebootcamp.core.days import Days
from rebootcamp.core.errors import NotFound
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.ids import event_id
from rebootcamp.core.json import dumps_text
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.models.sql.accounts import day_columns
from rebootcamp.models.sql.calendar import CALENDAR_VERSION
from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.models.sql.operations import RULES_VERSION
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import Statement, fetch_all, fetch_one, run_all
from rebootcamp.storage.transactions import transaction

LINES: Final = "learner_lines"

# For a command's own first statement, which locks `FOR UPDATE OF s` before anything else; see `hold_line`.
LINE_COLUMNS: Final = f"""s.user_id, s.last_seq, s.challenge_points, s.badge_points, s.xp_total, s.daily_streak,
        s.longest_daily_streak, s.perfect_quiz_streak, s.last_active_on, s.freezes, s.protected_days, s.counters,
        s.held_badges, s.measured_version, m.rules_version AS rules_number, {RULES_VERSION} AS rules_version,
        {CURVE_VERSION}, {CALENDAR_VERSION}, {day_columns("u")}"""
LINE_TABLES: Final = "learner_states s JOIN users u ON u.id = s.user_id CROSS JOIN app_meta m"

_LOCK: Final = f"SELECT {LINE_COLUMNS} FROM {LINE_TABLES} WHERE s.user_id = %(user_id)s FOR UPDATE OF s"  # noqa: S608
# Rows are locked as they leave the sort: whoever locks several goes the same way.
_LOCK_ALL: Final = f"""
    SELECT {LINE_COLUMNS} FROM {LINE_TABLES} WHERE s.user_id = ANY(%(user_ids)s::bigint[])
    ORDER BY s.user_id FOR UPDATE OF s"""  # noqa: S608

# Events, outbox and state in one statement: whatever follows from a deed, it costs one round trip.
_SAVE: Final = """
    WITH recorded AS (
        SELECT * FROM jsonb_to_recordset(%(events)s::jsonb) AS r (
            event_id uuid, seq bigint, type text, version smallint, payload jsonb, points integer,
            local_date date)
    ), journal AS (
        INSERT INTO activity_events (
            event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
        SELECT event_id, %(user_id)s::bigint, seq, type, version, payload, points,
            %(occurred_at)s::timestamptz, local_date, %(timezone)s::text
        FROM recorded
    ), queue AS (
        INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
        SELECT event_id, %(user_id)s::bigint, seq, 0, %(now)s::timestamptz FROM recorded
    )
    UPDATE learner_states SET
        last_seq = %(last_seq)s::bigint, challenge_points = %(challenge_points)s::integer,
        badge_points = %(badge_points)s::integer, xp_total = %(xp_total)s::integer,
        daily_streak = %(daily_streak)s::integer, longest_daily_streak = %(longest_daily_streak)s::integer,
        perfect_quiz_streak = %(perfect_quiz_streak)s::integer, last_active_on = %(last_active_on)s::date,
        freezes = %(freezes)s::integer, protected_days = %(protected_days)s::jsonb,
        counters = %(counters)s::jsonb, held_badges = %(held_badges)s::jsonb,
        measured_version = %(measured_version)s::integer
    WHERE user_id = %(user_id)s::bigint"""


@dataclass(frozen=True)
class Totals:
    """The learner's figures at one moment."""

    challenge_points: int
    badge_points: int
    xp_total: int
    daily_streak: int
    last_active_on: date | None


@dataclass
class LearnerLine:
    """A learner's locked state, for the length of a transaction; reactions change it, `record` saves it."""

    user_id: int
    last_seq: int
    challenge_points: int
    badge_points: int
    xp_total: int
    daily_streak: int
    longest_daily_streak: int
    perfect_quiz_streak: int
    last_active_on: date | None
    freezes: int
    protected_days: dict[str, Any]
    counters: dict[str, Any]
    held_badges: dict[str, Any]
    measured_version: int
    rules_number: int
    rules_version: str
    curve_version: str
    calendar_version: str
    days: Days

    def totals(self) -> Totals:
        """Return the figures as they are now."""
        return Totals(self.challenge_points, self.badge_points, self.xp_total, self.daily_streak, self.last_active_on)


_LINE_FIELDS: Final = [item.name for item in fields(LearnerLine) if item.name != "days"]


@dataclass(frozen=True)
class Recorded:
    """What one call of `record` did: the fact and all that followed from it, by which version of the rules."""

    events: Sequence[RecordedEvent]
    before: Totals
    after: Totals
    line: LearnerLine


@dataclass(frozen=True)
class Dated:
    """A fact that belongs to another local date than the one it follows from."""

    fact: Fact
    local_date: date


class Reaction(Protocol):
    """What runs on the events of one `record`, inside its transaction."""

    def on_event(self, event: RecordedEvent) -> Iterable[Fact | Dated]:
        """Change the line in memory and return the facts that follow; they are recorded in turn."""

    def writes(self) -> Iterable[Statement]:
        """Return the statements that write what belongs to the events, once they and the line are saved."""


@dataclass
class _Subscribers:
    reactions: list[Callable[[LearnerLine], Reaction]] = field(default_factory=list)


_subscribers = _Subscribers()


def subscribe(reactions: Sequence[Callable[[LearnerLine], Reaction]]) -> None:
    """Name the reactions; each is made anew for each `record`."""
    _subscribers.reactions = list(reactions)


def open_line(user_id: int) -> None:
    """Create the state of a new learner."""
    with transaction() as session:
        session.add(LearnerState(user_id=user_id))
        session.flush()


def lock_line(user_id: int) -> LearnerLine:
    """Lock the learner's state until the transaction ends; raise `NotFound` for an unknown learner."""
    with transaction() as session:
        held: LearnerLine | None = session.info.get(LINES, {}).get(user_id)
        if held is not None:
            return held
        row = fetch_one(_LOCK, {"user_id": user_id})
        if row is None:
            raise NotFound("user")
        return hold_line(row)


def lock_lines(user_ids: Iterable[int]) -> dict[int, LearnerLine]:
    """Lock the states of several learners, in the order of their ids; the transaction may hold no other line yet."""
    wanted = sorted(set(user_ids))
    with transaction():
        rows = fetch_all(_LOCK_ALL, {"user_ids": wanted}) if wanted else ()
        return {row["user_id"]: hold_line(row) for row in rows}


def hold_line(row: Row) -> LearnerLine:
    """Return the line as the running transaction's statement locked it (`LINE_COLUMNS`, `FOR UPDATE OF s`)."""
    with transaction() as session:
        lines: dict[int, LearnerLine] = session.info.setdefault(LINES, {})
        if row["user_id"] not in lines:
            lines[row["user_id"]] = LearnerLine(**{name: row[name] for name in _LINE_FIELDS}, days=Days.from_row(row))
        return lines[row["user_id"]]


def save_line(line: LearnerLine) -> None:
    """Write a locked line whose counters were made anew, without any event."""
    run_all([_save(line, (), clock.now())])


def record(fact: Fact, *, occurred_at: datetime | None = None, local_date: date | None = None) -> Recorded:
    """Append the fact and, until nothing more follows, what the reactions conclude from it.

    `local_date` is the learner's date of the deed when it was not done just now (an approval comes later).
    """
    with transaction():
        line = lock_line(fact.learner_id)
        at = occurred_at or clock.now()
        day = local_date or line.days.date_of(at)
        before, events, queue = line.totals(), list[RecordedEvent](), deque([Dated(fact, day)])
        reactions = [react(line) for react in _subscribers.reactions]
        while queue:
            event = _next(line, queue.popleft(), at)
            events.append(event)
            for reaction in reactions:
                for item in reaction.on_event(event):
                    queue.append(item if isinstance(item, Dated) else Dated(item, event.local_date))
        # In one round trip: nobody waits for their answers.
        run_all([_save(line, events, at), *(write for reaction in reactions for write in reaction.writes())])
        failpoint("journal.saved")
        return Recorded(events, before, line.totals(), line)


def _next(line: LearnerLine, dated: Dated, at: datetime) -> RecordedEvent:
    line.last_seq += 1
    return RecordedEvent(
        event_id=event_id(line.user_id, line.last_seq),
        user_id=line.user_id,
        seq=line.last_seq,
        occurred_at=at,
        local_date=dated.local_date,
        timezone=line.days.rule_at(at).timezone,
        fact=dated.fact,
    )


def _save(line: LearnerLine, events: Sequence[RecordedEvent], at: datetime) -> Statement:
    rows = [
        {
            "event_id": str(event.event_id),
            "seq": event.seq,
            "type": event.fact.type,
            "version": event.fact.version,
            "payload": event.fact.payload(),
            "points": event.fact.score_points,
            "local_date": event.local_date,
        }
        for event in events
    ]
    return _SAVE, {
        **vars(line),
        "counters": dumps_text(line.counters),
        "protected_days": dumps_text(line.protected_days),
        "held_badges": dumps_text(line.held_badges),
        "events": dumps_text(rows),
        "occurred_at": at,
        "timezone": line.days.rule_at(at).timezone,
        "now": clock.now(),
    }
