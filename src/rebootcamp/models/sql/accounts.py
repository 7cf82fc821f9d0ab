"""Accounts: who the users are and which refresh tokens they hold."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.days import LATEST_START_HOUR, Days
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.core.permissions import ROLES
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base

# What an access token is held against, in a statement that knows `users u` and `app_meta m`; and, since every request
# needs one of those, which MongoDB database is in use.
CALLER_COLUMNS: Final = """u.role AS caller_role, u.token_version AS caller_token_version,
    u.is_active AS caller_is_active, m.token_epoch, m.mongo_database"""
DAY_COLUMNS: Final = ("timezone", "day_start_hour", "former_timezone", "former_day_start_hour", "held_on", "held_until")


def day_columns(alias: str, prefix: str = "") -> str:
    """Return the columns that `Days.from_row` reads, for a statement in SQL."""
    return ", ".join(f"{alias}.{name} AS {prefix}{name}" for name in DAY_COLUMNS)


class User(Base):
    """A person; `token_version` invalidates every token at once when it grows. The columns of the day: `core.days`."""

    __tablename__ = "users"
    __table_args__ = (
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.CheckConstraint("email = lower(email)", name="email_is_lower_case"),
        one_of("role", ROLES),
        one_of("locale", LANGUAGES),
        sa.CheckConstraint(f"day_start_hour BETWEEN 0 AND {LATEST_START_HOUR}", name="day_start_in_range"),
        sa.CheckConstraint(
            "num_nulls(former_timezone, former_day_start_hour, held_on, held_until) IN (0, 4)", name="held_day_is_whole"
        ),
    )

    id: Mapped[Identity]
    email: Mapped[str] = mapped_column(sa.Text)
    password_hash: Mapped[str] = mapped_column(sa.Text)
    role: Mapped[str] = mapped_column(sa.Text, default="student")
    first_name: Mapped[str] = mapped_column(sa.Text)
    last_name: Mapped[str] = mapped_column(sa.Text)
    display_name: Mapped[str] = mapped_column(sa.Text)
    nickname: Mapped[str | None] = mapped_column(sa.Text)
    locale: Mapped[str] = mapped_column(sa.Text, default="en")
    timezone: Mapped[str] = mapped_column(sa.Text, default="UTC")
    day_start_hour: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    former_timezone: Mapped[str | None] = mapped_column(sa.Text)
    former_day_start_hour: Mapped[int | None] = mapped_column(sa.SmallInteger)
    held_on: Mapped[date | None]
    held_until: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    token_version: Mapped[int] = mapped_column(default=1)
    is_active: Mapped[bool] = mapped_column(default=True)
    is_listed: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    email_verified: Mapped[bool] = mapped_column(default=False)
    erased_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __mapper_args__ = {"version_id_col": version}

    @property
    def days(self) -> Days:
        """Return how the person's calendar divides time."""
        return Days.from_row({name: getattr(self, name) for name in DAY_COLUMNS})


# Under which name people see each other; on what ranks them, null for who is not listed.
SHOWN_NAME: Final = sa.func.coalesce(User.nickname, User.display_name)
LISTED_NAME: Final = sa.case((sa.and_(User.is_listed, User.is_active), SHOWN_NAME))


class RefreshToken(Base):
    """One link of a chain: spent at its first use; a second use revokes the whole family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        sa.UniqueConstraint("token_hash", name="uq_refresh_tokens_hash"),
        sa.Index("ix_refresh_tokens_family_id", "family_id"),
        sa.Index("ix_refresh_tokens_user_id", "user_id"),
    )

    id: Mapped[Identity]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    family_id: Mapped[UUID]
    token_hash: Mapped[bytes]
    issued_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    spent_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
