"""What back-fills of badges and of timed challenges share: asking for one, ending one, and judging one's past."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.events.journal import LearnerLine, save_line
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.backfill import Trial, Verdict
from rebootcamp.services.gamification.criteria import Criterion
from rebootcamp.services.gamification.engine import rules_of, standing_of
from rebootcamp.services.gamification.histories import histories
from rebootcamp.services.gamification.measures import is_standard_key, packed


def enqueue(
    session: Session, *, badge_code: str | None = None, challenge_id: int | None = None, version: int, holders: str
) -> None:
    """Ask for a back-fill of a badge or of a timed challenge."""
    now = clock.now()
    learners = session.scalar(sa.select(sa.func.count()).select_from(LearnerState)) or 0
    session.add(
        BackfillJob(
            badge_code=badge_code,
            challenge_id=challenge_id,
            rule_version=version,
            holders=holders,
            learners=learners,
            created_at=now,
            updated_at=now,
        )
    )


def supersede(session: Session, *, badge_code: str | None = None, challenge_id: int | None = None) -> None:
    """End a back-fill that still waits: it would judge by a rule that is no more."""
    is_same = BackfillJob.badge_code == badge_code if badge_code else BackfillJob.challenge_id == challenge_id
    session.execute(
        sa.update(BackfillJob)
        .where(is_same, BackfillJob.state == "waiting")
        .values(state="superseded", updated_at=clock.now())
    )


def counting(challenge_id: sa.SQLColumnExpression[int] | int) -> sa.Exists:
    """Return the test whether the past of a timed challenge is still being counted."""
    return sa.exists().where(BackfillJob.challenge_id == challenge_id, BackfillJob.state == "waiting")


def is_counting(session: Session, challenge_id: int) -> bool:
    """Tell whether the past of a timed challenge is still being counted."""
    return session.scalar(sa.select(counting(challenge_id))) is True


def try_rule(session: Session, line: LearnerLine, rule: Criterion, code: str = "") -> Verdict:
    """Judge a learner's past by a rule, that of badge `code` if any; from now on every counter in force is kept."""
    book, standing = rules_of(line), standing_of(line)
    trial = Trial(rule, frozenset(book.measures.missing(standing.measured)), book.curve)
    # Asking for a second learner would end the stream of the first one's deeds.
    deeds, undone = next(histories(session, trial, [line.user_id]))
    verdict = trial.judge(code, standing, deeds, undone, line.days.date_of(clock.now()))
    if line.measured_version < book.version:
        # What no rule needs any more is dropped with the same stroke.
        needed = {measure.key for measure in book.measures.since}
        kept = {key: value for key, value in verdict.counters.items() if key in needed or is_standard_key(key)}
        line.counters = packed(kept)
        line.measured_version = book.version
        save_line(line)
    return verdict
