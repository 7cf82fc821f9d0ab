"""Challenges and who completed them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.challenges import CADENCES, CATEGORIES, DIFFICULTIES, MAX_TEAM_TARGET, STATUSES, VALIDATIONS
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base


class Challenge(Base):
    """An ecological action; archived rather than deleted, because completions refer to it.

    One with `criteria` is timed: it completes by itself. `opens_on` and `closes_on` are the local dates between which
    its deeds count, the dates of `starts_at` and `ends_at` where they were set. Completing it
    gives the badge `reward_badge`.
    """

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
        sa.CheckConstraint("(validation = 'criteria') = (criteria IS NOT NULL)", name="criteria_complete"),
        sa.CheckConstraint("criteria IS NULL OR (cadence <> 'once' AND co2e_grams = 0)", name="criteria_have_window"),
        sa.CheckConstraint(
            "criteria IS NULL OR cadence <> 'event' OR (opens_on IS NOT NULL AND closes_on IS NOT NULL)",
            name="event_is_bounded",
        ),
        sa.CheckConstraint(
            f"team_target IS NULL OR (criteria IS NOT NULL AND team_target BETWEEN 1 AND {MAX_TEAM_TARGET})",
            name="team_target_in_range",
        ),
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
    criteria: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    opens_on: Mapped[date | None]
    closes_on: Mapped[date | None]
    requires_joining: Mapped[bool] = mapped_column(default=False)
    team_target: Mapped[int | None]
    reward_badge: Mapped[str | None] = mapped_column(sa.ForeignKey("badge_definitions.code"))
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
        # Timed challenges have no grams of their own: so the index holds them, and hardly anything else.
        sa.Index(
            "ix_challenge_completions_finishers",
            "challenge_id",
            "period",
            "completed_at",
            "id",
            postgresql_where=sa.text("co2e_grams = 0"),
        ),
        sa.Index(
            "ix_challenge_completions_mine", "challenge_id", "user_id", postgresql_where=sa.text("co2e_grams = 0")
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


class ChallengeParticipation(Base):
    """One stay of one learner in a timed challenge, from `joined_at` up to `left_at`."""

    __tablename__ = "challenge_participations"
    __table_args__ = (
        sa.Index(
            "uq_challenge_participations_current",
            "challenge_id",
            "user_id",
            unique=True,
            postgresql_where=sa.text("left_at IS NULL"),
        ),
        sa.Index("ix_challenge_participations_stays", "user_id", "challenge_id"),
        sa.Index(
            "ix_challenge_participations_past",
            "challenge_id",
            "left_at",
            postgresql_where=sa.text("left_at IS NOT NULL"),
        ),
        sa.CheckConstraint("left_at >= joined_at", name="stay_is_ordered"),
    )

    id: Mapped[Identity]
    challenge_id: Mapped[int] = mapped_column(sa.ForeignKey("challenges.id"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    joined_at: Mapped[Instant]
    left_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))


class ChallengeResult(Base):
    """What came out of one window of a timed challenge, for ever: a trigger refuses any change.

    `finishers_hash` is the SHA-256 of the ordered finishers (`services.challenges.results`).
    """

    __tablename__ = "challenge_results"

    challenge_id: Mapped[int] = mapped_column(sa.ForeignKey("challenges.id"), primary_key=True)
    period: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    opened_on: Mapped[date]
    closed_on: Mapped[date]
    participants: Mapped[int]
    completed: Mapped[int]
    finishers_hash: Mapped[str] = mapped_column(sa.Text)
    teams: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    recorded_at: Mapped[Instant]


class TeamContribution(Base):
    """What one member's delivered deeds gave to one team challenge in one period; kept by the relay.

    A row for each member, not a sum for each group: relays that work on different learners never meet.
    """

    __tablename__ = "team_contributions"

    challenge_id: Mapped[int] = mapped_column(sa.ForeignKey("challenges.id"), primary_key=True)
    period: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    group_id: Mapped[int] = mapped_column(sa.ForeignKey("groups.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)


class TeamReview(Base):
    """A period in which something was taken back from teams, so that some may have fallen below their target.

    Kept by the relay until rewards were looked through; `version` counts, so that what comes meanwhile is not missed.
    """

    __tablename__ = "team_reviews"

    challenge_id: Mapped[int] = mapped_column(sa.ForeignKey("challenges.id"), primary_key=True)
    period: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, default=1)
