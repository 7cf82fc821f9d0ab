"""The back-fill of a timed challenge: counting what one past learner already did in the window that runs."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.events.journal import LearnerLine
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.services.challenges.goals import complete_goal
from rebootcamp.services.challenges.teams import recount
from rebootcamp.services.gamification.criteria import All
from rebootcamp.services.gamification.engine import rules_of, standing_of
from rebootcamp.services.gamification.jobs import try_rule
from rebootcamp.services.gamification.progression import situation_of
from rebootcamp.services.gamification.pursuit import may_complete

# Asks for nothing, so that only the missing counters are made.
_NOTHING = All(())


def judge_goal(session: Session, job: BackfillJob, line: LearnerLine) -> int:
    """Return 1 when the learner completed the challenge in the window that is open today, else 0."""
    rules = rules_of(line)
    for team in rules.team_goals:
        if team.challenge_id == job.challenge_id:
            recount(session, team, line.user_id)
    goal = rules.goals.get(job.challenge_id or 0)
    if goal is None:
        return 0
    try_rule(session, line, _NOTHING)
    now, standing = clock.now(), standing_of(line)
    today = line.days.date_of(now)
    situation = situation_of(standing, today, rules_of(line).curve)
    if not may_complete(goal, standing, situation, today):
        return 0
    return int(complete_goal(line, goal, situation, now, {"backfill": job.id}) is not None)
