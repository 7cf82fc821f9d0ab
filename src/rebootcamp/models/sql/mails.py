"""Mails that wait to be sent, and those that were."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.mails import MAIL_KINDS
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base

WAITS: Final = "sent_at IS NULL AND dead_at IS NULL AND skipped_at IS NULL"


class Mail(Base):
    """One mail to one account: written in the transaction of what it tells, sent afterwards by a relay.

    `key` names its reason, so that none is sent twice for the same one. The address and the language are those of the
    account at the moment of sending; `data` holds ids and plain values only. It ends in one of three ways: sent; dead,
    which an operator may undo; or skipped, because nobody needs it any more. `reason` says why it was not sent.
    """

    __tablename__ = "mails"
    __table_args__ = (
        sa.UniqueConstraint("key", name="uq_mails_key"),
        one_of("kind", MAIL_KINDS),
        sa.CheckConstraint("num_nonnulls(sent_at, dead_at, skipped_at) <= 1", name="end_is_one"),
        sa.Index("ix_mails_due", "next_attempt_at", "id", postgresql_where=sa.text(WAITS)),
        sa.Index("ix_mails_dead", "id", postgresql_where=sa.text("dead_at IS NOT NULL")),
        sa.Index("ix_mails_user_id", "user_id"),
    )

    id: Mapped[Identity]
    key: Mapped[str] = mapped_column(sa.Text)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(sa.Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[Instant]
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    next_attempt_at: Mapped[Instant]
    sent_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    dead_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    skipped_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    reason: Mapped[str | None] = mapped_column(sa.Text)
