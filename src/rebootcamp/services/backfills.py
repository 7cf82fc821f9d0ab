"""The back-fill: judges every past learner by a new or changed rule, one at a time, and can be stopped anywhere.

The relay works on it between its batches; `flask rules backfill` does it at once. One process at a time has the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.journal import lock_line
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.badges.backfill import judge_badge
from rebootcamp.services.challenges.backfill import judge_goal
from rebootcamp.storage.batches import delete_in_batches
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


def forget_backfills(before: datetime, on_progress: Callable[[int], None]) -> int:
    """Drop what ended before an instant, but the newest of each badge and challenge: its state can be asked for."""
    later = aliased(BackfillJob)
    is_same = sa.or_(later.badge_code == BackfillJob.badge_code, later.challenge_id == BackfillJob.challenge_id)
    is_superseded = sa.exists().where(is_same, later.id > BackfillJob.id)
    is_over = sa.and_(BackfillJob.state != "waiting", BackfillJob.updated_at < before, is_superseded)
    return delete_in_batches(BackfillJob, is_over, on_progress)


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
            judge = judge_badge if job.challenge_id is None else judge_goal
            changes = judge(session, job, lock_line(user_id))
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
