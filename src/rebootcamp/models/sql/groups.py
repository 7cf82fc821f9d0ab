"""Groups and who belongs to them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.groups import ALPHABET, CODE_LENGTH, KINDS, MAX_MEMBERS
from rebootcamp.models.sql.columns import Identity, Instant, one_of
from rebootcamp.storage.sql import Base


class Group(Base):
    """A class or a team. `members` counts the current ones; its CHECK is the limit, whoever joins at once."""

    __tablename__ = "groups"
    __table_args__ = (
        sa.UniqueConstraint("slug", name="uq_groups_slug"),
        sa.UniqueConstraint("join_code", name="uq_groups_join_code"),
        one_of("kind", KINDS),
        sa.CheckConstraint(f"members BETWEEN 0 AND {MAX_MEMBERS}", name="has_room"),
        sa.CheckConstraint(f"join_code ~ '^[{ALPHABET}]{{{CODE_LENGTH}}}$'", name="join_code_is_canonical"),
        sa.Index("ix_groups_owner_id", "owner_id"),
    )

    id: Mapped[Identity]
    slug: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text)
    description: Mapped[str | None] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    is_open: Mapped[bool] = mapped_column(default=True)
    join_code: Mapped[str] = mapped_column(sa.Text)
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    members: Mapped[int] = mapped_column(default=0)
    archived_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __mapper_args__ = {"version_id_col": version}


class GroupMembership(Base):
    """One stay of one learner, from `joined_at` up to `left_at`; who comes back has another row."""

    __tablename__ = "group_memberships"
    __table_args__ = (
        sa.Index(
            "uq_group_memberships_current",
            "group_id",
            "user_id",
            unique=True,
            postgresql_where=sa.text("left_at IS NULL"),
        ),
        sa.Index("ix_group_memberships_stays", "group_id", "user_id"),
        sa.Index("ix_group_memberships_mine", "user_id", postgresql_where=sa.text("left_at IS NULL")),
        sa.CheckConstraint("left_at >= joined_at", name="stay_is_ordered"),
    )

    id: Mapped[Identity]
    group_id: Mapped[int] = mapped_column(sa.ForeignKey("groups.id"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    joined_at: Mapped[Instant]
    left_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
