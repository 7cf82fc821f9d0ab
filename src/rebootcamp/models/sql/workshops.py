"""Workshops, who holds their seats or waits for one, and what PostgreSQL keeps of their comments."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.workshops import (
    COMMENT_STATES,
    MAX_CAPACITY,
    MAX_OFFER_HOURS,
    REGISTRATION_STATUSES,
    WORKSHOP_STATUSES,
)
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base


class Workshop(Base):
    """A meeting with so many seats; archived rather than deleted, because registrations refer to it.

    `taken` counts the seats that nobody else can have: registered, attended, and offered ones; `waiting` counts who
    waits without an offer. Both follow the registrations, under the row's lock, and make nobody's edit stale.
    `questions`: `[{key, labels: {fr, en}, is_required}]`; with `offer_hours` a freed seat is offered for so long
    instead of given.
    """

    __tablename__ = "workshops"
    __table_args__ = (
        sa.UniqueConstraint("slug", name="uq_workshops_slug"),
        one_of("status", WORKSHOP_STATUSES),
        sa.CheckConstraint(f"capacity BETWEEN 1 AND {MAX_CAPACITY}", name="capacity_in_range"),
        sa.CheckConstraint("taken BETWEEN 0 AND capacity", name="has_room"),
        sa.CheckConstraint("waiting >= 0", name="queue_is_counted"),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name="points_in_range"),
        sa.CheckConstraint("starts_at < ends_at", name="time_is_ordered"),
        sa.CheckConstraint(
            "registration_opens_at IS NULL OR registration_closes_at IS NULL"
            " OR registration_opens_at < registration_closes_at",
            name="window_is_ordered",
        ),
        sa.CheckConstraint(
            f"offer_hours IS NULL OR offer_hours BETWEEN 1 AND {MAX_OFFER_HOURS}", name="offer_hours_in_range"
        ),
        sa.Index("ix_workshops_agenda", "starts_at", "id", postgresql_where=sa.text("archived_at IS NULL")),
        sa.Index("ix_workshops_trainer_id", "trainer_id", "starts_at"),
    )

    id: Mapped[Identity]
    slug: Mapped[str] = mapped_column(sa.Text)
    trainer_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    translations: Mapped[dict[str, Any]]
    place: Mapped[str | None] = mapped_column(sa.Text)
    link: Mapped[str | None] = mapped_column(sa.Text)
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    timezone: Mapped[str] = mapped_column(sa.Text)
    capacity: Mapped[int]
    taken: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)
    registration_opens_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    registration_closes_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    offer_hours: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), default=list)
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    points: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(sa.Text, default="published")
    cancelled_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    cancel_reason: Mapped[str | None] = mapped_column(sa.Text)
    reminded_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    archived_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __mapper_args__ = {"version_id_col": version}


class WorkshopRegistration(Base):
    """One learner's stay in one workshop; who comes back after leaving has another row, at the end of the queue.

    The queue is the order of ids: they are given under the workshop's lock. `offered_until`: a seat is kept for the
    learner until then. `first_seq` and `last_seq` are the places, in the learner's line, of the first and the last
    event about it: MongoDB shows it in full when its document has reached `last_seq`.
    """

    __tablename__ = "workshop_registrations"
    __table_args__ = (
        one_of("status", REGISTRATION_STATUSES),
        sa.CheckConstraint("offered_until IS NULL OR status = 'waitlisted'", name="offer_is_open"),
        sa.CheckConstraint("(status = 'attended') = (attended_on IS NOT NULL)", name="attendance_is_dated"),
        sa.CheckConstraint("(status = 'cancelled') = (ended_at IS NOT NULL)", name="end_is_dated"),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="rating_in_range"),
        sa.Index(
            "uq_workshop_registrations_current",
            "workshop_id",
            "user_id",
            unique=True,
            postgresql_where=sa.text("status <> 'cancelled'"),
        ),
        sa.Index("ix_workshop_registrations_list", "workshop_id", "id"),
        sa.Index(
            "ix_workshop_registrations_queue", "workshop_id", "id", postgresql_where=sa.text("status = 'waitlisted'")
        ),
        sa.Index("ix_workshop_registrations_mine", "user_id", "id"),
        sa.Index(
            "ix_workshop_registrations_offers",
            "offered_until",
            postgresql_where=sa.text("offered_until IS NOT NULL"),
        ),
    )

    id: Mapped[Identity]
    workshop_id: Mapped[int] = mapped_column(sa.ForeignKey("workshops.id"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(sa.Text)
    offered_until: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    registered_at: Mapped[Instant]
    seated_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    attended_on: Mapped[date | None]
    rating: Mapped[int | None] = mapped_column(sa.SmallInteger)
    first_seq: Mapped[int] = mapped_column(sa.BigInteger)
    last_seq: Mapped[int] = mapped_column(sa.BigInteger)


class WorkshopComment(Base):
    """What PostgreSQL keeps of a comment: whose it is, which version counts, and the hash of its text.

    The text is native in MongoDB, one document for each version; a version that is not named here does not exist.
    """

    __tablename__ = "workshop_comments"
    __table_args__ = (
        one_of("state", COMMENT_STATES),
        sa.Index("ix_workshop_comments_list", "workshop_id", "id"),
        sa.Index("ix_workshop_comments_mine", "user_id", "created_at"),
    )

    id: Mapped[Identity]
    workshop_id: Mapped[int] = mapped_column(sa.ForeignKey("workshops.id"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    version: Mapped[int] = mapped_column(default=1)
    text_hash: Mapped[bytes]
    state: Mapped[str] = mapped_column(sa.Text, default="visible")
    created_at: Mapped[Instant]
    edited_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    moderated_by: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))
    moderation_reason: Mapped[str | None] = mapped_column(sa.Text)
