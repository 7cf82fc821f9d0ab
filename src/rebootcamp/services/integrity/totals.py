"""Totals that PostgreSQL keeps beside the rows that they count: savings of CO2e, members of groups, teams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.events.challenges import ChallengeJoined, ChallengeLeft
from rebootcamp.events.savings import figures_off, grams_of
from rebootcamp.models.sql.groups import Group, GroupMembership
from rebootcamp.services.challenges.teams import given_by
from rebootcamp.services.integrity.report import Notes, Report
from rebootcamp.services.integrity.sources import Learner
from rebootcamp.services.integrity.world import World
from rebootcamp.storage.sql import Row

# Challenge, period, group.
Share = tuple[int, str, int]


def check_savings(notes: Notes, learner: Learner) -> None:
    """Compare a learner's savings, as delivered and as decided."""
    kept = sum(row["co2e_grams"] for row in learner.savings)
    notes.expect("eco contribution", kept, grams(learner.delivered))
    valid = sum(row["co2e_grams"] for row in learner.completions if row["status"] == "validated")
    notes.expect("co2e of completions", valid, grams(learner.rows))


def check_teams(notes: Notes, learner: Learner, world: World) -> None:
    """Compare what a learner gave to teams, and in which timed challenges the learner takes part."""
    found, expected = stored_shares(learner), shares_of(learner, world, learner.delivered)
    # What a back-fill has not counted to its end cannot be compared.
    for key in sorted(key for key in found.keys() | expected.keys() if key[0] not in world.counting):
        where = "challenge {}, period {}, group {}".format(*key)
        notes.expect("team contribution", found.get(key, 0), expected.get(key, 0), where)
    joined, taking_part = Counter[int](), {row["challenge_id"] for row in learner.participations if not row["left_at"]}
    for row in learner.rows:
        if row["type"] in (ChallengeJoined.type, ChallengeLeft.type):
            joined[row["payload"]["challenge_id"]] += 1 if row["type"] == ChallengeJoined.type else -1
    for number in sorted(joined.keys() | taking_part):
        notes.expect("participation", int(number in taking_part), joined[number], f"challenge {number}")


def grams(rows: Iterable[Row]) -> int:
    """Return what event rows saved together."""
    return sum(map(grams_of, rows))


def stored_shares(learner: Learner) -> dict[Share, int]:
    """Return what is stored of what a learner gave to teams."""
    return {(row["challenge_id"], row["period"], row["group_id"]): row["value"] for row in learner.shares}


def shares_of(learner: Learner, world: World, rows: Iterable[Row]) -> Mapping[Share, int]:
    """Return what the event rows of a learner gave to teams: to each group whose member the learner then was."""
    done_at = {row["id"]: row["completed_at"] for row in learner.completions}
    shares = Counter[Share]()
    for row in rows:
        for goal, period, value in given_by(world.rules.team_goals, row):
            at = done_at.get(row["payload"].get("completion_id", 0)) or row["occurred_at"]
            for group_id in _groups_at(learner, at):
                shares[goal.challenge_id, period, group_id] += value
    return shares


def _groups_at(learner: Learner, at: datetime) -> set[int]:
    return {
        stay["group_id"]
        for stay in learner.stays
        if stay["joined_at"] <= at and (stay["left_at"] is None or stay["left_at"] > at)
    }


def check_figures(report: Report, session: Session) -> None:
    """Compare the savings of the whole platform with the delivered events."""
    for name, value, missing in figures_off(session):
        report.expect("eco total", name, value, value + missing)


def check_members(report: Report, session: Session) -> None:
    """Compare the member count of every group with its current memberships."""
    for group_id, members, counted in members_off(session):
        report.expect("group members", f"group {group_id}", members, counted)


def members_off(session: Session) -> Iterator[Any]:
    """Yield group, stored count and right count wherever they differ."""
    yield from session.execute(_MEMBERS_OFF)


COUNTED: Final = (
    sa.select(sa.func.count())
    .select_from(GroupMembership)
    .where(GroupMembership.group_id == Group.id, GroupMembership.left_at.is_(None))
    .scalar_subquery()
)
_MEMBERS_OFF: Final = sa.select(Group.id, Group.members, COUNTED).where(Group.members != COUNTED).order_by(Group.id)
