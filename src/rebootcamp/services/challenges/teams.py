"""Team challenges: what members give together, kept by the relay as a projection.

A deed counts for every group whose member the learner was at that moment. One row a member and group, never a shared
sum, so relays that work on different learners do not meet; a group has at most some hundred of them to add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.events.store import hold_waiting, stream_delivered, waiting_deeds
from rebootcamp.models.sql.challenges import TeamContribution, TeamReview
from rebootcamp.models.sql.groups import GroupMembership
from rebootcamp.services.gamification.engine import current_rules
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.measures import occurrence
from rebootcamp.services.gamification.vocabulary import EVENTS
from rebootcamp.storage.sql import Row

CHUNK: Final = 2000

# A completion tells when the deed was done: its approval or its revocation came later.
_ATTRIBUTED: Final = """
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:challenge_ids AS bigint[]), CAST(:periods AS text[]), CAST(:user_ids AS bigint[]),
            CAST(:values AS bigint[]), CAST(:instants AS timestamptz[]), CAST(:completion_ids AS bigint[])
        ) AS g (challenge_id, period, user_id, value, at, completion_id)
    ), attributed AS (
        SELECT g.challenge_id, g.period, m.group_id, g.user_id, sum(g.value)::bigint AS value
        FROM given g LEFT JOIN challenge_completions c ON c.id = g.completion_id
        CROSS JOIN LATERAL (
            SELECT DISTINCT group_id FROM group_memberships
            WHERE user_id = g.user_id AND joined_at <= coalesce(c.completed_at, g.at)
                AND (left_at IS NULL OR left_at > coalesce(c.completed_at, g.at))) AS m
        GROUP BY g.challenge_id, g.period, m.group_id, g.user_id
    )"""
_ADD: Final = sa.text(f"""{_ATTRIBUTED}
    INSERT INTO team_contributions AS kept (challenge_id, period, group_id, user_id, value)
    SELECT challenge_id, period, group_id, user_id, value FROM attributed ORDER BY 1, 2, 3, 4
    ON CONFLICT (challenge_id, period, group_id, user_id) DO UPDATE SET value = kept.value + excluded.value""")  # noqa: S608
_STANDINGS: Final = sa.text(f"""{_ATTRIBUTED}, counted AS (
        SELECT group_id, user_id, value FROM team_contributions
        WHERE challenge_id = :challenge_id AND period = :period
        UNION ALL SELECT group_id, user_id, value FROM attributed
    )
    SELECT t.group_id, g.name, sum(t.value)::bigint AS total,
        coalesce(sum(t.value) FILTER (WHERE t.user_id = :user_id), 0)::bigint AS mine
    FROM counted t JOIN groups g ON g.id = t.group_id
    GROUP BY t.group_id, g.name ORDER BY total DESC, t.group_id""")  # noqa: S608
_MY_GROUPS: Final = sa.text("""
    SELECT g.id, g.name FROM group_memberships m JOIN groups g ON g.id = m.group_id
    WHERE m.user_id = :user_id AND m.left_at IS NULL AND g.archived_at IS NULL ORDER BY g.id""")

# Something was taken back from a team: whether it is still at its target must be looked at.
_ASK_FOR_REVIEW: Final = sa.text("""
    INSERT INTO team_reviews AS kept (challenge_id, period, version)
    SELECT DISTINCT challenge_id, period, 1
    FROM unnest(CAST(:challenge_ids AS bigint[]), CAST(:periods AS text[])) AS g (challenge_id, period) ORDER BY 1, 2
    ON CONFLICT (challenge_id, period) DO UPDATE SET version = kept.version + 1""")


@dataclass(frozen=True)
class TeamStanding:
    """What a group has reached in a period; `mine` is the caller's part."""

    group_id: int
    name: str
    total: int
    target: int
    mine: int = 0


def add_contributions(session: Session, rows: Sequence[Row]) -> None:
    """Count delivered events for the teams of their learners: once each, as their outbox rows leave with them."""
    given = list(_given(current_rules().team_goals, rows))
    _add(session, given)
    taken = [item for item in given if item["value"] < 0]
    if taken:
        columns = {f"{name}s": [item[name] for item in taken] for name in ("challenge_id", "period")}
        session.execute(_ASK_FOR_REVIEW, columns)


