"""Completing a challenge: the command on which everything else rests."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.actors import Caller
from rebootcamp.core.challenges import next_start, period_of
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.json import dumps_text
from rebootcamp.core.languages import Text
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeSubmitted
from rebootcamp.events.journal import LINE_COLUMNS, LINE_TABLES, LearnerLine, Recorded, hold_line, lock_line, record
from rebootcamp.models.sql.accounts import CALLER_COLUMNS
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.services.challenges.attempts import count_wrong, require_attempt
from rebootcamp.services.challenges.errors import AlreadyCompleted, ChallengeClosed, CompletesByItself, WrongAnswer
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

# Locked in this order, as everywhere: first the learner's line, then the challenge. The share lock makes an edit or
# an archiving wait: what is open here is still open at the commit.
_OPEN: Final = f"""
    SELECT {LINE_COLUMNS}, {CALLER_COLUMNS},
        c.id, c.slug, c.category, c.difficulty, c.cadence, c.validation, c.points, c.co2e_grams, c.answers,
        c.translations, c.reward_badge, c.is_published AND c.archived_at IS NULL AS is_listed,
        c.starts_at, c.ends_at,
        (c.starts_at IS NULL OR c.starts_at <= %(now)s) AND (c.ends_at IS NULL OR c.ends_at > %(now)s) AS is_in_time
    FROM {LINE_TABLES} CROSS JOIN challenges c
    WHERE s.user_id = %(user_id)s AND c.id = %(challenge_id)s FOR UPDATE OF s FOR SHARE OF c"""  # noqa: S608

_INSERT: Final = """
    INSERT INTO challenge_completions (
        user_id, challenge_id, period, status, points, co2e_grams, evidence, completed_at, local_date)
    VALUES (%(user_id)s, %(challenge_id)s, %(period)s, %(status)s, %(points)s, %(co2e_grams)s, %(evidence)s::jsonb,
        %(completed_at)s, %(local_date)s)
    ON CONFLICT DO NOTHING
    RETURNING id, NOT EXISTS (
        SELECT 1 FROM challenge_completions d WHERE d.user_id = %(user_id)s AND d.challenge_id = %(challenge_id)s
            AND d.status = 'validated') AS is_first"""


_STANDING: Final = """
    SELECT id AS completion_id, status, completed_at FROM challenge_completions
    WHERE user_id = %(user_id)s AND challenge_id = %(challenge_id)s AND period = %(period)s
        AND status IN ('pending', 'validated')"""


@dataclass(frozen=True)
class OpenChallenge:
    """What completing needs of a challenge, as locked."""

    id: int
    slug: str
    category: str
    difficulty: str
    cadence: str
    validation: str
    points: int
    co2e_grams: int
    answers: list[str]
    translations: dict[str, Any]
    reward_badge: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    is_listed: bool
    is_in_time: bool


_CHALLENGE_FIELDS: Final = [item.name for item in fields(OpenChallenge)]


@dataclass(frozen=True)
class NewCompletion:
    """A completion that was just made; `is_first`: the learner holds no other valid completion of the challenge."""

    id: int
    user_id: int
    challenge_id: int
    period: str
    status: str
    points: int
    co2e_grams: int
    completed_at: datetime
    local_date: date
    is_first: bool
    review_reason: str | None = None


@dataclass(frozen=True)
class Completed:
    """A completion and what it set off."""

    completion: ChallengeCompletion | NewCompletion
    recorded: Recorded


def complete_challenge(
    caller: Caller, challenge_id: int, *, answer: str | None, evidence: Mapping[str, str] | None
) -> Completed:
    """Complete a challenge, or submit it where staff must approve.

    Raises `NotFound`, `ChallengeClosed`, `CompletesByItself`, `WrongAnswer`, `TooManyAttempts`, `AlreadyCompleted`.
    """
    now = clock.now()
    with transaction():
        line, challenge = _locked(caller, challenge_id, now)
        _verify_answer(challenge, line.user_id, answer, now)
        completion = _insert(challenge, line.user_id, now, line.days.date_of(now), evidence or {})
        if completion.status == "pending":
            recorded = record(ChallengeSubmitted(**described(challenge, completion)), occurred_at=now)
        else:
            recorded = record(completed_fact(challenge, completion, is_first=completion.is_first), occurred_at=now)
    return Completed(completion, recorded)


def described(challenge: Challenge | OpenChallenge, completion: ChallengeCompletion | NewCompletion) -> dict[str, Any]:
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
        "is_goal": challenge.validation == "criteria",
        "reward_badge": challenge.reward_badge,
    }


def completed_fact(
    challenge: Challenge | OpenChallenge, completion: ChallengeCompletion | NewCompletion, *, is_first: bool
) -> ChallengeCompleted:
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


def _locked(caller: Caller, challenge_id: int, now: datetime) -> tuple[LearnerLine, OpenChallenge]:
    """Lock the caller's line and the open challenge.

    Raises `NotFound`, `ChallengeClosed`, and whatever speaks against the caller.
    """
    row = fetch_one(_OPEN, {"user_id": caller.user_id, "challenge_id": challenge_id, "now": now})
    if row is None:
        lock_line(caller.user_id)
        raise NotFound("challenge")
    actor = caller.confirmed(row)
    challenge = OpenChallenge(**{name: row[name] for name in _CHALLENGE_FIELDS})
    # Drafts and archived ones exist for staff only, as they do for a reader.
    if not (challenge.is_listed or actor.can("challenge:write")):
        raise NotFound("challenge")
    if not (challenge.is_listed and challenge.is_in_time):
        raise ChallengeClosed().because(
            is_published=challenge.is_listed, starts_at=challenge.starts_at, ends_at=challenge.ends_at
        )
    if challenge.validation == "criteria":
        raise CompletesByItself
    return hold_line(row), challenge


def _insert(
    challenge: OpenChallenge, user_id: int, now: datetime, day: date, evidence: Mapping[str, str]
) -> NewCompletion:
    values: dict[str, Any] = {
        "user_id": user_id,
        "challenge_id": challenge.id,
        "period": period_of(challenge.cadence, day),
        "status": "pending" if challenge.validation == "approval" else "validated",
        "points": challenge.points,
        "co2e_grams": challenge.co2e_grams,
        "completed_at": now,
        "local_date": day,
    }
    row = fetch_one(_INSERT, {**values, "evidence": dumps_text(evidence)})
    if row is None:
        raise _already_completed(challenge, user_id, day)
    return NewCompletion(**row, **values)


def _already_completed(challenge: OpenChallenge, user_id: int, day: date) -> AlreadyCompleted:
    """Return the refusal with the completion that stands in the way, and when the next one may come."""
    period = period_of(challenge.cadence, day)
    found = fetch_one(_STANDING, {"user_id": user_id, "challenge_id": challenge.id, "period": period})
    return AlreadyCompleted().because(**(found or {}), period=period, again_on=next_start(challenge.cadence, day))


def _verify_answer(challenge: OpenChallenge, user_id: int, answer: str | None, now: datetime) -> None:
    if challenge.validation != "answer":
        return
    if answer is None:
        message = Text("This challenge asks for an answer.", "Ce défi demande une réponse.")
        raise InvalidField("/answer", message, "required")
    require_attempt(user_id, challenge.id, now)
    if _folded(answer) not in {_folded(accepted) for accepted in challenge.answers}:
        count_wrong(user_id, challenge.id, now)
        raise WrongAnswer


def _folded(text: str) -> str:
    """Compare answers without regard to case, accents, spacing or a final full stop."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(plain.split()).rstrip(".!")
