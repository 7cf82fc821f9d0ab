"""What learners did on which day, and what became of it: the words in which tests of rules are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import time_machine

from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.badges import BackfillJob, BadgeGrant
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services import badges, challenges
from rebootcamp.services.badges import Preview
from rebootcamp.services.gamification.measures import parts_of
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, make_challenge
from tests.relay.tools import make_learners

JANUARY = datetime(2026, 1, 5, 12, tzinfo=UTC)
COMPLETED = "challenge.completed"


def counted(at_least: int, **body: Any) -> dict[str, Any]:
    return {"count": {"event": COMPLETED, "at_least": at_least, **body}}


BUSY = counted(3, within_days=7)


@contextmanager
def on(day: int) -> Iterator[None]:
    """Travel to noon of a day, counted from the first Monday of 2026."""
    with time_machine.travel(JANUARY + timedelta(days=day), tick=True):
        yield


def do(learner: Actor, *days: int, **fields: Any) -> list[challenges.Completed]:
    done = []
    for day in days:
        with on(day):
            done.append(complete(learner, make_challenge(**fields)))
    return done


def revoke(done: challenges.Completed) -> None:
    completion = done.completion
    challenges.revoke_completion(admin(), completion.user_id, completion.id, reason="A test.")


def learners(number: int) -> list[Actor]:
    with on(0):
        return make_learners(number)


def grants(code: str) -> dict[int, BadgeGrant]:
    db.session.remove()
    held = sa.select(BadgeGrant).where(BadgeGrant.badge_code == code, BadgeGrant.revoked_at.is_(None))
    return {grant.user_id: grant for grant in db.session.scalars(held)}


def holders(code: str) -> set[int]:
    return set(grants(code))


def counters(learner: Actor) -> dict[str, Any]:
    db.session.remove()
    found = db.session.scalar(sa.select(LearnerState.counters).where(LearnerState.user_id == learner.user_id))
    return {key: parts_of(counter) if isinstance(counter, str) else counter for key, counter in (found or {}).items()}


def jobs(code: str) -> list[tuple[str, str]]:
    db.session.remove()
    found = db.session.scalars(sa.select(BackfillJob).where(BackfillJob.badge_code == code).order_by(BackfillJob.id))
    return [(job.state, job.holders) for job in found]


def edit(code: str, holders: str = "keep", **changes: Any) -> None:
    badges.update_badge(admin(), code, changes, None, holders=holders)


def preview(criteria: Mapping[str, Any], code: str | None = None, **options: Any) -> Preview:
    return badges.preview_badge(admin(), criteria, code, **options)
