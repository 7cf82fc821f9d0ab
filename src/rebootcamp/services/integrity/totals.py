"""Totals that PostgreSQL keeps beside the rows that they count: savings of CO2e, members of groups, teams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rebootcamp.events.challenges import ChallengeJoined, ChallengeLeft
from rebootcamp.events.savings import LEARNERS, figures_of, grams_of
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.challenges import ChallengeCompletion, ChallengeParticipation, TeamContribution
from rebootcamp.models.sql.eco import EcoContribution, EcoTotal
from rebootcamp.models.sql.groups import Group, GroupMembership
from rebootcamp.services.challenges.teams import given_by
from rebootcamp.services.gamification.goals import Goal
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


class ExpectedGoals:
    """What the journal says of timed challenges: who takes part, and what each member gave to which team."""

    def __init__(self, cut: Cut, goals: Sequence[Goal]) -> None:
        self._goals = goals
        self._given: Counter[tuple[int, str, int, int]] = Counter()
        self._joined: Counter[tuple[int, int]] = Counter()
        # What a back-fill has not counted to its end cannot be compared.
        waiting = sa.select(BackfillJob.challenge_id).where(BackfillJob.state == "waiting")
        self._counting = set(cut.sql.scalars(waiting))
        columns = ChallengeCompletion.id, ChallengeCompletion.completed_at
        done = cut.sql.execute(sa.select(*columns)) if goals else ()
        self._done_at: dict[int, datetime] = {row.id: row.completed_at for row in done}
        self._stays: dict[int, list[GroupMembership]] = defaultdict(list)
        for stay in cut.sql.scalars(sa.select(GroupMembership)):
            self._stays[stay.user_id].append(stay)

    def count(self, rows: Iterable[Row], pending: set[int]) -> None:
        """Add the events of a learner, of which some still wait."""
        for row in rows:
            if row["type"] in (ChallengeJoined.type, ChallengeLeft.type):
                sign = 1 if row["type"] == ChallengeJoined.type else -1
                self._joined[row["payload"]["challenge_id"], row["user_id"]] += sign
            for goal, period, value in given_by(self._goals, row) if row["seq"] not in pending else ():
                for group_id in self._groups_at(row):
                    self._given[goal.challenge_id, period, group_id, row["user_id"]] += value

    def compared(self, cut: Cut) -> Iterator[Compared]:
        """Yield every stored row beside the expected one."""
        given = {
            (row.challenge_id, row.period, row.group_id, row.user_id): row.value
            for row in cut.sql.scalars(sa.select(TeamContribution))
        }
        for counts in (given, self._given):
            for key in [key for key in counts if key[0] in self._counting]:
                del counts[key]
        yield from _pairs("team contribution", "challenge, period, group, user ", given, self._given)
        stays = sa.select(ChallengeParticipation).where(ChallengeParticipation.left_at.is_(None))
        joined = {(stay.challenge_id, stay.user_id): 1 for stay in cut.sql.scalars(stays)}
        yield from _pairs("participation", "challenge, user ", joined, self._joined)

    def _groups_at(self, row: Row) -> set[int]:
        at: datetime = self._done_at.get(row["payload"].get("completion_id", 0)) or row["occurred_at"]
        return {
            stay.group_id
            for stay in self._stays.get(row["user_id"], ())
            if stay.joined_at <= at and (stay.left_at is None or stay.left_at > at)
        }


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
