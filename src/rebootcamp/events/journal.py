"""Writing events: one line per learner, locked, gap-free, with the reactions that belong to the same transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.errors import NotFound
from rebootcamp.core.ids import event_id
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import ActivityEvent, LearnerState, OutboxEntry
from rebootcamp.storage.transactions import transaction

LINES = "learner_lines"


@dataclass(frozen=True)
class Totals:
    """The learner's figures at one moment."""

    challenge_points: int
    badge_points: int
    xp_total: int
    daily_streak: int


@dataclass
class LearnerLine:
    """A learner's locked state, for the length of a transaction."""

    state: LearnerState
    timezone: str
    rules_version: int

    def totals(self) -> Totals:
        """Return the figures as they are now."""
        state = self.state
        return Totals(state.challenge_points, state.badge_points, state.xp_total, state.daily_streak)


@dataclass(frozen=True)
class Recorded:
    """What one call of `record` did: the fact and all that followed from it."""

    events: Sequence[RecordedEvent]
    before: Totals
    after: Totals


Reaction = Callable[[Session, LearnerLine, RecordedEvent], Iterable[Fact]]


@dataclass
class _Subscribers:
    reactions: list[Reaction] = field(default_factory=list)


_subscribers = _Subscribers()


def subscribe(reactions: Sequence[Reaction]) -> None:
    """Name what runs on each event inside its transaction; what a reaction returns is recorded in turn."""
    _subscribers.reactions = list(reactions)


def open_line(user_id: int) -> None:
    """Create the state of a new learner."""
    with transaction() as session:
        session.add(LearnerState(user_id=user_id))
        session.flush()


def lock_line(user_id: int) -> LearnerLine:
    """Lock the learner's state until the transaction ends; raise `NotFound` for an unknown learner."""
    with transaction() as session:
        lines: dict[int, LearnerLine] = session.info.setdefault(LINES, {})
        if user_id not in lines:
            lines[user_id] = _lock(session, user_id)
        return lines[user_id]


def record(fact: Fact, *, occurred_at: datetime | None = None, local_date: date | None = None) -> Recorded:
    """Append the fact and, until nothing more follows, what the reactions conclude from it.

    `local_date` is the learner's date of the deed when it was not done just now (an approval comes later).
    """
    with transaction() as session:
        line = lock_line(fact.learner_id)
        at = occurred_at or clock.now()
        day = local_date or clock.local_date(at, line.timezone)
        before, events, queue = line.totals(), list[RecordedEvent](), deque([fact])
        while queue:
            event = _append(session, line, queue.popleft(), at, day)
            events.append(event)
            for react in _subscribers.reactions:
                queue.extend(react(session, line, event))
        return Recorded(events, before, line.totals())


def _lock(session: Session, user_id: int) -> LearnerLine:
    statement = (
        sa.select(LearnerState, User.timezone, AppMeta.rules_version)
        .join(User, User.id == LearnerState.user_id)
        .join(AppMeta, sa.true())
        .where(LearnerState.user_id == user_id)
        .with_for_update(of=LearnerState)
        .execution_options(populate_existing=True)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFound("user")
    return LearnerLine(*row)


def _append(session: Session, line: LearnerLine, fact: Fact, at: datetime, day: date) -> RecordedEvent:
    state = line.state
    state.last_seq += 1
    event = RecordedEvent(
        event_id=event_id(state.user_id, state.last_seq),
        user_id=state.user_id,
        seq=state.last_seq,
        occurred_at=at,
        local_date=day,
        timezone=line.timezone,
        fact=fact,
    )
    row = ActivityEvent(
        event_id=event.event_id,
        user_id=event.user_id,
        seq=event.seq,
        type=fact.type,
        version=fact.version,
        payload=fact.payload(),
        points=fact.score_points,
        occurred_at=at,
        local_date=day,
        timezone=event.timezone,
    )
    session.add(row)
    session.add(OutboxEntry(event_id=event.event_id, user_id=event.user_id, seq=event.seq, next_attempt_at=clock.now()))
    return event
