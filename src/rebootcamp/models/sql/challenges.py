"""Challenges and who completed them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.challenges import CADENCES, CATEGORIES, DIFFICULTIES, STATUSES, VALIDATIONS
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base


class Challenge(Base):
    """An ecological action; archived rather than deleted, because completions refer to it."""

    __tablename__ = "challenges"
    __table_args__ = (
        sa.UniqueConstraint("slug", name="uq_challenges_slug"),
        one_of("category", CATEGORIES),
        one_of("difficulty", DIFFICULTIES),
        one_of("cadence", CADENCES),
        one_of("validation", VALIDATIONS),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name="points_in_range"),
        sa.CheckConstraint("co2e_grams BETWEEN 0 AND 100000000", name="co2e_in_range"),
        sa.CheckConstraint("starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at", name="window_is_ordered"),
        sa.CheckConstraint("validation <> 'answer' OR cardinality(answers) > 0", name="answer_is_known"),
        sa.Index("ix_challenges_published", "id", postgresql_where=sa.text("is_published AND archived_at IS NULL")),
    )

    id: Mapped[Identity]
    slug: Mapped[str] = mapped_column(sa.Text)
    category: Mapped[str] = mapped_column(sa.Text)
    difficulty: Mapped[str] = mapped_column(sa.Text)
    cadence: Mapped[str] = mapped_column(sa.Text, default="once")
    validation: Mapped[str] = mapped_column(sa.Text, default="self")
    points: Mapped[int]
    co2e_grams: Mapped[int] = mapped_column(default=0)
    answers: Mapped[list[str]] = mapped_column(ARRAY(sa.Text), default=list)
    translations: Mapped[dict[str, Any]]
    co2e_source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_published: Mapped[bool] = mapped_column(default=True)
    starts_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    archived_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __mapper_args__ = {"version_id_col": version}

    def is_open(self, at: datetime) -> bool:
        """Tell whether learners may complete it at the instant."""
        if not self.is_published or self.archived_at is not None:
            return False
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)


class AnswerAttempts(Base):
    """How often a learner answered wrongly since an instant. Without foreign keys: counting must wait for no lock."""

    __tablename__ = "answer_attempts"

    user_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    challenge_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    wrong: Mapped[int] = mapped_column(sa.SmallInteger)
    since: Mapped[Instant]


class ChallengeCompletion(Base):
    """One completion; points and CO2e are frozen here, so a later edit of the challenge changes nobody's past."""

    __tablename__ = "challenge_completions"
    __table_args__ = (
        one_of("status", STATUSES),
        # A rejected or revoked completion may be tried again in the same period.
        sa.Index(
            "uq_challenge_completions_once",
            "user_id",
            "challenge_id",
            "period",
            unique=True,
            postgresql_where=sa.text("status IN ('pending', 'validated')"),
        ),
        sa.Index("ix_challenge_completions_pending", "id", postgresql_where=sa.text("status = 'pending'")),
        sa.Index(
            "ix_challenge_completions_days",
            "user_id",
            "local_date",
            postgresql_where=sa.text("status = 'validated'"),
        ),
    )

    id: Mapped[Identity]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    challenge_id: Mapped[int] = mapped_column(sa.ForeignKey("challenges.id"))
    period: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int]
    co2e_grams: Mapped[int]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    completed_at: Mapped[Instant]
    local_date: Mapped[date]
    reviewed_by: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))
    reviewed_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    review_reason: Mapped[str | None] = mapped_column(sa.Text)
