"""Links that show a learner's pictures, or the calendar of workshops, to whoever has their key."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.pictures import SHAREABLE
from rebootcamp.models.sql.columns import Identity, Instant
from rebootcamp.storage.sql import Base

_KNOWN = ", ".join(f"'{name}'" for name in SHAREABLE)


class ShareLink(Base):
    """A key that opens some pictures of one learner; only its hash is here, and a revoked link is no row at all."""

    __tablename__ = "share_links"
    __table_args__ = (
        sa.UniqueConstraint("key_hash", name="uq_share_links_key"),
        sa.CheckConstraint(
            f"cardinality(pictures) > 0 AND pictures <@ ARRAY[{_KNOWN}]::text[]", name="pictures_are_known"
        ),
        sa.Index("ix_share_links_user_id", "user_id", "id"),
    )

    id: Mapped[Identity]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    label: Mapped[str | None] = mapped_column(sa.Text)
    pictures: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    key_hash: Mapped[bytes]
    created_at: Mapped[Instant]
    expires_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
