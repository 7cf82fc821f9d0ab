"""Badges: the rules that are in force and who holds what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.badges import ORIGINS, TIERS
from rebootcamp.models.sql.columns import Instant, one_of
from rebootcamp.storage.sql import Base


class BadgeDefinition(Base):
    """A badge and its rule; `projected_version` says which version MongoDB shows."""

    __tablename__ = "badge_definitions"
    __table_args__ = (
        one_of("tier", TIERS),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name="points_in_range"),
        sa.Index("ix_badge_definitions_unprojected", "code", postgresql_where=sa.text("projected_version < version")),
    )

    code: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    tier: Mapped[str] = mapped_column(sa.Text)
    points: Mapped[int]
    icon: Mapped[str] = mapped_column(sa.Text)
    criteria: Mapped[dict[str, Any]]
    translations: Mapped[dict[str, Any]]
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    projected_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class BadgeGrant(Base):
    """That a learner holds a badge, since when and why; revoked rows stay."""

    __tablename__ = "badge_grants"
    __table_args__ = (
        one_of("origin", ORIGINS),
        sa.Index("ix_badge_grants_holders", "badge_code", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
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
    revoked_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    revoke_reason: Mapped[str | None] = mapped_column(sa.Text)
