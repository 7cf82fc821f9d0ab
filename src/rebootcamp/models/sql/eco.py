"""Savings of CO2e over the whole platform, kept by the relay."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from rebootcamp.storage.sql import Base


class EcoTotal(Base):
    """One figure over all delivered events, by name (`events.savings`): some twenty rows, however many learners."""

    __tablename__ = "eco_totals"

    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)


class EcoContribution(Base):
    """The grams that a learner's delivered events saved: tells who begins and who ceases to count as contributor."""

    __tablename__ = "eco_contributions"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    co2e_grams: Mapped[int] = mapped_column(sa.BigInteger)
