"""What teams earn together: the completions of a reached target, taken back when the team falls below it in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.challenges import days_of
from rebootcamp.core.days import ONE_DAY
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.turns import IsOver, never
from rebootcamp.events.journal import lock_line
from rebootcamp.events.store import has_waiting_deeds
from rebootcamp.models.sql.challenges import TeamReview
from rebootcamp.services.challenges.goals import complete_goal, take_back_goal
from rebootcamp.services.challenges.teams import types_of
from rebootcamp.services.gamification.engine import current_rules, rules_of, standing_of
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.progression import CRITERIA_NO_LONGER_MET, situation_of
from rebootcamp.services.gamification.pursuit import may_take_part
from rebootcamp.storage.transactions import transaction

PAGE: Final = 100

_REACHED: Final = """
    SELECT group_id FROM team_contributions WHERE challenge_id = :challenge_id AND period = :period
    GROUP BY group_id HAVING sum(value) >= :target"""
_RECORDED: Final = "SELECT 1 FROM challenge_results WHERE challenge_id = :challenge_id AND period = :period"

# Those who gave enough to a team that reached its target, and were not rewarded yet; closed windows are left alone.
_DESERVING: Final = sa.text(f"""
    SELECT DISTINCT t.user_id FROM challenges c
    JOIN team_contributions t ON t.challenge_id = c.id AND t.value >= :at_least
    WHERE c.id = :challenge_id AND t.period = :period AND t.user_id > :after AND t.group_id IN ({_REACHED})
        AND NOT EXISTS (
            SELECT 1 FROM challenge_completions d
            WHERE d.user_id = t.user_id AND d.challenge_id = t.challenge_id AND d.period = t.period
                AND (d.status = 'validated' OR d.review_reason <> :automatic))
        AND (NOT c.requires_joining OR EXISTS (
            SELECT 1 FROM challenge_participations p
            WHERE p.user_id = t.user_id AND p.challenge_id = c.id AND p.left_at IS NULL))
        AND NOT EXISTS ({_RECORDED})
    ORDER BY t.user_id LIMIT :limit""")  # noqa: S608

_UNSUPPORTED: Final = f"""
    SELECT d.user_id FROM challenge_completions d
    WHERE d.challenge_id = :challenge_id AND d.period = :period AND d.co2e_grams = 0 AND d.status = 'validated'
        AND NOT EXISTS (
            SELECT 1 FROM team_contributions t
            WHERE t.challenge_id = :challenge_id AND t.period = :period AND t.user_id = d.user_id
                AND t.value >= :at_least AND t.group_id IN ({_REACHED}))
        AND NOT EXISTS ({_RECORDED})"""  # noqa: S608
_NEXT_UNSUPPORTED: Final = sa.text(f"{_UNSUPPORTED} AND d.user_id > :after ORDER BY d.user_id LIMIT :limit")
# Nobody loses anything for a deed of the team that is only on its way: during a rebuild all of them are.
_IS_UNSUPPORTED: Final = sa.text(f"""{_UNSUPPORTED} AND d.user_id = :user_id
        AND NOT EXISTS (
            SELECT 1 FROM group_memberships mine
            JOIN group_memberships mate ON mate.group_id = mine.group_id
            WHERE mine.user_id = d.user_id AND {has_waiting_deeds("mate.user_id")})""")  # noqa: S608
# While a back-fill counts, sums are too small.
_REVIEWS: Final = sa.text("""
    SELECT r.challenge_id, r.period, r.version FROM team_reviews r
    WHERE NOT EXISTS (SELECT 1 FROM backfill_jobs j WHERE j.challenge_id = r.challenge_id AND j.state = 'waiting')
    ORDER BY r.challenge_id, r.period""")


def reward_teams(is_over: IsOver = never) -> int:
    """Complete reached team challenges for those who gave to them, one learner a transaction; return how many."""
    with transaction():
        goals = [goal for goal in current_rules().goals.values() if goal.team_target is not None]
    running = [(goal, period) for goal in goals for period in _running(goal)]
    return sum(_reward(goal, period, is_over)[0] for goal, period in running)


def review_teams(is_over: IsOver = never) -> int:
    """Take completions back from teams that fell below their target; return how many. Recorded results stand."""
    with transaction() as session:
        goals = {goal.challenge_id: goal for goal in current_rules().team_goals}
        due = session.execute(_REVIEWS).all()
    known = [one for one in due if one.challenge_id in goals]
    return sum(_review(goals[one.challenge_id], one.period, one.version, is_over)[0] for one in known)


def settle_teams(goal: Goal, period: str, is_over: IsOver) -> bool:
    """Take back and reward all that a period asks for, before its results are recorded; return whether all is done."""
    with transaction() as session:
        review = session.get(TeamReview, (goal.challenge_id, period), populate_existing=True)
    is_reviewed = review is None or _review(goal, period, review.version, is_over)[1]
    return is_reviewed and _reward(goal, period, is_over)[1]


def _reward(goal: Goal, period: str, is_over: IsOver) -> tuple[int, bool]:
    """Return how many were rewarded, and whether nobody is left."""
    rewarded = 0
    for user_id in _each(partial(_deserving, goal, period)):
        rewarded += _reward_one(goal, period, user_id)
        if is_over():
            return rewarded, False
    return rewarded, True


def _review(goal: Goal, period: str, version: int, is_over: IsOver) -> tuple[int, bool]:
    """Return from how many something was taken, and whether nobody is left."""
    examined, taken = 0, 0
    for user_id in _each(partial(_unsupported, goal, period)):
        examined += 1
        taken += _take_back_one(goal, period, user_id)
        if is_over():
            return taken, False
    if examined > taken:
        return taken, False
    seen = TeamReview.challenge_id == goal.challenge_id, TeamReview.period == period, TeamReview.version == version
    with transaction() as session:
        session.execute(sa.delete(TeamReview).where(*seen))
    return taken, True


def _each(find: Callable[[int], Sequence[int]]) -> Iterator[int]:
    """Yield learners, a page at a time."""
    after = 0
    while user_ids := find(after):
        yield from user_ids
        after = user_ids[-1]


def _deserving(goal: Goal, period: str, after: int) -> Sequence[int]:
    """Return the next learners who deserve a completion and do not have it yet."""
    parameters = {**_of(goal, period), "after": after, "limit": PAGE, "automatic": CRITERIA_NO_LONGER_MET}
    with transaction() as session:
        return [row.user_id for row in session.execute(_DESERVING, parameters)]


def _unsupported(goal: Goal, period: str, after: int) -> Sequence[int]:
    """Return the next learners whose completion no team of theirs deserves any more, as far as was delivered."""
    with transaction() as session:
        return list(session.scalars(_NEXT_UNSUPPORTED, {**_of(goal, period), "after": after, "limit": PAGE}))


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


def _take_back_one(goal: Goal, period: str, user_id: int) -> bool:
    first, last = _days_of(goal, period)
    parameters = {**_of(goal, period), "user_id": user_id, "types": types_of(goal), "first": first, "last": last}
    with transaction() as session:
        line = lock_line(user_id)
        if session.scalar(_IS_UNSUPPORTED, parameters) is None:
            return False
        is_taken = take_back_goal(line, goal, first, clock.now()) is not None
    failpoint("teams.taken_back")
    return is_taken


def _of(goal: Goal, period: str) -> dict[str, Any]:
    target, at_least = goal.team_target, goal.share.at_least
    return {"challenge_id": goal.challenge_id, "period": period, "target": target, "at_least": at_least}


def _running(goal: Goal) -> list[str]:
    """Return the periods that are open somewhere on earth: today's, and what the last place has not left yet."""
    today = clock.now().date()
    days = [day for day in (today - 2 * ONE_DAY, today - ONE_DAY, today, today + ONE_DAY) if goal.window(day)]
    return sorted({goal.period(day) for day in days})


def _day_in(goal: Goal, period: str, today: date) -> date:
    """Return the learner's date in the period: today, or its last one when it is over."""
    if goal.window(today) and goal.period(today) == period:
        return today
    return _days_of(goal, period)[1]


def _days_of(goal: Goal, period: str) -> tuple[date, date]:
    """Return the first and the last day of a period that count."""
    first, last = (date.min, date.max) if goal.cadence == "event" else days_of(goal.cadence, period)
    return max(first, goal.opens_on or first), min(last, goal.closes_on or last)
