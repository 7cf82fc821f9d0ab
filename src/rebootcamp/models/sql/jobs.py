"""Maintenance: which jobs ran, and what they counted of each day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Identity, Instant
from rebootcamp.storage.sql import Base


class JobRun(Base):
    """One run; without `finished_at` it runs now, or its process died. `counts` is what it did, by name."""

    __tablename__ = "job_runs"
    __table_args__ = (sa.Index("ix_job_runs_name", "name", "id"),)

    id: Mapped[Identity]
    name: Mapped[str] = mapped_column(sa.Text)
    started_at: Mapped[Instant]
    finished_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(sa.Text)


class UsageDay(Base):
    """What happened on one day, UTC; `learners` is how many did something themselves."""

    __tablename__ = "usage_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    learners: Mapped[int]
    events: Mapped[int]
    completions: Mapped[int]
    xp: Mapped[int] = mapped_column(sa.BigInteger)
