"""The spine: each learner's state, the events that made it, and what is still to be shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Identity, Instant
from rebootcamp.storage.sql import Base


class LearnerState(Base):
    """Running totals of one learner, and the lock that makes one writer per learner.

    `counters` maps a counter key to an integer or to its parts as a text; `held_badges` maps a badge code to
    `{origin, points, tier, rule, on}`; `measured_version` is the version of the rules whose counters are complete;
    `protected_days` maps a date to how and when it was protected.
    """

    __tablename__ = "learner_states"
    # Room on each page lets an update stay beside the old row and leave the indexes alone.
    __table_args__ = {"postgresql_with": {"fillfactor": 70}}

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    last_seq: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    challenge_points: Mapped[int] = mapped_column(default=0)
    badge_points: Mapped[int] = mapped_column(default=0)
    xp_total: Mapped[int] = mapped_column(default=0)
    daily_streak: Mapped[int] = mapped_column(default=0)
    longest_daily_streak: Mapped[int] = mapped_column(default=0)
    perfect_quiz_streak: Mapped[int] = mapped_column(default=0)
    last_active_on: Mapped[date | None]
    freezes: Mapped[int] = mapped_column(default=0)
    protected_days: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    held_badges: Mapped[dict[str, Any]] = mapped_column(default=dict)
    measured_version: Mapped[int] = mapped_column(default=0)


class ActivityEvent(Base):
    """A fact, for ever: triggers refuse DELETE, TRUNCATE and any UPDATE but free text that becomes a dash.

    `points` is what it adds to the score.
    """

    __tablename__ = "activity_events"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "seq", name="uq_activity_events_seq"),
        sa.Index("ix_activity_events_scoring", "user_id", "seq", postgresql_where=sa.text("points <> 0")),
        # Rows come in the order of time: a few pages tell which part of the table holds a day.
        sa.Index("ix_activity_events_time", "occurred_at", postgresql_using="brin"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    type: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.SmallInteger)
    payload: Mapped[dict[str, Any]]
    points: Mapped[int]
    occurred_at: Mapped[Instant]
    local_date: Mapped[date]
    timezone: Mapped[str] = mapped_column(sa.Text)


class OutboxEntry(Base):
    """An event that MongoDB does not show yet; the row's presence is the whole message."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index("ix_outbox_line", "user_id", "seq"),
        sa.Index("ix_outbox_due", "next_attempt_at", postgresql_where=sa.text("dead_at IS NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("activity_events.event_id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.BigInteger)
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    next_attempt_at: Mapped[Instant]
    dead_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(sa.Text)


class XpEntry(Base):
    """Why each experience point exists."""

    __tablename__ = "xp_entries"
    __table_args__ = (
        sa.UniqueConstraint("event_id", "reason", name="uq_xp_entries_once"),
        sa.Index("ix_xp_entries_user_id", "user_id", "id"),
    )

    id: Mapped[Identity]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("activity_events.event_id"))
    reason: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int]
    category: Mapped[str | None] = mapped_column(sa.Text)
    local_date: Mapped[date]
