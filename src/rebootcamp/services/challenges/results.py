"""What came out of a timed challenge: provisional while its window is open, recorded once and for ever when it closed.

Results are a photograph: a completion that is taken back later leaves the score, not the recorded result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import days_of
from rebootcamp.core.days import ONE_DAY, ended_everywhere
from rebootcamp.core.errors import DomainError, InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, foreign_cursor
from rebootcamp.core.turns import IsOver, never
from rebootcamp.events.store import STREAM_ROWS, has_waiting
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion, ChallengeResult
from rebootcamp.services.challenges.catalogue import get_challenge
from rebootcamp.services.challenges.errors import NotTimed
from rebootcamp.services.challenges.finishers import Finish, Finisher, finishers_around, list_finishers
from rebootcamp.services.challenges.rewards import settle_teams
from rebootcamp.services.challenges.teams import TeamStanding, own_parts, team_standings
from rebootcamp.services.gamification.goals import Goal, goal_of
from rebootcamp.services.gamification.jobs import is_counting
from rebootcamp.services.groups import list_group_ids
from rebootcamp.services.leaderboards import FULL, NEIGHBOURS, sees_all
from rebootcamp.storage.transactions import transaction

log = structlog.get_logger(__name__)

TEAMS_SHOWN: Final = 100
WINDOWS_A_TURN: Final = 20
# Whoever joined in the window, completed, or gave to a team: no question about anybody else.
_PARTICIPANTS: Final = sa.text("""
    WITH finished AS MATERIALIZED (
        SELECT user_id FROM challenge_completions
        WHERE challenge_id = :challenge_id AND period = :period AND co2e_grams = 0 AND status = 'validated'
    )
    SELECT (SELECT count(*) FROM finished) + count(*) FROM (
        SELECT user_id FROM challenge_participations
        WHERE challenge_id = :challenge_id AND left_at IS NULL AND joined_at < :closes_at
        UNION SELECT user_id FROM challenge_participations
        WHERE challenge_id = :challenge_id AND left_at >= :opens_at AND joined_at < :closes_at
        UNION SELECT user_id FROM team_contributions
        WHERE challenge_id = :challenge_id AND period = :period AND value > 0) AS p
    WHERE NOT EXISTS (SELECT 1 FROM finished f WHERE f.user_id = p.user_id)""")


@dataclass(frozen=True)
class PlacedTeam(TeamStanding):
    """A team with its place among all."""

    place: int = 0


@dataclass(frozen=True)
class Results:
    """The outcome of one window. `recorded_at` and `finishers_hash` are None while it is provisional.

    `view` tells whether the reader may see all of it, or the own place with its neighbours and the own teams.
    """

    challenge_id: int
    period: str
    opened_on: date
    closed_on: date | None
    participants: int
    completed: int
    view: str
    finishers: Page[Finisher]
    teams: Sequence[PlacedTeam]
    team_count: int
    finishers_hash: str | None
    recorded_at: datetime | None


def get_results(actor: Actor, challenge_id: int, period: str | None, page: PageRequest) -> Results:
    """Return the results of a period, by default of the current or last one.

    Raises `NotFound`, `NotTimed`, `InvalidField` for a text that names no period of the challenge.
    """
    challenge = get_challenge(actor, challenge_id).challenge
    if challenge.criteria is None:
        raise NotTimed
    goal = goal_of(challenge)
    day = _day_in(goal, period, actor.days.date_of(clock.now()))
    window, name = goal.window(day), goal.period(day)
    if window is None:
        raise NotFound("period")
    with transaction() as session:
        recorded = session.get(ChallengeResult, (challenge_id, name), populate_existing=True)
        outcome = _recorded(session, recorded, actor) if recorded else _provisional(session, goal, day, name, actor)
        finish = Finish(challenge_id, name, recorded.recorded_at if recorded else None)
        seen = _seen(session, actor, finish, outcome.pop("teams"), page)
    opened_on, closed_on = (recorded.opened_on, recorded.closed_on) if recorded else (window[0] or day, window[1])
    return Results(challenge_id=challenge_id, period=name, opened_on=opened_on, closed_on=closed_on, **seen, **outcome)


def close_windows(is_over: IsOver = never) -> int:
    """Record the results of windows that are over everywhere; return how many there were."""
    with transaction() as session:
        due = list(_due(session, clock.now()))
    closed, held_up = 0, set()
    for challenge_id, day in due:
        # Windows of one challenge close in their order: the newest result tells where the next one begins.
        if challenge_id in held_up:
            continue
        if _closed(challenge_id, day, is_over):
            closed += 1
        else:
            held_up.add(challenge_id)
        # One that must wait, however long it took to find out, is no reason to leave the others.
        if closed == WINDOWS_A_TURN or (closed and is_over()):
            break
    return closed


def _closed(challenge_id: int, last_day: date, is_over: IsOver) -> bool:
    """Close one window; one that cannot be closed now keeps no other from it."""
    try:
        return _close(challenge_id, last_day, is_over)
    except DomainError as error:
        log.warning("results.not_closed", challenge_id=challenge_id, last_day=str(last_day), reason=error.code)
        return False


def hash_of(finishers: Iterable[tuple[int, datetime]]) -> tuple[int, str]:
    """Return how many finishers there are, and the SHA-256 of them in order, a line `<user_id> <completed_at>` each."""
    digest, number = hashlib.sha256(), 0
    for user_id, completed_at in finishers:
        number += 1
        digest.update(f"{user_id} {clock.iso(completed_at)}\n".encode())
    return number, digest.hexdigest()


def _day_in(goal: Goal, period: str | None, today: date) -> date:
    if period is None:
        # Before it opens, the first window; after it closed, the last one.
        return min(max(today, goal.opens_on or today), goal.closes_on or date.max)
    if goal.cadence == period == "event" and goal.opens_on:
        return goal.opens_on
    try:
        first, last = days_of(goal.cadence, period)
    except ValueError:
        message = Text("This challenge has no such period.", "Ce défi n'a pas de telle période.")
        raise InvalidField("/period", message) from None
    # A first window may begin in the middle of its period.
    return goal.opens_on if goal.opens_on and first < goal.opens_on <= last else first


def _seen(
    session: Session, actor: Actor, finish: Finish, teams: Sequence[TeamStanding], page: PageRequest
) -> dict[str, Any]:
    """Return what the reader may see of those who finished and of the teams."""
    placed = [PlacedTeam(**vars(team), place=place) for place, team in enumerate(teams, 1)]
    if sees_all(actor):
        finishers = list_finishers(session, finish, page)
        return {"view": FULL, "finishers": finishers, "teams": placed[:TEAMS_SHOWN], "team_count": len(placed)}
    if page.cursor is not None:
        raise foreign_cursor()
    own = set(list_group_ids(actor.user_id))
    return {
        "view": NEIGHBOURS,
        "finishers": Page(finishers_around(session, finish, actor.user_id)),
        "teams": [team for team in placed if team.mine or team.group_id in own],
        "team_count": len(placed),
    }


def _recorded(session: Session, result: ChallengeResult, actor: Actor) -> dict[str, Any]:
    parts = own_parts(session, result.challenge_id, result.period, actor.user_id) if result.teams else {}
    return {
        "participants": result.participants,
        "completed": result.completed,
        "teams": [TeamStanding(**{**team, "mine": parts.get(team["group_id"], 0)}) for team in result.teams],
        "finishers_hash": result.finishers_hash,
        "recorded_at": result.recorded_at,
    }


def _provisional(session: Session, goal: Goal, day: date, period: str, actor: Actor) -> dict[str, Any]:
    completed = sa.select(sa.func.count()).select_from(ChallengeCompletion).where(*_validly(goal.challenge_id, period))
    teams = team_standings(session, goal, period, actor.user_id) if goal.team_target is not None else []
    return {
        "participants": _participants(session, goal, day, period),
        "completed": session.scalar(completed) or 0,
        "teams": teams,
        "finishers_hash": None,
        "recorded_at": None,
    }


def _participants(session: Session, goal: Goal, day: date, period: str) -> int:
    first, last = goal.window(day) or (None, None)
    parameters = {
        "challenge_id": goal.challenge_id,
        "period": period,
        "opens_at": datetime.combine(first or date.min, time.min, tzinfo=UTC),
        "closes_at": ended_everywhere(last) if last else datetime.max.replace(tzinfo=UTC),
    }
    return int(session.execute(_PARTICIPANTS, parameters).scalar_one())


def _validly(challenge_id: int, period: str) -> tuple[sa.ColumnElement[bool], ...]:
    return Finish(challenge_id, period).conditions


def _due(session: Session, now: datetime) -> Iterator[tuple[int, date]]:
    """Yield the windows that ended and have no result, a challenge and its last day each, oldest first."""
    last = sa.select(sa.func.max(ChallengeResult.closed_on)).where(ChallengeResult.challenge_id == Challenge.id)
    statement = sa.select(Challenge, last.scalar_subquery()).where(
        Challenge.criteria.is_not(None),
        Challenge.is_published,
        sa.or_(Challenge.cadence != "event", last.scalar_subquery().is_(None)),
    )
    for challenge, closed_on in session.execute(statement.order_by(Challenge.id)):
        goal = goal_of(challenge)
        day = closed_on + ONE_DAY if closed_on else max(challenge.created_at.date(), goal.opens_on or date.min)
        if goal.cadence == "event" and goal.closes_on and not closed_on:
            # One that was announced after its time is over all the same.
            day = min(day, goal.closes_on)
        ends_at = min(now, challenge.archived_at or now)
        while (
            (window := goal.window(day)) is not None and window[1] is not None and (window[0] or day) <= ends_at.date()
        ):
            if ended_everywhere(window[1]) > now:
                break
            yield challenge.id, window[1]
            day = window[1] + ONE_DAY


def _close(challenge_id: int, last_day: date, is_over: IsOver) -> bool:
    with transaction() as session:
        goal = goal_of(session.get_one(Challenge, challenge_id, populate_existing=True))
        is_counted = goal.team_target is None or not (
            has_waiting(session, last_day) or is_counting(session, challenge_id)
        )
    period, window = goal.period(last_day), goal.window(last_day)
    if window is None or not is_counted:
        return False
    if goal.team_target is not None and not settle_teams(goal, period, is_over):
        return False
    with transaction() as session:
        # The rewards just given belong to the photograph: it is taken after them.
        now = clock.now()
        session.execute(sa.text("SET LOCAL statement_timeout = '60s'"))
        completed, finishers_hash = hash_of(_stream_finishers(session, challenge_id, period))
        teams = team_standings(session, goal, period, 0) if goal.team_target is not None else []
        values = {
            "challenge_id": challenge_id,
            "period": period,
            "opened_on": window[0],
            "closed_on": last_day,
            "participants": _participants(session, goal, last_day, period),
            "completed": completed,
            "finishers_hash": finishers_hash,
            # All of them: each learner is shown the own ones, wherever they are.
            "teams": [{name: part for name, part in vars(team).items() if name != "mine"} for team in teams],
            "recorded_at": now,
        }
        made = session.execute(
            insert(ChallengeResult).values(values).on_conflict_do_nothing().returning(ChallengeResult.period)
        )
        return made.first() is not None


def _stream_finishers(session: Session, challenge_id: int, period: str) -> Iterator[tuple[int, datetime]]:
    """Yield all finishers by time, in constant memory."""
    table = ChallengeCompletion
    statement = sa.select(table.user_id, table.completed_at).where(*_validly(challenge_id, period))
    statement = statement.order_by(table.completed_at, table.id)
    yield from session.execute(statement, execution_options={"yield_per": STREAM_ROWS})
