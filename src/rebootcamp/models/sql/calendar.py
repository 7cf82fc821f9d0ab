"""The institution's calendar: when nobody is expected to be active."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.models.sql.columns import Identity, Instant
from rebootcamp.storage.sql import Base

# As a column of any statement that reads `app_meta m`: no two calendars of any store share it.
CALENDAR_VERSION: Final = "concat_ws('.', m.store_id, m.epoch, m.calendar_version) AS calendar_version"


class RestDay(Base):
    """Dates that rest, both ends included: all of them, or one day of each week (1: Monday; `ends_on` may be open)."""

    __tablename__ = "rest_days"
    __table_args__ = (
        sa.CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday_in_range"),
        sa.CheckConstraint("starts_on <= ends_on", name="dates_are_ordered"),
        sa.CheckConstraint("weekday IS NOT NULL OR ends_on IS NOT NULL", name="dates_are_closed"),
    )

    id: Mapped[Identity]
    weekday: Mapped[int | None] = mapped_column(sa.SmallInteger)
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    translations: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __mapper_args__ = {"version_id_col": version}
