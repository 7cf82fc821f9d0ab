"""What back-fills of badges and of timed challenges share: asking for one, and making a learner's missing counters."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.events.journal import LearnerLine, save_line
from rebootcamp.events.store import stream_deeds
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.backfill import Deed, Trial
from rebootcamp.services.gamification.criteria import Criterion
from rebootcamp.services.gamification.engine import rules_of, standing_of
from rebootcamp.services.gamification.progression import Standing
from rebootcamp.services.gamification.rulebook import RuleBook


def enqueue(
    session: Session, *, badge_code: str | None = None, challenge_id: int | None = None, version: int, holders: str
) -> None:
    """Ask for a back-fill; one that still waits for the same thing would judge by a rule that is no more."""
    now = clock.now()
    is_same = BackfillJob.badge_code == badge_code if badge_code else BackfillJob.challenge_id == challenge_id
    session.execute(
        sa.update(BackfillJob).where(is_same, BackfillJob.state == "waiting").values(state="superseded", updated_at=now)
    )
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


def judge_past(session: Session, line: LearnerLine, rule: Criterion) -> tuple[Standing, date | None]:
    """Return the standing with every counter of the rules in force, kept from now on, and when `rule` was first met."""
    book, standing = rules_of(line), standing_of(line)
    trial = Trial(rule, book.curve, frozenset(book.measures.missing(standing.measured)))
    stream = stream_deeds(session, [line.user_id], trial.types) if trial.types else ()
    deeds = (Deed(row["type"], row["payload"], row["local_date"]) for row in stream)
    standing, met_on = trial.run(standing, deeds, clock.local_date(clock.now(), line.timezone))
    _take_over(line, standing, book)
    return standing, met_on


def _take_over(line: LearnerLine, standing: Standing, book: RuleBook) -> None:
    """Keep the counters that were made, so that from now on every event continues them."""
    if line.measured_version < book.version:
        line.counters = dict(standing.counters)
        line.measured_version = book.version
        save_line(line)
