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
from rebootcamp.services.gamification.jobs import judge_past
from rebootcamp.services.gamification.progression import (
    RULE_CHANGED,
    award_of,
    may_earn,
    revocation_of,
    situation_of,
)
from rebootcamp.storage.transactions import transaction


def get_backfill(actor: Actor, code: str) -> BackfillJob:
    """Return the newest back-fill of a badge. Raises `NotFound`."""
    actor.require("badge:write")
    statement = sa.select(BackfillJob).where(BackfillJob.badge_code == code).order_by(BackfillJob.id.desc()).limit(1)
    with transaction() as session:
        job = session.scalar(statement)
    if job is None:
        raise NotFound("backfill")
    return job


def judge_badge(session: Session, job: BackfillJob, line: LearnerLine) -> int:
    """Return 1 when the learner got the badge, -1 when it was taken back, else 0."""
    book, user_id = rules_of(line), line.user_id
    badge = book.badges.get(job.badge_code or "")
    if badge is None or badge.version != job.rule_version:
        return 0
    standing, met_on = judge_past(session, line, badge.rule)
    held = standing.held.get(badge.code)
    if met_on is not None and may_earn(standing, badge.code):
        evidence = {"backfill": job.id, "met_on": met_on.isoformat()}
        record(award_of(badge, user_id, situation_of(standing, met_on, book.curve), evidence, clock.now()))
        return 1
    if held and met_on is None and job.holders == "reevaluate" and held["origin"] == "rule":
        record(revocation_of(user_id, badge.code, held, RULE_CHANGED))
        return -1
    return 0
