"""Column types that several entities share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from sqlalchemy.orm import mapped_column

Identity = Annotated[int, mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)]
Instant = Annotated[datetime, mapped_column(sa.DateTime(timezone=True))]


def one_of(column: str, values: Iterable[str]) -> sa.CheckConstraint:
    """Return the CHECK that closes an enumeration."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_is_known")
