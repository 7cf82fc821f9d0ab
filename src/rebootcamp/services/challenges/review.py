"""Staff decisions on completions: approve, reject, revoke."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.challenges import ChallengeRejected, ChallengeRevoked
from rebootcamp.events.journal import lock_line, record
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.services.challenges.completion import Completed, completed_fact, described, has_other_valid
from rebootcamp.services.challenges.errors import NotPending, NotRevocable, SelfReview
from rebootcamp.services.gamification.reasons import refuse_reserved
from rebootcamp.storage.transactions import transaction

ORDER: Final = "submissions"
Submission = tuple[ChallengeCompletion, Challenge, str]


def list_submissions(actor: Actor, page: PageRequest) -> Page[Submission]:
    """List the completions that wait for approval, oldest first, with their challenge and the learner's name."""
    actor.require("submission:review")
    statement = (
        sa.select(ChallengeCompletion, Challenge, User.display_name)
        .join(Challenge, Challenge.id == ChallengeCompletion.challenge_id)
        .join(User, User.id == ChallengeCompletion.user_id)
        .where(ChallengeCompletion.status == "pending")
        .order_by(ChallengeCompletion.id)
        .limit(page.limit + 1)
    )
    key = page.key(ORDER, (int,))
    if key is not None:
        statement = statement.where(ChallengeCompletion.id > key[0])
    with transaction() as session:
        rows: list[Submission] = [(row[0], row[1], row[2]) for row in session.execute(statement)]
    return paginate(rows, page.limit, ORDER, lambda row: (row[0].id,))


def approve_submission(actor: Actor, completion_id: int) -> Completed:
    """Make a waiting completion valid, on the day it was done. Raises `NotFound`, `NotPending`, `SelfReview`."""
    with transaction() as session:
        completion, challenge = _review(session, actor, completion_id, status="validated", reason=None)
        other = has_other_valid(completion.id, completion.user_id, completion.challenge_id)
        is_first = not session.scalar(sa.select(other))
        fact = completed_fact(challenge, completion, is_first=is_first)
        return Completed(completion, record(fact, local_date=completion.local_date))


def reject_submission(actor: Actor, completion_id: int, *, reason: str) -> Completed:
    """Refuse a waiting completion; the learner may try again. Raises `NotFound`, `NotPending`, `SelfReview`."""
    with transaction() as session:
        completion, challenge = _review(session, actor, completion_id, status="rejected", reason=reason)
        fact = ChallengeRejected(**described(challenge, completion), reason=reason)
        return Completed(completion, record(fact))


def revoke_completion(actor: Actor, user_id: int, completion_id: int, *, reason: str) -> Completed:
    """Take back a valid completion and all that followed from it. Raises `NotFound`, `NotRevocable`, `InvalidField`."""
    actor.require("completion:revoke")
    refuse_reserved(reason)
    with transaction() as session:
        lock_line(user_id)
        completion, challenge = _locked(session, completion_id)
        if completion.user_id != user_id:
            raise NotFound("completion")
        if completion.status != "validated":
            raise NotRevocable
        _decide(actor, completion, status="revoked", reason=reason)
        session.flush()
        fact = ChallengeRevoked(
            **described(challenge, completion),
            points=completion.points,
            co2e_grams=completion.co2e_grams,
            is_last=not session.scalar(sa.select(has_other_valid(completion.id, user_id, challenge.id))),
            reason=reason,
        )
        return Completed(completion, record(fact, local_date=completion.local_date))


def _review(
    session: Session, actor: Actor, completion_id: int, *, status: str, reason: str | None
) -> tuple[ChallengeCompletion, Challenge]:
    actor.require("submission:review")
    # The learner's line comes first in the lock order, and only the submission tells whose line it is.
    owner = session.scalar(sa.select(ChallengeCompletion.user_id).where(ChallengeCompletion.id == completion_id))
    if owner is None:
        raise NotFound("submission")
    if owner == actor.user_id:
        raise SelfReview
    lock_line(owner)
    completion, challenge = _locked(session, completion_id)
    if completion.status != "pending":
        raise NotPending
    _decide(actor, completion, status=status, reason=reason)
    session.flush()
    return completion, challenge


def _locked(session: Session, completion_id: int) -> tuple[ChallengeCompletion, Challenge]:
    statement = (
        sa.select(ChallengeCompletion, Challenge)
        .join(Challenge, Challenge.id == ChallengeCompletion.challenge_id)
        .where(ChallengeCompletion.id == completion_id)
        .with_for_update(of=ChallengeCompletion)
        .execution_options(populate_existing=True)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFound("completion")
    return row[0], row[1]


def _decide(actor: Actor, completion: ChallengeCompletion, *, status: str, reason: str | None) -> None:
    completion.status = status
    completion.reviewed_by = actor.user_id
    completion.reviewed_at = clock.now()
    completion.review_reason = reason
