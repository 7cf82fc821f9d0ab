"""Completing a challenge: the command on which everything else rests."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import period_of
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeSubmitted
from rebootcamp.events.journal import Recorded, lock_line, record
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.services.challenges.errors import AlreadyCompleted, ChallengeClosed, WrongAnswer
from rebootcamp.storage.transactions import transaction, translating


@dataclass(frozen=True)
class Completed:
    """A completion and what it set off."""

    completion: ChallengeCompletion
    recorded: Recorded


def complete_challenge(
    actor: Actor, challenge_id: int, *, answer: str | None, evidence: Mapping[str, str] | None
) -> Completed:
    """Complete a challenge, or submit it where staff must approve.

    Raises `NotFound`, `ChallengeClosed`, `WrongAnswer`, `AlreadyCompleted`.
    """
    now = clock.now()
    with transaction() as session:
        line = lock_line(actor.user_id)
        challenge, is_first = _open_challenge(session, actor.user_id, challenge_id, now)
        _verify_answer(challenge, answer)
        completion = ChallengeCompletion(
            user_id=actor.user_id,
            challenge_id=challenge.id,
            period=period_of(challenge.cadence, clock.local_date(now, line.timezone)),
            status="pending" if challenge.validation == "approval" else "validated",
            points=challenge.points,
            co2e_grams=challenge.co2e_grams,
            evidence=dict(evidence or {}),
            completed_at=now,
            local_date=clock.local_date(now, line.timezone),
        )
        with translating({"uq_challenge_completions_once": AlreadyCompleted()}):
            session.add(completion)
        if completion.status == "pending":
            recorded = record(ChallengeSubmitted(**described(challenge, completion)), occurred_at=now)
        else:
            recorded = record(completed_fact(challenge, completion, is_first=is_first), occurred_at=now)
    return Completed(completion, recorded)


def described(challenge: Challenge, completion: ChallengeCompletion) -> dict[str, Any]:
    """Return what every fact about a completion says; titles are kept as they were when it happened."""
    return {
        "learner_id": completion.user_id,
        "completion_id": completion.id,
        "challenge_id": challenge.id,
        "slug": challenge.slug,
        "titles": {language: texts["title"] for language, texts in challenge.translations.items()},
        "category": challenge.category,
        "difficulty": challenge.difficulty,
        "cadence": challenge.cadence,
        "period": completion.period,
    }


def completed_fact(challenge: Challenge, completion: ChallengeCompletion, *, is_first: bool) -> ChallengeCompleted:
    """Return the fact that a completion is valid."""
    return ChallengeCompleted(
        **described(challenge, completion),
        points=completion.points,
        co2e_grams=completion.co2e_grams,
        is_first=is_first,
    )


def has_other_valid(completion_id: int | None, user_id: int, challenge_id: sa.ColumnElement[int] | int) -> sa.Exists:
    """Return the test whether the learner holds another valid completion of the challenge."""
    test = sa.exists().where(
        ChallengeCompletion.user_id == user_id,
        ChallengeCompletion.challenge_id == challenge_id,
        ChallengeCompletion.status == "validated",
    )
    return test if completion_id is None else test.where(ChallengeCompletion.id != completion_id)


def _open_challenge(session: Session, user_id: int, challenge_id: int, now: datetime) -> tuple[Challenge, bool]:
    # The share lock makes an edit or an archiving wait: what was open here is still open at the commit.
    other = has_other_valid(None, user_id, challenge_id)
    statement = sa.select(Challenge, ~other).where(Challenge.id == challenge_id).with_for_update(read=True)
    row = session.execute(statement.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise NotFound("challenge")
    challenge, is_first = row
    if not challenge.is_open(now):
        raise ChallengeClosed
    return challenge, is_first


def _verify_answer(challenge: Challenge, answer: str | None) -> None:
    if challenge.validation != "answer":
        return
    if answer is None:
        message = Text("This challenge asks for an answer.", "Ce défi demande une réponse.")
        raise InvalidField("/answer", message, "required")
    if _folded(answer) not in {_folded(accepted) for accepted in challenge.answers}:
        raise WrongAnswer


def _folded(text: str) -> str:
    """Compare answers without regard to case, accents, spacing or a final full stop."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(plain.split()).rstrip(".!")
