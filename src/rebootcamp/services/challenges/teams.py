"""Team challenges: what members give together, kept by the relay as a projection, and the reward of a reached target.

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

from rebootcamp.core import clock
from rebootcamp.core.challenges import days_of
from rebootcamp.core.days import ONE_DAY
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.journal import lock_line
from rebootcamp.events.store import stream_delivered, waiting_deeds
from rebootcamp.models.sql.challenges import TeamContribution
from rebootcamp.services.challenges.goals import complete_goal
from rebootcamp.services.gamification.engine import current_rules, rules_of, standing_of
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.measures import occurrence
from rebootcamp.services.gamification.progression import CRITERIA_NO_LONGER_MET, situation_of
from rebootcamp.services.gamification.pursuit import may_take_part
from rebootcamp.services.gamification.vocabulary import EVENTS
from rebootcamp.storage.locks import BARRIER, hold
from rebootcamp.storage.sql import Row
from rebootcamp.storage.transactions import transaction

CHUNK: Final = 2000
REWARDS_A_TURN: Final = 100

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

# Those who gave enough to a team that reached its target, and were not rewarded yet; closed windows are left alone.
_DESERVING: Final = sa.text("""
    SELECT DISTINCT t.challenge_id, t.period, t.user_id
    FROM challenges c
    JOIN team_contributions t ON t.challenge_id = c.id AND t.value >= :at_least
    WHERE c.id = :challenge_id AND t.period = :period AND t.user_id > :after
        AND t.group_id IN (
            SELECT group_id FROM team_contributions WHERE challenge_id = :challenge_id AND period = :period
            GROUP BY group_id HAVING sum(value) >= c.team_target)
        AND NOT EXISTS (
            SELECT 1 FROM challenge_completions d
            WHERE d.user_id = t.user_id AND d.challenge_id = t.challenge_id AND d.period = t.period
                AND (d.status = 'validated' OR d.review_reason <> :automatic))
        AND (NOT c.requires_joining OR EXISTS (
            SELECT 1 FROM challenge_participations p
            WHERE p.user_id = t.user_id AND p.challenge_id = c.id AND p.left_at IS NULL))
        AND NOT EXISTS (SELECT 1 FROM challenge_results r WHERE r.challenge_id = c.id AND r.period = t.period)
    ORDER BY t.user_id LIMIT :limit""")


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
    _add(session, current_rules().team_goals, rows)


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


def recount(session: Session, goal: Goal) -> None:
    """Count a new or changed team challenge from the journal; no relay delivers until the transaction ends."""
    hold(session, BARRIER)
    session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    session.execute(sa.delete(TeamContribution).where(TeamContribution.challenge_id == goal.challenge_id))
    delivered = stream_delivered(session, _types(goal), goal.opens_on or date.min)
    while rows := list(islice(delivered, CHUNK)):
        _add(session, [goal], rows)


def recount_all(session: Session) -> None:
    """Count every team challenge from the journal, in one pass; no relay may deliver meanwhile."""
    session.execute(sa.delete(TeamContribution))
    goals = current_rules().team_goals
    types = {name for goal in goals for name in _types(goal)}
    delivered = stream_delivered(session, types, min((goal.opens_on or date.min for goal in goals), default=date.max))
    while rows := list(islice(delivered, CHUNK)):
        _add(session, goals, rows)


def forget(session: Session, challenge_id: int) -> None:
    """Drop what was counted for a challenge that is no longer one of teams."""
    session.execute(sa.delete(TeamContribution).where(TeamContribution.challenge_id == challenge_id))


def team_standings(session: Session, goal: Goal, period: str, user_id: int) -> list[TeamStanding]:
    """Return all teams with anything in a period, the largest first; what is still on its way included."""
    waiting = waiting_deeds(session, _types(goal), goal.opens_on or date.min)
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


def reward_teams() -> int:
    """Complete reached team challenges for those who gave to them, one learner a transaction; return how many."""
    with transaction():
        goals = [goal for goal in current_rules().goals.values() if goal.team_target is not None]
    running = [(goal, period) for goal in goals for period in _running(goal)]
    return sum(_reward_one(goal, period, user_id) for goal, period in running for user_id in _deserving(goal, period))


def reward_all(goal: Goal, period: str) -> None:
    """Reward everybody who deserves it, before the results of a period are recorded."""
    after = 0
    while user_ids := _deserving(goal, period, after):
        for user_id in user_ids:
            _reward_one(goal, period, user_id)
        after = user_ids[-1]


def _deserving(goal: Goal, period: str, after: int = 0) -> Sequence[int]:
    """Return the next learners who deserve a completion and do not have it yet."""
    parameters = {
        "after": after,
        "challenge_id": goal.challenge_id,
        "period": period,
        "at_least": goal.share.at_least,
        "automatic": CRITERIA_NO_LONGER_MET,
        "limit": REWARDS_A_TURN,
    }
    with transaction() as session:
        return [row.user_id for row in session.execute(_DESERVING, parameters)]


def _reward_one(goal: Goal, period: str, user_id: int) -> bool:
    now = clock.now()
    with transaction():
        line = lock_line(user_id)
        rules, standing = rules_of(line), standing_of(line)
        current = rules.goals.get(goal.challenge_id)
        day = _day_in(goal, period, line.days.date_of(now))
        if current != goal or not may_take_part(goal, standing, day, day):
            return False
        situation = situation_of(standing, day, rules.curve)
        is_done = complete_goal(line, goal, situation, now, {"team": True}) is not None
    failpoint("teams.rewarded")
    return is_done


def _running(goal: Goal) -> list[str]:
    """Return the periods that are open somewhere on earth: today's, and what the last place has not left yet."""
    today = clock.now().date()
    days = [day for day in (today - 2 * ONE_DAY, today - ONE_DAY, today, today + ONE_DAY) if goal.window(day)]
    return sorted({goal.period(day) for day in days})


def _day_in(goal: Goal, period: str, today: date) -> date:
    """Return the learner's date in the period: today, or its last one when it is over."""
    if goal.window(today) and goal.period(today) == period:
        return today
    begins = date.min if goal.cadence == "event" else days_of(goal.cadence, period)[0]
    first = max(begins, goal.opens_on or date.min)
    window = goal.window(first)
    return window[1] if window and window[1] else first


def _add(session: Session, goals: Sequence[Goal], rows: Iterable[Row]) -> None:
    given = list(_given(goals, rows)) if goals else []
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


def _types(goal: Goal) -> list[str]:
    event = goal.share.measure.event
    undone = EVENTS[event].undone_by
    return [event, undone] if undone else [event]