def given_by(goals: Iterable[Goal], row: Row) -> Iterator[tuple[Goal, str, int]]:
    """Yield what an event row gives to which goal in which period."""
    counted = occurrence(row["type"])
    if counted is None:
        return
    for goal in goals:
        measure = goal.share.measure
        if measure.event == counted[0] and measure.matches(row["payload"], row["local_date"]):
            amount = row["payload"].get(measure.amount, 0) if measure.amount else 1
            yield goal, goal.period(row["local_date"]), counted[1] * amount


def recount(session: Session, goal: Goal, user_id: int) -> None:
    """Count again what one learner gave to a team challenge; the caller holds the line and shares the barrier.

    No relay delivers the learner's events meanwhile, so what is delivered is exactly what is counted.
    """
    stays = sa.exists().where(GroupMembership.user_id == user_id)
    if not session.scalar(sa.select(stays)):
        return
    hold_waiting(session, user_id)
    mine = TeamContribution.challenge_id == goal.challenge_id, TeamContribution.user_id == user_id
    session.execute(sa.delete(TeamContribution).where(*mine))
    delivered = stream_delivered(session, types_of(goal), goal.opens_on or date.min, user_id)
    while rows := list(islice(delivered, CHUNK)):
        _add(session, list(_given([goal], rows)))


def recount_all(session: Session) -> None:
    """Count every team challenge from the journal, in one pass; no relay may deliver meanwhile."""
    session.execute(sa.delete(TeamContribution))
    goals = current_rules().team_goals
    types = {name for goal in goals for name in types_of(goal)}
    delivered = stream_delivered(session, types, min((goal.opens_on or date.min for goal in goals), default=date.max))
    while rows := list(islice(delivered, CHUNK)):
        _add(session, list(_given(goals, rows)))


def forget(session: Session, challenge_id: int) -> None:
    """Drop what was counted for a challenge that is no longer one of teams, or counts something else."""
    for table in (TeamContribution, TeamReview):
        session.execute(sa.delete(table).where(table.challenge_id == challenge_id))


def team_standings(session: Session, goal: Goal, period: str, user_id: int) -> list[TeamStanding]:
    """Return all teams with anything in a period, the largest first; what is still on its way included."""
    waiting = waiting_deeds(session, types_of(goal), goal.opens_on or date.min)
    given = [item for item in _given([goal], waiting) if item["period"] == period]
    parameters = {**_columns(given), "challenge_id": goal.challenge_id, "period": period, "user_id": user_id}
    rows = session.execute(_STANDINGS, parameters).mappings()
    return [
        TeamStanding(row["group_id"], row["name"], row["total"], goal.team_target or 0, row["mine"]) for row in rows
    ]


def my_teams(session: Session, goal: Goal, period: str, user_id: int) -> list[TeamStanding]:
    """Return the learner's own groups, those with nothing so far included."""
    mine = session.execute(_MY_GROUPS, {"user_id": user_id}).all()
    if not mine:
        return []
    known = {team.group_id: team for team in team_standings(session, goal, period, user_id)}
    return [known.get(number, TeamStanding(number, name, 0, goal.team_target or 0)) for number, name in mine]


def own_parts(session: Session, challenge_id: int, period: str, user_id: int) -> dict[int, int]:
    """Return what a learner gave in a period, by group, as it was delivered."""
    kept = TeamContribution
    given = sa.select(kept.group_id, kept.value).where(
        kept.challenge_id == challenge_id, kept.period == period, kept.user_id == user_id
    )
    return {row.group_id: row.value for row in session.execute(given)}


def _add(session: Session, given: Sequence[dict[str, Any]]) -> None:
    if given:
        session.execute(_ADD, _columns(given))


def _given(goals: Sequence[Goal], rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for goal, period, value in given_by(goals, row):
            yield {
                "challenge_id": goal.challenge_id,
                "period": period,
                "user_id": row["user_id"],
                "value": value,
                "instant": row["occurred_at"],
                "completion_id": row["payload"].get("completion_id"),
            }


def _columns(given: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = ("challenge_id", "period", "user_id", "value", "instant", "completion_id")
    return {f"{name}s": [item[name] for item in given] for name in names}


def types_of(goal: Goal) -> list[str]:
    """Return the types of the events that a team challenge counts, and of those that take them back."""
    event = goal.share.measure.event
    undone = EVENTS[event].undone_by
    return [event, undone] if undone else [event]
