"""The back-fill of a badge: judging one past learner by its rule."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.events.journal import LearnerLine, record
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.services.gamification.engine import rules_of
from rebootcamp.services.gamification.jobs import try_rule
from rebootcamp.services.gamification.progression import RULE_CHANGED, award_of, revocation_of
from rebootcamp.storage.transactions import transaction


def get_backfill(actor: Actor, code: str) -> BackfillJob:
    """Return the newest back-fill of a badge. Raises `NotFound`."""
    actor.require("badge:write")
    statement = sa.select(BackfillJob).where(BackfillJob.badge_code == code).order_by(BackfillJob.id.desc()).limit(1)
    with transaction() as session:
        job = session.scalar(statement)
    if job is None:
        raise NotFound("back-fill")
    return job


def judge_badge(session: Session, job: BackfillJob, line: LearnerLine) -> int:
    """Return 1 when the learner got the badge, -1 when it was taken back, else 0."""
    badge = rules_of(line).badges.get(job.badge_code or "")
    if badge is None or badge.version != job.rule_version:
        return 0
    now, verdict = clock.now(), try_rule(session, line, badge.rule, badge.code)
    if verdict.change == "gain" and verdict.met is not None:
        evidence = {"backfill": job.id, "met_on": verdict.met.day.isoformat()}
        curve = rules_of(line).curve
        record(award_of(badge, line.user_id, verdict.met, evidence, now, curve), occurred_at=now)
        return 1
    if verdict.change == "lose" and job.holders == "reevaluate":
        record(revocation_of(line.user_id, badge.code, line.held_badges[badge.code], RULE_CHANGED), occurred_at=now)
        return -1
    return 0
