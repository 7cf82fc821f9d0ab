"""Leaderboards, kept by the relay."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Instant
from rebootcamp.storage.sql import Base


class LeaderboardEntry(Base):
    """The delivered score of a learner on one board; `reached_at` breaks ties, first come first."""

    __tablename__ = "leaderboard_entries"
    __table_args__ = (
        sa.Index("ix_leaderboard_entries_order", "board", "period", sa.text("score DESC"), "reached_at", "user_id"),
    )

    board: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    period: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    score: Mapped[int]
    reached_at: Mapped[Instant]
