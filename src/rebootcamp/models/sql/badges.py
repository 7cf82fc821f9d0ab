"""Badges: the rules that are in force and who holds what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.badges import HOLDERS, JOB_STATES, ORIGINS, TIERS
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base


class BadgeDefinition(Base):
    """A badge and its rule; `projected_version` says which version MongoDB shows.

    `rule_version` is the `version` in which the rule last changed. `is_revocable`: the badge falls with the facts it
    rests on. `valid_days`: how long an award lasts.
    """

    __tablename__ = "badge_definitions"
    __table_args__ = (
        one_of("tier", TIERS),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name="points_in_range"),
        sa.CheckConstraint("valid_days BETWEEN 1 AND 3660", name="validity_in_range"),
        sa.Index("ix_badge_definitions_unprojected", "code", postgresql_where=sa.text("projected_version < version")),
    )

    code: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    tier: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int]
    icon: Mapped[str] = mapped_column(sa.Text)
    criteria: Mapped[dict[str, Any]]
    translations: Mapped[dict[str, Any]]
    is_active: Mapped[bool] = mapped_column(default=True)
    is_revocable: Mapped[bool] = mapped_column(default=True)
    valid_days: Mapped[int | None]
    version: Mapped[int] = mapped_column(default=1)
    rule_version: Mapped[int] = mapped_column(default=1)
    projected_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class BadgeRule(Base):
    """Every rule that a badge ever had: an award is judged by the one under which it was made."""

    __tablename__ = "badge_rules"

    badge_code: Mapped[str] = mapped_column(sa.ForeignKey("badge_definitions.code"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    criteria: Mapped[dict[str, Any]]
    created_at: Mapped[Instant]
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))


class RuleMeasure(Base):
    """A counter that some rule needs, and the version of the rules since which every event is counted in it."""

    __tablename__ = "rule_measures"

    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    since: Mapped[int]


class BackfillJob(Base):
    """Judging all past learners by a new or changed rule, of a badge or of a timed challenge.

    `after_user_id` is where it goes on after a stop.

    `holders` is `keep` (whoever holds the badge keeps it) or `reevaluate`.
    """

    __tablename__ = "backfill_jobs"
    __table_args__ = (
        one_of("holders", HOLDERS),
        one_of("state", JOB_STATES),
        sa.Index("ix_backfill_jobs_waiting", "id", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_backfill_jobs_badge", "badge_code", "id"),
        sa.Index("ix_backfill_jobs_challenge", "challenge_id", "id"),
        sa.CheckConstraint("num_nonnulls(badge_code, challenge_id) = 1", name="judges_one_thing"),
    )

    id: Mapped[Identity]
    badge_code: Mapped[str | None] = mapped_column(sa.ForeignKey("badge_definitions.code"))
    challenge_id: Mapped[int | None] = mapped_column(sa.ForeignKey("challenges.id"))
    rule_version: Mapped[int]
    holders: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text, default="waiting")
    learners: Mapped[int]
    after_user_id: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    examined: Mapped[int] = mapped_column(default=0)
    awarded: Mapped[int] = mapped_column(default=0)
    revoked: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class BadgeGrant(Base):
    """That a learner holds a badge, since when and why; revoked rows stay."""

    __tablename__ = "badge_grants"
    __table_args__ = (
        one_of("origin", ORIGINS),
        sa.Index("ix_badge_grants_holders", "badge_code", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
        sa.Index(
            "ix_badge_grants_expiring",
            "expires_at",
            postgresql_where=sa.text("revoked_at IS NULL AND expires_at IS NOT NULL"),
        ),
    )

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    badge_code: Mapped[str] = mapped_column(sa.ForeignKey("badge_definitions.code"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("activity_events.event_id"))
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    points: Mapped[int]
    origin: Mapped[str] = mapped_column(sa.Text)
    rule_version: Mapped[int]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    awarded_at: Mapped[Instant]
    expires_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    revoke_reason: Mapped[str | None] = mapped_column(sa.Text)
