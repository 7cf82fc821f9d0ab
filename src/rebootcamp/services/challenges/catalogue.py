"""The catalogue of challenges: reading, and editing by staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from slugify import slugify
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import CADENCES, period_of
from rebootcamp.core.errors import InvalidField, NotFound, StaleEdit
from rebootcamp.core.languages import LANGUAGES, Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.challenges.errors import ChallengeInUse, SlugTaken
from rebootcamp.storage.transactions import transaction, translating

ORDER: Final = "challenges"
FILTERS: Final = ("category", "difficulty", "cadence")
COUNTED_BY: Final = FILTERS


@dataclass(frozen=True)
class ChallengeView:
    """A challenge as one caller sees it; `completed`: validly, for the current period."""

    challenge: Challenge
    completed: bool


def list_challenges(
    actor: Actor, page: PageRequest, *, filters: Mapping[str, str], search: str | None
) -> Page[ChallengeView]:
    """List the challenges that are open now, by id."""
    now = clock.now()
    statement = _views(actor, now).where(_is_open(now))
    for name in FILTERS:
        if name in filters:
            statement = statement.where(getattr(Challenge, name) == filters[name])
    if search:
        statement = statement.where(_matches(search))
    key = page.key(ORDER, (int,))
    if key is not None:
        statement = statement.where(Challenge.id > key[0])
    with transaction() as session:
        rows = session.execute(statement.order_by(Challenge.id).limit(page.limit + 1)).all()
    views = [ChallengeView(*row) for row in rows]
    return paginate(views, page.limit, ORDER, lambda view: (view.challenge.id,))


def get_challenge(actor: Actor, challenge_id: int) -> ChallengeView:
    """Return one challenge; drafts and archived ones exist for staff only. Raises `NotFound`."""
    with transaction() as session:
        row = session.execute(_views(actor, clock.now()).where(Challenge.id == challenge_id)).one_or_none()
    if row is None:
        raise NotFound("challenge")
    view = ChallengeView(*row)
    is_listed = view.challenge.is_published and view.challenge.archived_at is None
    if not is_listed and not actor.can("challenge:write"):
        raise NotFound("challenge")
    return view


def create_challenge(actor: Actor, fields: Mapping[str, Any]) -> Challenge:
    """Add a challenge; without a slug, one is made of the title. Raises `SlugTaken`, `InvalidField`."""
    actor.require("challenge:write")
    now = clock.now()
    challenge = Challenge(**fields, created_by=actor.user_id, created_at=now, updated_at=now)
    challenge.slug = challenge.slug or _slug_of(challenge.translations)
    _verify(challenge)
    with transaction() as session, translating({"uq_challenges_slug": SlugTaken()}):
        session.add(challenge)
        touch_catalogue(session)
    return challenge


def update_challenge(actor: Actor, challenge_id: int, changes: Mapping[str, Any], version: int | None) -> Challenge:
    """Change some fields; completions keep what they were worth. Raises `NotFound`, `StaleEdit`, `SlugTaken`,
    `ChallengeInUse`.
    """
    actor.require("challenge:write")
    with transaction() as session, translating({"uq_challenges_slug": SlugTaken()}):
        challenge = _for_edit(session, challenge_id, version)
        is_recounted = any(name in COUNTED_BY and getattr(challenge, name) != changes[name] for name in changes)
        if is_recounted and session.scalar(sa.select(_is_completed(challenge_id))):
            raise ChallengeInUse
        for name, value in changes.items():
            setattr(challenge, name, value)
        challenge.updated_at = clock.now()
        _verify(challenge)
        _save(session)
    return challenge


def archive_challenge(actor: Actor, challenge_id: int, version: int | None) -> None:
    """Withdraw a challenge for good; history stays. Archiving twice changes nothing. Raises `NotFound`, `StaleEdit`."""
    actor.require("challenge:write")
    with transaction() as session:
        challenge = _for_edit(session, challenge_id, version)
        if challenge.archived_at is None:
            challenge.archived_at = challenge.updated_at = clock.now()
            _save(session)


def touch_catalogue(session: Session) -> None:
    """Invalidate what was remembered of the catalogue."""
    session.execute(sa.update(AppMeta).values(catalogue_version=AppMeta.catalogue_version + 1))


def _views(actor: Actor, now: datetime) -> sa.Select[Challenge, bool]:
    day = actor.days.date_of(now)
    period = sa.case({cadence: period_of(cadence, day) for cadence in CADENCES}, value=Challenge.cadence)
    done = sa.exists().where(
        ChallengeCompletion.user_id == actor.user_id,
        ChallengeCompletion.challenge_id == Challenge.id,
        ChallengeCompletion.period == period,
        ChallengeCompletion.status == "validated",
    )
    return sa.select(Challenge, done)


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        Challenge.is_published,
        Challenge.archived_at.is_(None),
        sa.or_(Challenge.starts_at.is_(None), Challenge.starts_at <= now),
        sa.or_(Challenge.ends_at.is_(None), Challenge.ends_at > now),
    )


def _matches(search: str) -> sa.ColumnElement[bool]:
    texts = [
        Challenge.translations[language][part].astext for language in LANGUAGES for part in ("title", "description")
    ]
    return sa.or_(*(text.icontains(search, autoescape=True) for text in texts))


def _for_edit(session: Session, challenge_id: int, version: int | None) -> Challenge:
    challenge = session.get(Challenge, challenge_id, with_for_update=True, populate_existing=True)
    if challenge is None:
        raise NotFound("challenge")
    if version is not None and version != challenge.version:
        raise StaleEdit
    return challenge


def _is_completed(challenge_id: int) -> sa.Exists:
    return sa.exists().where(ChallengeCompletion.challenge_id == challenge_id)


def _save(session: Session) -> None:
    try:
        session.flush()
    except StaleDataError as error:
        raise StaleEdit from error
    touch_catalogue(session)


def _verify(challenge: Challenge) -> None:
    if challenge.starts_at and challenge.ends_at and challenge.starts_at >= challenge.ends_at:
        raise InvalidField("/ends_at", Text("This must be after starts_at.", "Ceci doit être après starts_at."))
    if challenge.validation == "answer" and not challenge.answers:
        message = Text("Give at least one accepted answer.", "Indiquez au moins une réponse acceptée.")
        raise InvalidField("/answers", message, "required")


def _slug_of(translations: Mapping[str, Mapping[str, str]]) -> str:
    title = translations["en"]["title"] if "en" in translations else next(iter(translations.values()))["title"]
    slug = slugify(title, max_length=80, replacements=[["’", " "], ["'", " "]])
    if not slug:
        message = Text(
            "No slug can be made of this title; give one.", "Ce titre ne donne aucun identifiant ; indiquez-le."
        )
        raise InvalidField("/slug", message, "required")
    return slug
