"""Rows about the service itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Instant
from rebootcamp.storage.sql import Base

# SQL, of `app_meta m`: which rules these are. Another store, or one that was restored, may have the same number.
RULES_VERSION: Final = "concat_ws('.', m.store_id, m.epoch, m.rules_version)"


# How long the first answer to a key is given again.
KEY_LIFETIME: Final = timedelta(hours=24)


class AppMeta(Base):
    """One row: which MongoDB database belongs to this store, and the epochs that invalidate caches and tokens."""

    __tablename__ = "app_meta"
    __table_args__ = (sa.CheckConstraint("id = 1", name="has_one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    store_id: Mapped[UUID]
    mongo_database: Mapped[str] = mapped_column(sa.Text)
    epoch: Mapped[int] = mapped_column(default=1)
    token_epoch: Mapped[int] = mapped_column(default=1)
    rules_version: Mapped[int] = mapped_column(default=1)
    catalogue_version: Mapped[int] = mapped_column(default=1)
    levels_version: Mapped[int] = mapped_column(default=1)
    calendar_version: Mapped[int] = mapped_column(default=1)


class IdempotencyKey(Base):
    """The first answer to a command, kept in the transaction of the command itself."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    request_hash: Mapped[bytes]
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    content_type: Mapped[str | None] = mapped_column(sa.Text)
    body: Mapped[bytes | None]
    headers: Mapped[dict[str, Any] | None]
    created_at: Mapped[Instant]
