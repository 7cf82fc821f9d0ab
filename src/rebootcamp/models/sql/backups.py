"""Marks of backups: the same newest one in both dumps proves that they belong together."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Instant
from rebootcamp.storage.sql import Base


class BackupMark(Base):
    """One backup that was begun; it says nothing about its end."""

    __tablename__ = "backup_marks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[Instant]
