"""Totals that PostgreSQL keeps beside the rows that they count: savings of CO2e and members of groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from rebootcamp.events.savings import LEARNERS, figures_of, grams_of
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.models.sql.eco import EcoContribution, EcoTotal
from rebootcamp.models.sql.groups import Group, GroupMembership
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.sql import Row

# Invariant, subject, what is stored and what it should be.
Compared = tuple[str, str, int, int]


class ExpectedSavings:
    """What the journal says that was saved: by everybody as delivered, by each learner as decided."""

    def __init__(self) -> None:
        self._figures: Counter[str] = Counter()
        self._delivered: Counter[int] = Counter()
        self._decided: Counter[int] = Counter()

    def count(self, rows: Iterable[Row], pending: set[int]) -> None:
        """Add the events of a learner, of which some still wait."""
        for row in rows:
            self._decided[row["user_id"]] += grams_of(row)
            if row["seq"] not in pending:
                self._delivered[row["user_id"]] += grams_of(row)
                self._figures.update(figures_of(row))

    def compared(self, cut: Cut) -> Iterator[Compared]:
        """Yield every stored figure beside the expected one."""
        learners = sum(1 for grams in self._delivered.values() if grams > 0)
        totals = _stored(cut, sa.select(EcoTotal.name, EcoTotal.value))
        yield from _pairs("eco total", "", totals, {**self._figures, LEARNERS: learners})
        kept = _stored(cut, sa.select(EcoContribution.user_id, EcoContribution.co2e_grams))
        yield from _pairs("eco contribution", "user ", kept, self._delivered)
        completed = sa.select(ChallengeCompletion.user_id, sa.func.sum(ChallengeCompletion.co2e_grams))
        completed = completed.where(ChallengeCompletion.status == "validated").group_by(ChallengeCompletion.user_id)
        yield from _pairs("co2e of completions", "user ", _stored(cut, completed), self._decided)


def counted_members(cut: Cut) -> Iterator[Compared]:
    """Yield the member count of every group beside the number of current memberships."""
    current = sa.select(GroupMembership.group_id, sa.func.count()).where(GroupMembership.left_at.is_(None))
    counted = _stored(cut, current.group_by(GroupMembership.group_id))
    yield from _pairs("group members", "group ", _stored(cut, sa.select(Group.id, Group.members)), counted)


def _stored(cut: Cut, statement: sa.Select[Any, int]) -> dict[Any, int]:
    return {key: int(value) for key, value in cut.sql.execute(statement)}


def _pairs(invariant: str, label: str, found: Mapping[Any, int], expected: Mapping[Any, int]) -> Iterator[Compared]:
    for key in found.keys() | expected.keys():
        yield invariant, f"{label}{key}", found.get(key, 0), expected.get(key, 0)
