"""Taking part in a timed challenge."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.events.challenges import ChallengeJoined, ChallengeLeft
from rebootcamp.events.journal import LearnerLine, lock_line, record
from rebootcamp.models.sql.challenges import Challenge, ChallengeParticipation
from rebootcamp.services.challenges.errors import AlreadyJoined, ChallengeClosed, NotJoinable, NotJoined
from rebootcamp.services.gamification.goals import goal_of
from rebootcamp.storage.transactions import transaction, translating


def join_challenge(actor: Actor, challenge_id: int) -> None:
    """Take part until one leaves; who already did what it asks for completes it at once.

    Raises `NotFound`, `NotJoinable`, `ChallengeClosed`, `AlreadyJoined`.
    """
    now = clock.now()
    with transaction() as session, translating({"uq_challenge_participations_current": AlreadyJoined()}):
        challenge = _open_to(session, lock_line(actor.user_id), challenge_id)
        session.add(ChallengeParticipation(challenge_id=challenge_id, user_id=actor.user_id, joined_at=now))
        session.flush()
        record(ChallengeJoined(learner_id=actor.user_id, **_named(challenge)), occurred_at=now)


def leave_challenge(actor: Actor, challenge_id: int) -> None:
    """Take part no more; what was completed stays. Raises `NotFound`, `NotJoinable`, `ChallengeClosed`, `NotJoined`."""
    now = clock.now()
    with transaction() as session:
        challenge = _open_to(session, lock_line(actor.user_id), challenge_id)
        left = session.execute(
            sa.update(ChallengeParticipation)
            .where(
                ChallengeParticipation.challenge_id == challenge_id,
                ChallengeParticipation.user_id == actor.user_id,
                ChallengeParticipation.left_at.is_(None),
            )
            .values(left_at=sa.func.greatest(now, ChallengeParticipation.joined_at))
            .returning(ChallengeParticipation.id)
        ).first()
        if left is None:
            raise NotJoined
        record(ChallengeLeft(learner_id=actor.user_id, **_named(challenge)), occurred_at=now)


def _open_to(session: Session, line: LearnerLine, challenge_id: int) -> Challenge:
    """Return a timed challenge that is open on the learner's date; an edit waits until the transaction ends."""
    challenge = session.get(Challenge, challenge_id, with_for_update={"read": True}, populate_existing=True)
    if challenge is None:
        raise NotFound("challenge")
    if not challenge.is_published or challenge.archived_at is not None:
        raise ChallengeClosed
    if challenge.criteria is None:
        raise NotJoinable
    if goal_of(challenge).window(line.days.date_of(clock.now())) is None:
        raise ChallengeClosed
    return challenge


def _named(challenge: Challenge) -> dict[str, Any]:
    titles = {language: texts["title"] for language, texts in challenge.translations.items()}
    return {"challenge_id": challenge.id, "slug": challenge.slug, "titles": titles}
