"""The back-fill: judges every past learner by a new or changed rule, one at a time, and can be stopped anywhere.

The relay works on it between its batches; `flask rules backfill` does it at once. One process at a time has the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.journal import LearnerLine, lock_line, record, save_line
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.badges.histories import histories
from rebootcamp.services.gamification.backfill import Trial
from rebootcamp.services.gamification.engine import rules_of, standing_of
from rebootcamp.services.gamification.measures import is_standard_key, packed
from rebootcamp.services.gamification.progression import RULE_CHANGED, award_of, revocation_of
from rebootcamp.services.gamification.rulebook import RuleBook
from rebootcamp.storage.locks import BACKFILL, try_exclusive
from rebootcamp.storage.transactions import transaction

PAGE: Final = 200
TURN_SECONDS: Final = 0.25


@dataclass
class _Round:
    """What one round did for a job."""

    after_user_id: int
    examined: int = 0
    awarded: int = 0
    revoked: int = 0


def get_backfill(actor: Actor, code: str) -> BackfillJob:
    """Return the newest back-fill of a badge. Raises `NotFound`."""
    actor.require("badge:write")
    statement = sa.select(BackfillJob).where(BackfillJob.badge_code == code).order_by(BackfillJob.id.desc()).limit(1)
    with transaction() as session:
        job = session.scalar(statement)
    if job is None:
        raise NotFound("backfill")
    return job


def run_backfills(seconds: float, tell: Callable[[BackfillJob], None] = lambda job: None) -> bool:
    """Work on waiting jobs for about so long, oldest first; return whether something is left to do."""
    deadline = time.monotonic() + seconds
    # Cheap when nothing waits, which is nearly always: no lock is asked for.
    while _waiting() is not None:
        with try_exclusive(BACKFILL) as is_mine:
            job = _waiting() if is_mine else None
            if job is None:
                return not is_mine
            while job.state == "waiting" and time.monotonic() < deadline:
                job = _run_page(job, deadline)
                tell(job)
            if job.state == "waiting":
                return True
    return False


def work_on_backfills() -> bool:
    """Take a short turn, between two batches of a relay."""
    return run_backfills(TURN_SECONDS)


def _waiting() -> BackfillJob | None:
    statement = sa.select(BackfillJob).where(BackfillJob.state == "waiting").order_by(BackfillJob.id).limit(1)
    with transaction() as session:
        job = session.scalar(statement.execution_options(populate_existing=True))
        session.expunge_all()
    return job


def _run_page(job: BackfillJob, deadline: float) -> BackfillJob:
    """Judge the next learners; what one learner's judgement changed is saved together with how far the job came."""
    learners = sa.select(LearnerState.user_id).where(LearnerState.user_id > job.after_user_id)
    with transaction() as session:
        user_ids = list(session.scalars(learners.order_by(LearnerState.user_id).limit(PAGE)))
    round_ = _Round(job.after_user_id)
    for user_id in user_ids:
        with transaction() as session:
            changes = _judge(session, job, user_id)
            round_.examined += 1
            round_.after_user_id = user_id
            round_.awarded += changes > 0
            round_.revoked += changes < 0
            is_stopping = time.monotonic() >= deadline
            if changes or is_stopping:
                _save(session, job, round_, is_done=False)
        failpoint("backfill.judged")
        if changes:
            round_ = _Round(user_id)
        if is_stopping:
            return _reread(job)
    with transaction() as session:
        _save(session, job, round_, is_done=len(user_ids) < PAGE)
    return _reread(job)


def _judge(session: Session, job: BackfillJob, user_id: int) -> int:
    """Return 1 when the learner got the badge, -1 when it was taken back, else 0."""
    line = lock_line(user_id)
    book, standing = rules_of(line), standing_of(line)
    badge = book.badges.get(job.badge_code)
    if badge is None or badge.version != job.rule_version:
        return 0
    now = clock.now()
    trial = Trial(badge.rule, frozenset(book.measures.missing(standing.measured)))
    deeds, undone = next(histories(session, trial, [user_id]))
    verdict = trial.judge(badge.code, standing, deeds, undone, clock.local_date(now, line.timezone))
    _take_over(line, verdict.counters, book)
    if verdict.change == "gain" and verdict.met is not None:
        evidence = {"backfill": job.id, "met_on": verdict.met.day.isoformat()}
        record(award_of(badge, user_id, verdict.met, evidence, now), occurred_at=now)
        return 1
    if verdict.change == "lose" and job.holders == "reevaluate":
        record(revocation_of(user_id, badge.code, standing.held[badge.code], RULE_CHANGED), occurred_at=now)
        return -1
    return 0


def _take_over(line: LearnerLine, counters: Mapping[str, Any], book: RuleBook) -> None:
    """Keep the counters that were made, so that every event continues them, and drop what no rule needs any more."""
    if line.measured_version < book.version:
        needed = {measure.key for measure in book.measures.since}
        line.counters = packed({k: v for k, v in counters.items() if k in needed or is_standard_key(k)})
        line.measured_version = book.version
        save_line(line)


def _save(session: Session, job: BackfillJob, round_: _Round, *, is_done: bool) -> None:
    session.execute(
        sa.update(BackfillJob)
        .where(BackfillJob.id == job.id, BackfillJob.state == "waiting")
        .values(
            after_user_id=round_.after_user_id,
            # Who joined since the job was asked for is judged, too.
            learners=sa.func.greatest(BackfillJob.learners, BackfillJob.examined + round_.examined),
            examined=BackfillJob.examined + round_.examined,
            awarded=BackfillJob.awarded + round_.awarded,
            revoked=BackfillJob.revoked + round_.revoked,
            state="done" if is_done else "waiting",
            updated_at=clock.now(),
        )
    )


def _reread(job: BackfillJob) -> BackfillJob:
    with transaction() as session:
        found = session.get_one(BackfillJob, job.id, populate_existing=True)
        session.expunge_all()
    return found
