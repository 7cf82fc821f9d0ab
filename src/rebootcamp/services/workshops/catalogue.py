"""Workshops themselves: finding them, and editing by those who run them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from slugify import slugify
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import DayRule
from rebootcamp.core.errors import Forbidden, InvalidField, NotFound, StaleEdit
from rebootcamp.core.languages import Text, pick
from rebootcamp.core.pages import Page, PageRequest, instant_in, paginate
from rebootcamp.core.permissions import is_allowed
from rebootcamp.core.workshops import STATUS_CHANGES
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.workshops.errors import (
    QuestionsInUse,
    StatusNotReachable,
    WorkshopArchived,
    WorkshopAwaited,
    WorkshopCancelled,
    WorkshopOver,
    WorkshopSlugTaken,
)
from rebootcamp.services.workshops.notices import CANCELLED, CHANGED, announce
from rebootcamp.services.workshops.queue import change_capacity
from rebootcamp.services.workshops.reading import WorkshopView, is_listed, matches, may_edit, read, views
from rebootcamp.storage.transactions import savepoint, transaction, translating

ORDER: Final = "workshops"
SLUG: Final = "uq_workshops_slug"
# What people who are coming must hear about.
TOLD: Final = ("starts_at", "ends_at", "timezone", "place", "link")


@dataclass(frozen=True)
class WorkshopFilter:
    """Which workshops to list: those that take place from an instant, or a local date, on and begin before another.

    Without `since` from now on; without `status` no drafts; `is_mine`: those for which the caller is registered or
    waits.
    """

    since: datetime | date | None = None
    until: datetime | date | None = None
    trainer: int | None = None
    q: str | None = None
    tag: str | None = None
    status: str | None = None
    is_mine: bool = False


def list_workshops(actor: Actor, wanted: WorkshopFilter, page: PageRequest) -> Page[WorkshopView]:
    """List workshops by their start; drafts to those who run them."""
    statement = views(actor).where(Workshop.archived_at.is_(None), *_conditions(actor, wanted))
    key = page.key(ORDER, (str, int))
    if key is not None:
        after = sa.tuple_(instant_in(key[0]), sa.literal(key[1], sa.BigInteger))
        statement = statement.where(sa.tuple_(Workshop.starts_at, Workshop.id) > after)
    with transaction() as session:
        found = read(session, actor, statement.order_by(Workshop.starts_at, Workshop.id).limit(page.limit + 1))
    return paginate(found, page.limit, ORDER, lambda v: (clock.iso(v.workshop.starts_at), v.workshop.id))


def get_workshop(actor: Actor, workshop_id: int) -> WorkshopView:
    """Return one workshop; a draft to those who run it, an archived one also to who took part. Raises `NotFound`."""
    with transaction() as session:
        found = read(session, actor, views(actor).where(Workshop.id == workshop_id))
    if not found or not found[0].is_visible:
        raise NotFound("workshop")
    return found[0]


def create_workshop(actor: Actor, fields: Mapping[str, Any]) -> Workshop:
    """Make a workshop of which the caller, or whom an administrator names, is the trainer.

    Many workshops have the same title: a slug that was not given is made different from all others. Raises
    `Forbidden`, `InvalidField`, `WorkshopSlugTaken`.
    """
    actor.require("workshop:write")
    now = clock.now()
    with transaction() as session:
        values = {**fields, "trainer_id": fields.get("trainer_id") or actor.user_id}
        trainer = _trainer(session, actor, values["trainer_id"])
        values |= {"timezone": fields.get("timezone") or trainer.timezone, "created_at": now, "updated_at": now}
        _verify_times(Workshop(**values), now, moved=("starts_at",))
        return _with_slug(session, values)


def update_workshop(actor: Actor, workshop_id: int, changes: Mapping[str, Any], version: int | None) -> Workshop:
    """Change some fields; a larger capacity seats who waits longest.

    Raises `NotFound`, `Forbidden`, `StaleEdit`, `InvalidField`, `WorkshopSlugTaken`, `WorkshopCancelled`,
    `WorkshopArchived`, `StatusNotReachable`, `QuestionsInUse`, `CapacityBelowTaken`.
    """
    with transaction() as session, translating({SLUG: WorkshopSlugTaken()}):
        workshop = locked_for_edit(session, actor, workshop_id, version)
        refuse_ended(workshop)
        edited = {
            name: value for name, value in _in_full(workshop, changes).items() if value != getattr(workshop, name)
        }
        _verify_changes(session, actor, workshop, edited)
        capacity = edited.pop("capacity", None)
        for name, value in edited.items():
            setattr(workshop, name, value)
        workshop.updated_at = now = clock.now()
        is_published = edited.get("status") == "published"
        _verify_times(workshop, now, moved={"starts_at"} if is_published else edited.keys())
        if "starts_at" in edited:
            workshop.reminded_at = None
        if capacity is not None:
            change_capacity(session, workshop, capacity)
        is_awaited = workshop.status != "draft" and workshop.ends_at > now
        if is_awaited and any(name in TOLD for name in edited):
            announce(session, workshop, CHANGED)
    return workshop


def cancel_workshop(actor: Actor, workshop_id: int, reason: str | None, version: int | None) -> Workshop:
    """Call a workshop off, for good; registrations stay as they are.

    Raises `NotFound`, `Forbidden`, `StaleEdit`, `WorkshopCancelled`, `WorkshopArchived`, `WorkshopOver`,
    `StatusNotReachable`.
    """
    with transaction() as session:
        workshop = locked_for_edit(session, actor, workshop_id, version)
        refuse_ended(workshop)
        if workshop.status == "draft":
            # Nobody was told of it: cancelled, it would be shown to everybody.
            raise StatusNotReachable(now=workshop.status, wanted="cancelled")
        now = clock.now()
        if workshop.ends_at <= now:
            raise WorkshopOver
        workshop.status, workshop.cancel_reason = "cancelled", reason
        workshop.cancelled_at = workshop.updated_at = now
        announce(session, workshop, CANCELLED)
    return workshop


def archive_workshop(actor: Actor, workshop_id: int, version: int | None) -> None:
    """Withdraw a workshop for good; who took part stays known. Archiving twice changes nothing.

    Raises `NotFound`, `Forbidden`, `StaleEdit`, `WorkshopAwaited`.
    """
    with transaction() as session:
        workshop = locked_for_edit(session, actor, workshop_id, version)
        if workshop.archived_at is not None:
            return
        now = clock.now()
        if workshop.status != "cancelled" and workshop.ends_at > now and workshop.taken + workshop.waiting > 0:
            raise WorkshopAwaited
        workshop.archived_at = workshop.updated_at = now


def locked_for_edit(session: Session, actor: Actor, workshop_id: int, version: int | None = None) -> Workshop:
    """Lock a workshop that the caller runs, at the version if one is given. Raises `NotFound`, `Forbidden`,
    `StaleEdit`.
    """
    actor.require("workshop:write")
    # NO KEY UPDATE: a row that refers to the workshop must not wait for us.
    statement = sa.select(Workshop).where(Workshop.id == workshop_id).with_for_update(key_share=True)
    workshop = session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if workshop is None or not (is_listed(workshop) or may_edit(actor, workshop)):
        raise NotFound("workshop")
    if not may_edit(actor, workshop):
        raise Forbidden
    if version is not None and version != workshop.version:
        raise StaleEdit
    return workshop


def refuse_ended(workshop: Workshop) -> None:
    """Raise for a workshop that no longer changes."""
    if workshop.archived_at is not None:
        raise WorkshopArchived
    if workshop.status == "cancelled":
        raise WorkshopCancelled


def _conditions(actor: Actor, wanted: WorkshopFilter) -> list[sa.ColumnElement[bool]]:
    rule = actor.days.rule
    conditions = [Workshop.ends_at > (clock.now() if wanted.since is None else _instant(rule, wanted.since))]
    if wanted.until is not None:
        conditions.append(Workshop.starts_at < _instant(rule, wanted.until, days=1))
    if wanted.trainer is not None:
        conditions.append(Workshop.trainer_id == wanted.trainer)
    if wanted.tag is not None:
        conditions.append(Workshop.tags.contains([wanted.tag]))
    if wanted.q is not None:
        conditions.append(matches(wanted.q))
    if wanted.is_mine:
        conditions.append(WorkshopRegistration.id.is_not(None))
    conditions.append(Workshop.status != "draft" if wanted.status is None else Workshop.status == wanted.status)
    if wanted.status == "draft" and not actor.can("workshop:write_any"):
        conditions.append(Workshop.trainer_id == actor.user_id)
    return conditions


def _instant(rule: DayRule, moment: datetime | date, days: int = 0) -> datetime:
    """Return an instant; of a local date its beginning, or that of a later one."""
    return moment if isinstance(moment, datetime) else rule.start_of(moment + timedelta(days))


def _trainer(session: Session, actor: Actor, trainer_id: int) -> User:
    """Return who shall run a workshop: administrators choose, instructors are it themselves."""
    if trainer_id != actor.user_id and not actor.can("workshop:write_any"):
        raise Forbidden
    trainer = session.get(User, trainer_id)
    if trainer is None or not trainer.is_active or not is_allowed(trainer.role, "workshop:write"):
        message = Text("Nobody with this id can run workshops.", "Personne avec cet id ne peut animer d'atelier.")
        raise InvalidField("/trainer_id", message, "unknown_trainer")
    return trainer


def _with_slug(session: Session, values: Mapping[str, Any]) -> Workshop:
    if values.get("slug"):
        return _inserted(session, values)
    title = pick(values["translations"], "en")["title"]
    slug = slugify(title, max_length=80, replacements=[["’", " "], ["'", " "]]) or "workshop"
    try:
        with savepoint():
            return _inserted(session, {**values, "slug": slug})
    except WorkshopSlugTaken:
        return _inserted(session, {**values, "slug": f"{slug[:71].rstrip('-')}-{secrets.token_hex(4)}"})


def _inserted(session: Session, values: Mapping[str, Any]) -> Workshop:
    workshop = Workshop(**values)
    with translating({SLUG: WorkshopSlugTaken()}):
        session.add(workshop)
    return workshop


def _in_full(workshop: Workshop, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes with a plain title or description put in the place of every language's."""
    plain = {part: changes[part] for part in ("title", "description") if part in changes}
    rest = {name: value for name, value in changes.items() if name not in plain}
    if plain:
        texts = rest.get("translations", workshop.translations)
        rest["translations"] = {language: {**own, **plain} for language, own in texts.items()}
    return rest


