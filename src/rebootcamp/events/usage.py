"""Counting the journal by the day, UTC: such a figure is settled once its day is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core.workshops import OWN_CAUSES
from rebootcamp.events.accounts import AccountErased
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRejected, ChallengeRevoked
from rebootcamp.events.workshops import WorkshopAttendanceRevoked, WorkshopLeft, WorkshopOffered, WorkshopPromoted
from rebootcamp.models.sql.progress import ActivityEvent

# What others or the rules do to a learner makes nobody active; nor does a challenge that completes by itself.
PASSIVE: Final = [
    fact.type
    for fact in (
        BadgeAwarded,
        BadgeRevoked,
        ChallengeRejected,
        ChallengeRevoked,
        AccountErased,
        WorkshopOffered,
        WorkshopPromoted,
        WorkshopAttendanceRevoked,
    )
]

_USAGE: Final = sa.text("""
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date AS day,
        count(DISTINCT e.user_id) FILTER (
            WHERE e.type <> ALL (:passive) AND NOT jsonb_exists(e.payload, 'is_goal')
                AND (e.type <> :left OR e.payload ->> 'cause' = ANY (:own))) AS learners,
        count(*) AS events,
        count(*) FILTER (WHERE e.type = :completed) AS completions,
        coalesce(sum((SELECT sum(x.points) FROM xp_entries x WHERE x.event_id = e.event_id)), 0)::bigint AS xp
    FROM activity_events e
    WHERE e.occurred_at >= CAST(:first AS date) AND e.occurred_at < CAST(:last AS date) + 1
    GROUP BY 1""")

_SUMMARISE: Final = sa.text("""
    SELECT brin_summarize_new_values(oid) FROM pg_class
    WHERE relname = 'ix_activity_events_time' AND relnamespace = current_schema()::regnamespace
        AND pg_has_role(relowner, 'USAGE')""")


@dataclass(frozen=True)
class Usage:
    """What happened on one day."""

    day: date
    learners: int = 0
    events: int = 0
    completions: int = 0
    xp: int = 0


def index_newest(session: Session) -> None:
    """Let the index by time know the newest part of the journal, which is read from end to end until then."""
    session.execute(_SUMMARISE)


def first_day(session: Session) -> date | None:
    """Return the day of the oldest event; None where there is none. Reads the whole journal."""
    oldest = session.scalar(sa.select(sa.func.min(ActivityEvent.occurred_at)))
    return oldest and oldest.date()


def usage_between(session: Session, first: date, last: date) -> Iterator[Usage]:
    """Yield what happened on each of the days, the quiet ones included."""
    types = {"passive": PASSIVE, "completed": ChallengeCompleted.type, "left": WorkshopLeft.type}
    parameters = {"first": first, "last": last, **types, "own": list(OWN_CAUSES)}
    found = {row["day"]: Usage(**row) for row in session.execute(_USAGE, parameters).mappings()}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        yield found.get(day, Usage(day))
