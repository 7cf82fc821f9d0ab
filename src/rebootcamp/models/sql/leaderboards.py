"""Leaderboards, kept by the relay; their settings and what was published of them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base

NEIGHBOURS, FULL = "neighbours", "full"
VIEWS = (NEIGHBOURS, FULL)


class LeaderboardEntry(Base):
    """The delivered score of a learner on one board; `reached_at` breaks ties, first come first.

    `is_listed` repeats what the account says, so that a page is read from the index alone.
    """

    __tablename__ = "leaderboard_entries"
    __table_args__ = (
        sa.PrimaryKeyConstraint("user_id", "board", "period"),
        # All ascending, so that one comparison of rows finds a place from either side.
        sa.Index(
            "ix_leaderboard_entries_order",
            "board",
            "period",
            sa.text("(- score)"),
            "reached_at",
            "user_id",
            # Not searched by, but read: with it, and only with it, the index alone answers.
            postgresql_include=["score"],
            postgresql_where=sa.text("is_listed AND score > 0"),
        ),
    )

    board: Mapped[str] = mapped_column(sa.Text)
    period: Mapped[str] = mapped_column(sa.Text)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    score: Mapped[int]
    reached_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    is_listed: Mapped[bool] = mapped_column(default=True, server_default=sa.true())


class LeaderboardCount(Base):
    """How many listed learners stand below one node of the tree over a board's order (`core.leaderboards`).

    A score that many share `is_split`: only then its slots of time are kept.
    """

    __tablename__ = "leaderboard_counts"
    __table_args__ = {"postgresql_with": {"fillfactor": 70}}

    board: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    period: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    level: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    score: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    learners: Mapped[int]
    is_split: Mapped[bool] = mapped_column(default=False)


class LeaderboardSettings(Base):
    """One row, once an administrator changed something: what students see of a board."""

    __tablename__ = "leaderboard_settings"
    __table_args__ = (sa.CheckConstraint("id = 1", name="has_one_row"), one_of("students_see", VIEWS))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    students_see: Mapped[str] = mapped_column(sa.Text, default=NEIGHBOURS)
    version: Mapped[int]
    updated_at: Mapped[Instant]


class LeaderboardSnapshot(Base):
    """A published board of a closed period, for ever: triggers refuse any change. `sha256` is of its canonical JSON."""

    __tablename__ = "leaderboard_snapshots"
    __table_args__ = (sa.UniqueConstraint("board", "period", name="uq_leaderboard_snapshots_once"),)

    id: Mapped[Identity]
    board: Mapped[str] = mapped_column(sa.Text)
    period: Mapped[str] = mapped_column(sa.Text)
    places: Mapped[int]
    sha256: Mapped[str] = mapped_column(sa.Text)
    frozen_at: Mapped[Instant]
    frozen_by: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))


class LeaderboardPlace(Base):
    """One place of a published board."""

    __tablename__ = "leaderboard_places"
    __table_args__ = (sa.Index("ix_leaderboard_places_mine", "snapshot_id", "user_id"),)

    # Checked at the commit: the places come first, because the hash in the head is made of them.
    snapshot_id: Mapped[int] = mapped_column(
        sa.ForeignKey("leaderboard_snapshots.id", deferrable=True, initially="DEFERRED"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    score: Mapped[int]
    reached_at: Mapped[Instant]
