"""The catalogue of challenges: reading, and editing by staff."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa
from slugify import slugify
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import CADENCES, period_of
from rebootcamp.core.days import DayRule
from rebootcamp.core.errors import InvalidField, NotFound, StaleEdit
from rebootcamp.core.languages import LANGUAGES, Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion, ChallengeResult
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.badges.definitions import refuse_unknown_badges, refuse_unknown_reward, touch_rules
from rebootcamp.services.challenges.errors import ChallengeInUse, SlugTaken
from rebootcamp.services.challenges.teams import TeamStanding, forget, my_teams
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.engine import rules_at, standing_of
from rebootcamp.services.gamification.goals import GRAIN_OF, Goal, compile_goal, goal_of, joined_key
from rebootcamp.services.gamification.jobs import counting, enqueue, is_counting, supersede
from rebootcamp.services.gamification.levels import Curve
from rebootcamp.services.gamification.progression import Standing, situation_of
from rebootcamp.services.gamification.rules import normalise
from rebootcamp.storage.locks import BARRIER, hold
from rebootcamp.storage.transactions import transaction, translating

ORDER: Final = "challenges"
FILTERS: Final = ("category", "difficulty", "cadence")
# What completions were counted by, and what was given for them, stays as it was.
COUNTED_BY: Final = (*FILTERS, "reward_badge")


BOUNDS: Final = frozenset({"starts_at", "ends_at"})
TIMED: Final = ("validation", "criteria", "starts_at", "ends_at", "requires_joining", "team_target")


@dataclass(frozen=True)
class Pursuit:
    """How far a caller is with a timed challenge; `window`: the local dates that count now, None while it is closed."""

    value: int
    target: int
    is_joined: bool
    window: tuple[date | None, date | None] | None


@dataclass(frozen=True)
class ChallengeView:
    """A challenge as one caller sees it; `completed`: validly, for the current period.

    `pursuit` is None for one that is not timed, and `is_counting` tells whether its past is still being counted;
    `reward_badges` and `teams` are told of a single challenge only.
    """

    challenge: Challenge
    completed: bool
    pursuit: Pursuit | None = None
    is_counting: bool = False
    reward_badges: Sequence[str] = ()
    teams: Sequence[TeamStanding] = ()


def list_challenges(
    actor: Actor, page: PageRequest, *, filters: Mapping[str, str], search: str | None
) -> Page[ChallengeView]:
    """List the challenges that are open now, by id."""
    now = clock.now()
    statement = _views(actor, now).where(_is_open(now, actor.days.date_of(now)))
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
    views = [_view(actor, now, row) for row in rows]
    return paginate(views, page.limit, ORDER, lambda view: (view.challenge.id,))


def get_challenge(actor: Actor, challenge_id: int) -> ChallengeView:
    """Return one challenge; drafts and archived ones exist for staff only. Raises `NotFound`."""
    now = clock.now()
    with transaction() as session:
        row = session.execute(_views(actor, now).where(Challenge.id == challenge_id)).one_or_none()
        if row is None:
            raise NotFound("challenge")
        challenge = row.Challenge
        is_listed = challenge.is_published and challenge.archived_at is None
        if not is_listed and not actor.can("challenge:write"):
            raise NotFound("challenge")
        book = rules_at(row.rules_version, row.curve_version)
        rewards = {*book.rewards(challenge_id), *(book.badges.keys() & {challenge.reward_badge})}
        return replace(
            _view(actor, now, row), reward_badges=sorted(rewards), teams=_teams(session, actor, challenge, now)
        )


def create_challenge(actor: Actor, fields: Mapping[str, Any]) -> Challenge:
    """Add a challenge; without a slug, one is made of the title. Raises `SlugTaken`, `InvalidField`."""
    actor.require("challenge:write")
    now = clock.now()
    challenge = Challenge(**fields, created_by=actor.user_id, created_at=now, updated_at=now)
    challenge.slug = challenge.slug or _slug_of(challenge.translations)
    _verify(challenge, actor.days.rule.timezone, BOUNDS)
    with transaction() as session, translating({"uq_challenges_slug": SlugTaken()}):
        refuse_unknown_reward(session, challenge.reward_badge)
        session.add(challenge)
        session.flush()
        _announce(session, challenge, was_timed=False, is_recounted=False)
    return challenge


def update_challenge(actor: Actor, challenge_id: int, changes: Mapping[str, Any], version: int | None) -> Challenge:
    """Change some fields; completions keep what they were worth. Raises `NotFound`, `StaleEdit`, `SlugTaken`,
    `ChallengeInUse`.
    """
    actor.require("challenge:write")
    with transaction() as session, translating({"uq_challenges_slug": SlugTaken()}):
        challenge = _for_edit(session, challenge_id, version)
        was_timed = challenge.criteria is not None
        fixed = (*COUNTED_BY, *TIMED) if was_timed or changes.get("criteria") else COUNTED_BY
        is_recounted = any(name in fixed and getattr(challenge, name) != changes[name] for name in changes)
        if is_recounted and session.scalar(sa.select(_is_in_use(challenge_id))):
            raise ChallengeInUse
        refuse_unknown_reward(session, changes.get("reward_badge"))
        for name, value in changes.items():
            setattr(challenge, name, value)
        challenge.updated_at = clock.now()
        _verify(challenge, actor.days.rule.timezone, BOUNDS & changes.keys() if was_timed else BOUNDS)
        _save(session)
        _announce(session, challenge, was_timed=was_timed, is_recounted=is_recounted)
    return challenge


def archive_challenge(actor: Actor, challenge_id: int, version: int | None) -> None:
    """Withdraw a challenge for good; history stays. Archiving twice changes nothing. Raises `NotFound`, `StaleEdit`."""
    actor.require("challenge:write")
    with transaction() as session:
        challenge = _for_edit(session, challenge_id, version)
        if challenge.archived_at is None:
            challenge.archived_at = challenge.updated_at = clock.now()
            _save(session)
            _announce(session, challenge, was_timed=challenge.criteria is not None, is_recounted=False)


def touch_catalogue(session: Session) -> None:
    """Invalidate what was remembered of the catalogue."""
    session.execute(sa.update(AppMeta).values(catalogue_version=AppMeta.catalogue_version + 1))


def edited_view(actor: Actor, challenge: Challenge) -> ChallengeView:
    """Return what staff see of a challenge that they have just made or changed."""
    actor.require("challenge:write")
    with transaction() as session:
        return ChallengeView(challenge, completed=False, is_counting=is_counting(session, challenge.id))


def _announce(session: Session, challenge: Challenge, *, was_timed: bool, is_recounted: bool) -> None:
    """Let everybody know of a change; a timed challenge changes the rules, and is looked for in the past.

    The past is the business of the back-fill: nobody waits for it here, however long it is.
    """
    if challenge.criteria is None and not was_timed:
        touch_catalogue(session)
        return
    goal = None if challenge.criteria is None else goal_of(challenge)
    if goal is not None:
        refuse_unknown_badges(session, challenge.criteria or {}, None)
    is_of_teams = goal is not None and goal.team_target is not None
    if is_recounted or not is_of_teams:
        forget(session, challenge.id)
    touch_rules(session)
    supersede(session, challenge_id=challenge.id)
    # What teams give is counted for drafts, too, and for ever.
    if is_of_teams or (goal is not None and challenge.is_published and challenge.archived_at is None):
        enqueue(session, challenge_id=challenge.id, version=challenge.version, holders="keep")


def _views(actor: Actor, now: datetime) -> sa.Select[Any]:
    day = actor.days.date_of(now)
    period = sa.case({cadence: period_of(cadence, day) for cadence in CADENCES}, value=Challenge.cadence)
    done = sa.exists().where(
        ChallengeCompletion.user_id == actor.user_id,
        ChallengeCompletion.challenge_id == Challenge.id,
        ChallengeCompletion.period == period,
        ChallengeCompletion.status == "validated",
    )
    state = sa.case((Challenge.criteria.is_not(None), sa.func.to_jsonb(sa.literal_column("learner_states"))))
    # As the engine names it: two names for one curve would make both of them load the rules anew each time.
    curve = sa.func.concat_ws(".", AppMeta.store_id, AppMeta.epoch, AppMeta.levels_version).label("curve_version")
    is_counting = counting(Challenge.id).label("is_counting")
    return (
        sa.select(Challenge, done.label("completed"), state.label("state"), is_counting, AppMeta.rules_version, curve)
        .join(AppMeta, sa.true())
        .outerjoin(LearnerState, LearnerState.user_id == actor.user_id)
    )


def _view(actor: Actor, now: datetime, row: sa.Row[Any]) -> ChallengeView:
    pursuit = None
    if row.Challenge.criteria is not None:
        day = actor.days.date_of(now)
        pursuit = _pursuit(
            goal_of(row.Challenge), _standing(row.state), day, curve_at(row.curve_version), row.completed
        )
    return ChallengeView(row.Challenge, row.completed, pursuit, row.is_counting)


def _pursuit(goal: Goal, standing: Standing, day: date, curve: Curve, is_done: bool) -> Pursuit:
    way = goal.rule.advance(situation_of(standing, day, curve))
    is_joined = bool(standing.counters.get(joined_key(goal.challenge_id)))
    return Pursuit(way.target if is_done else way.value, way.target, is_joined, goal.window(day))


def _standing(state: Mapping[str, Any] | None) -> Standing:
    if state is None:
        return Standing()
    last = state["last_active_on"]
    return standing_of(SimpleNamespace(**{**state, "last_active_on": last and date.fromisoformat(last)}))


def _teams(session: Session, actor: Actor, challenge: Challenge, now: datetime) -> list[TeamStanding]:
    if challenge.team_target is None:
        return []
    goal, day = goal_of(challenge), actor.days.date_of(now)
    return my_teams(session, goal, goal.period(day), actor.user_id)


def _is_open(now: datetime, day: date) -> sa.ColumnElement[bool]:
    by_instant = sa.and_(
        sa.or_(Challenge.starts_at.is_(None), Challenge.starts_at <= now),
        sa.or_(Challenge.ends_at.is_(None), Challenge.ends_at > now),
    )
    by_date = sa.and_(
        sa.or_(Challenge.opens_on.is_(None), Challenge.opens_on <= day),
        sa.or_(Challenge.closes_on.is_(None), Challenge.closes_on >= day),
    )
    return sa.and_(
        Challenge.is_published,
        Challenge.archived_at.is_(None),
        sa.case((Challenge.criteria.is_(None), by_instant), else_=by_date),
    )


def _matches(search: str) -> sa.ColumnElement[bool]:
    texts = [
        Challenge.translations[language][part].astext for language in LANGUAGES for part in ("title", "description")
    ]
    return sa.or_(*(text.icontains(search, autoescape=True) for text in texts))


def _for_edit(session: Session, challenge_id: int, version: int | None) -> Challenge:
    if session.scalar(sa.select(Challenge.team_target).where(Challenge.id == challenge_id)) is not None:
        # Relays refer to it while they deliver: they must be done before it is locked.
        hold(session, BARRIER)
    challenge = session.get(Challenge, challenge_id, with_for_update=True, populate_existing=True)
    if challenge is None:
        raise NotFound("challenge")
    if version is not None and version != challenge.version:
        raise StaleEdit
    return challenge


def _is_in_use(challenge_id: int) -> sa.ColumnElement[bool]:
    """Return the test whether somebody completed it, or a window of it has its results."""
    return sa.or_(
        sa.exists().where(ChallengeCompletion.challenge_id == challenge_id),
        sa.exists().where(ChallengeResult.challenge_id == challenge_id),
    )


def _save(session: Session) -> None:
    try:
        session.flush()
    except StaleDataError as error:
        raise StaleEdit from error


def _verify(challenge: Challenge, timezone: str, moved: Collection[str]) -> None:
    """Refuse what does not fit together. The bounds in `moved` are those that the editor, in the zone, has set."""
    if challenge.starts_at and challenge.ends_at and challenge.starts_at >= challenge.ends_at:
        raise InvalidField("/ends_at", Text("This must be after starts_at.", "Ceci doit être après starts_at."))
    if challenge.validation == "answer" and not challenge.answers:
        message = Text("Give at least one accepted answer.", "Indiquez au moins une réponse acceptée.")
        raise InvalidField("/answers", message, "required")
    if (challenge.validation == "criteria") != (challenge.criteria is not None):
        message = Text("Criteria go with validation “criteria”.", "criteria va avec la validation « criteria ».")
        raise InvalidField("/criteria", message, "required")
    if challenge.criteria is not None:
        _verify_timed(challenge, timezone, moved)
        return
    challenge.opens_on = challenge.closes_on = None
    if challenge.requires_joining or challenge.team_target is not None:
        message = Text("Only a challenge with criteria has this.", "Seul un défi à critères a ceci.")
        raise InvalidField("/requires_joining" if challenge.requires_joining else "/team_target", message)


def _verify_timed(challenge: Challenge, timezone: str, moved: Collection[str]) -> None:
    """Take the window's dates from its instants, as the editor's calendar shows them, and compile the criteria."""
    if challenge.cadence not in GRAIN_OF:
        message = Text("A challenge with criteria has a window.", "Un défi à critères a une période.")
        raise InvalidField("/cadence", message)
    if challenge.co2e_grams:
        message = Text("What counts here saved it already.", "Ce qui compte ici l'a déjà évité.")
        raise InvalidField("/co2e_grams", message)
    for name in _bounds_needed(challenge):
        if getattr(challenge, name) is None:
            raise InvalidField(f"/{name}", Text("This window needs it.", "Cette période l'exige."), "required")
    if "starts_at" in moved:
        challenge.opens_on = challenge.starts_at and DayRule(timezone).date_of(challenge.starts_at)
    if "ends_at" in moved:
        last = challenge.ends_at and challenge.ends_at - timedelta(milliseconds=1)
        challenge.closes_on = last and DayRule(timezone).date_of(last)
    challenge.criteria = dict(normalise(challenge.criteria or {}))
    bounds = challenge.opens_on, challenge.closes_on
    compile_goal(challenge.criteria, challenge.cadence, *bounds, is_team=challenge.team_target is not None)


def _bounds_needed(challenge: Challenge) -> tuple[str, ...]:
    if challenge.cadence == "event":
        return ("starts_at", "ends_at")
    return ("starts_at",) if challenge.team_target is not None else ()


def _slug_of(translations: Mapping[str, Mapping[str, str]]) -> str:
    title = translations["en"]["title"] if "en" in translations else next(iter(translations.values()))["title"]
    slug = slugify(title, max_length=80, replacements=[["’", " "], ["'", " "]])
    if not slug:
        message = Text(
            "No slug can be made of this title; give one.", "Ce titre ne donne aucun identifiant ; indiquez-le."
        )
        raise InvalidField("/slug", message, "required")
    return slug
