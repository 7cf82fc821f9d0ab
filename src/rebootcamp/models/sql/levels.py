"""The curve of levels, as staff edit it."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.core.levels import MAX_FLOOR, MAX_LEVELS
from rebootcamp.storage.sql import Base

# As a column of any statement that reads `app_meta m`: no two curves of any store share it.
CURVE_VERSION: Final = "concat_ws('.', m.store_id, m.epoch, m.levels_version) AS curve_version"


class LevelDefinition(Base):
    """One level and the XP at which it begins; the level of a learner is computed, never stored."""

    __tablename__ = "levels"
    __table_args__ = (
        sa.UniqueConstraint("xp_floor", name="uq_levels_xp_floor"),
        sa.CheckConstraint(f"number BETWEEN 1 AND {MAX_LEVELS}", name="number_in_range"),
        sa.CheckConstraint(f"xp_floor BETWEEN 0 AND {MAX_FLOOR}", name="floor_in_range"),
        sa.CheckConstraint("(number = 1) = (xp_floor = 0)", name="first_begins_at_zero"),
    )

    number: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    xp_floor: Mapped[int]
    translations: Mapped[dict[str, Any]]