def _verify_changes(session: Session, actor: Actor, workshop: Workshop, edited: Mapping[str, Any]) -> None:
    """Refuse what the state of a workshop does not allow."""
    status = edited.get("status")
    if status is not None and status not in STATUS_CHANGES[workshop.status]:
        raise StatusNotReachable(now=workshop.status, wanted=status)
    if "trainer_id" in edited:
        if not actor.can("workshop:write_any"):
            raise Forbidden
        _trainer(session, actor, edited["trainer_id"])
        _refuse_participant(session, workshop, edited["trainer_id"])
    if "questions" in edited and _asked(edited["questions"]) != _asked(workshop.questions):
        was_answered = sa.exists().where(WorkshopRegistration.workshop_id == workshop.id)
        if session.scalar(sa.select(was_answered)):
            raise QuestionsInUse


def _refuse_participant(session: Session, workshop: Workshop, user_id: int) -> None:
    """Refuse a trainer who has a seat, or waits for one: they would mark their own attendance."""
    stay = WorkshopRegistration
    takes_part = sa.exists().where(stay.workshop_id == workshop.id, stay.user_id == user_id, stay.status != "cancelled")
    if session.scalar(sa.select(takes_part)):
        message = Text("This person takes part in the workshop.", "Cette personne participe à l'atelier.")
        raise InvalidField("/trainer_id", message, "participant")


def _asked(questions: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(question["key"], question["is_required"]) for question in questions]


def _verify_times(workshop: Workshop, now: datetime, moved: Collection[str]) -> None:
    """Refuse times that do not fit together, and a start in the past where it is set or published now."""
    opens_at, closes_at = workshop.registration_opens_at, workshop.registration_closes_at
    if "starts_at" in moved and workshop.starts_at <= now:
        raise InvalidField("/starts_at", Text("Must lie in the future.", "Doit être dans l'avenir."), "in_the_past")
    if workshop.ends_at <= workshop.starts_at:
        raise InvalidField("/ends_at", Text("This must be after starts_at.", "Ceci doit être après starts_at."))
    if closes_at is not None and closes_at > workshop.starts_at:
        message = Text("Registration ends at starts_at at the latest.", "L'inscription finit au plus tard à starts_at.")
        raise InvalidField("/registration/closes_at", message)
    if opens_at is not None and opens_at >= (closes_at or workshop.starts_at):
        message = Text("Registration must open before it closes.", "L'inscription doit ouvrir avant de fermer.")
        raise InvalidField("/registration/opens_at", message)
