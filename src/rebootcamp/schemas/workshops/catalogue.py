"""Workshops on the wire."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate
from slugify import slugify

from rebootcamp.core.clock import iso
from rebootcamp.core.languages import LANGUAGES, pick
from rebootcamp.core.workshops import (
    MAX_CAPACITY,
    MAX_OFFER_HOURS,
    MAX_QUESTIONS,
    MAX_TAGS,
    REGISTRATION_STATUSES,
    WORKSHOP_STATUSES,
)
from rebootcamp.schemas.accounts import TIMEZONE, is_readable, is_timezone
from rebootcamp.schemas.base import (
    INT64_MAX,
    Boolean,
    Day,
    Instant,
    Integer,
    PageArguments,
    RequestSchema,
    String,
    Text,
    page_of,
    refuse,
)
from rebootcamp.schemas.challenges import MAX_REASON, SLUG, Texts
from rebootcamp.schemas.progress import LearnerOut

TITLE = [validate.Length(1, 120), is_readable]
DESCRIPTION = validate.Length(0, 8000)
PLACE = [validate.Length(1, 300), is_readable]
LABEL = [validate.Length(1, 200), is_readable]
KEY = validate.Regexp(r"^[a-z][a-z0-9_]{0,39}$")
CAPACITY = validate.Range(1, MAX_CAPACITY)
OFFER_HOURS = validate.Range(1, MAX_OFFER_HOURS)
POINTS = validate.Range(0, 10_000)
USER_ID = validate.Range(1, INT64_MAX)
FIRST_YEAR, LAST_YEAR = 2000, 2200
OFFERED = {"description": "A freed seat is offered for so many hours instead of given; null: given at once."}
STARTS = {"description": "In the future.", "example": "2027-03-01T18:00:00+01:00"}


class Tag(String):
    """A tag, loaded in lower case with single spaces."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return unicodedata.normalize("NFC", " ".join(text.lower().split()))


class Moment(String):
    """An instant with its offset, or a date of the caller's calendar."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        field: Any = Instant() if "T" in text else Day()
        moment: datetime | date = field.deserialize(text)
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise refuse("The date is out of range.", "La date sort des limites permises.", "out_of_range")
        return moment


TAG = Tag(validate=[validate.Length(1, 40), is_readable], metadata={"example": "low-tech"})


class WorkshopTextsIn(RequestSchema):
    """The texts of a workshop in one language."""

    title = String(required=True, validate=TITLE)
    description = Text(load_default="", validate=DESCRIPTION)


class WorkshopTranslationsIn(RequestSchema):
    """Texts by language; at least one."""

    en = fields.Nested(WorkshopTextsIn)
    fr = fields.Nested(WorkshopTextsIn)

    @ma.validates_schema
    def has_one(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a workshop without any text."""
        if not data:
            raise refuse("Give the texts in at least one language.", "Donnez les textes dans au moins une langue.")


class LabelsIn(RequestSchema):
    """A question by language."""

    en = String(validate=LABEL)
    fr = String(validate=LABEL)


class QuestionIn(RequestSchema):
    """What people are asked when they register."""

    key = String(validate=KEY, metadata={"description": "Names the answer; by default made of the label."})
    label = String(validate=LABEL, metadata={"description": "Short for `labels`."})
    labels = fields.Nested(LabelsIn)
    is_required = Boolean(load_default=False)

    @ma.post_load
    def complete(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Make the labels of the plain one, and the key of a label."""
        label = data.pop("label", None)
        labels = data.get("labels") or (dict.fromkeys(LANGUAGES, label) if label else {})
        if not labels:
            raise refuse("Missing data for required field.", "Champ obligatoire.", "required", "label")
        key = data.get("key") or slugify(pick(labels, "en"), separator="_", max_length=40).lstrip("_0123456789")
        if not key:
            raise refuse("Missing data for required field.", "Champ obligatoire.", "required", "key")
        return {"key": key, "labels": labels, "is_required": data["is_required"]}


def are_different(questions: list[dict[str, Any]]) -> None:
    """Refuse two questions whose answers would have one name."""
    if len({question["key"] for question in questions}) < len(questions):
        raise refuse("Each key at most once.", "Chaque clé une seule fois.", "repeated")


QUESTIONS: list[Any] = [validate.Length(0, MAX_QUESTIONS), are_different]


class RegistrationWindowIn(RequestSchema):
    """When one may register: at any time before the start, unless this says otherwise."""

    opens_at = Instant(allow_none=True)
    closes_at = Instant(allow_none=True)


class WorkshopPatch(RequestSchema):
    """Changes to a workshop; what is left out stays."""

    slug = String(validate=validate.And(validate.Length(1, 80), SLUG))
    translations = fields.Nested(WorkshopTranslationsIn)
    title = String(validate=TITLE, metadata={"description": "Of all languages."})
    description = Text(validate=DESCRIPTION, metadata={"description": "Of all languages."})
    trainer_id = Integer(validate=USER_ID, metadata={"description": "For administrators; by default the caller."})
    starts_at = Instant(metadata=STARTS)
    ends_at = Instant()
    timezone = String(validate=is_timezone, metadata={**TIMEZONE, "description": "By default the trainer's."})
    place = String(allow_none=True, validate=PLACE)
    link = fields.Url(
        schemes={"http", "https"},
        allow_none=True,
        validate=validate.Length(1, 2000),
        metadata={"description": "Of an online meeting; shown to those with a seat."},
    )
    capacity = Integer(validate=CAPACITY)
    registration = fields.Nested(RegistrationWindowIn)
    offer_hours = Integer(allow_none=True, validate=OFFER_HOURS, metadata=OFFERED)
    tags = fields.List(TAG, validate=validate.Length(0, MAX_TAGS))
    questions = fields.List(fields.Nested(QuestionIn), validate=QUESTIONS)
    points = Integer(validate=POINTS, metadata={"description": "Experience that attending gives."})
    status = String(validate=validate.OneOf(("published", "closed", "draft")))

    @ma.post_load
    def flatten(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Name the members of the window as the columns are named, and every tag once."""
        window = data.pop("registration", {})
        data |= {f"registration_{name}": instant for name, instant in window.items()}
        if "tags" in data:
            data["tags"] = list(dict.fromkeys(data["tags"]))
        return data


class WorkshopCreate(WorkshopPatch):
    """A new workshop. Give `title` and `description`, or `translations`."""

    starts_at = Instant(required=True, metadata=STARTS)
    ends_at = Instant(required=True)
    capacity = Integer(required=True, validate=CAPACITY)
    status = String(load_default="published", validate=validate.OneOf(("published", "draft")))

    @ma.post_load
    def gather_texts(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take the plain `title` and `description` as both languages where no translation says otherwise."""
        title, description = data.pop("title", None), data.pop("description", "")
        if "translations" not in data:
            if title is None:
                raise refuse("Missing data for required field.", "Champ obligatoire.", "required", "title")
            texts = {"title": title, "description": description}
            data["translations"] = dict.fromkeys(LANGUAGES, texts)
        return data


class CancelReason(RequestSchema):
    """Why a workshop is called off."""

    reason = Text(load_default=None, allow_none=True, validate=validate.Length(1, MAX_REASON))


class WorkshopArguments(PageArguments):
    """Which workshops to list."""

    since = Moment(
        data_key="from",
        load_default=None,
        metadata={"description": "Instant or date: those that end after it. By default now.", "example": "2027-03-01"},
    )
    until = Moment(
        data_key="to",
        load_default=None,
        metadata={"description": "Instant, or date that still counts: those that begin before its end."},
    )
    trainer = Integer(load_default=None, validate=USER_ID, metadata={"description": "Id of the trainer."})
    q = String(
        load_default=None,
        validate=validate.Length(1, 100),
        metadata={"description": "Part of a text, a place or a tag; case and accents do not matter."},
    )
    tag = Tag(load_default=None, validate=validate.Length(1, 40))
    status = String(
        load_default=None,
        validate=validate.OneOf(WORKSHOP_STATUSES),
        metadata={"description": "By default all but drafts; drafts are one's own, or all for administrators."},
    )
    mine = Boolean(load_default=False, metadata={"description": "Those that I am registered for, or wait for."})


class QuestionOut(ma.Schema):
    """A question, in the caller's language."""

    key = fields.String(required=True)
    label = fields.String(required=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "For staff."})
    is_required = fields.Boolean(required=True)


class RegistrationWindowOut(ma.Schema):
    """When one may register; null: no limit but the start."""

    opens_at = fields.DateTime(required=True, allow_none=True)
    closes_at = fields.DateTime(required=True, allow_none=True)
    is_open = fields.Boolean(required=True, metadata={"description": "Whether one may register now."})


class RatingOut(ma.Schema):
    """What participants thought, from 1 to 5."""

    average = fields.Float(required=True, allow_none=True)
    count = fields.Integer(required=True)


class MineOut(ma.Schema):
    """The caller's own registration."""

    status = fields.String(required=True, validate=validate.OneOf(REGISTRATION_STATUSES))
    position = fields.Integer(required=True, allow_none=True, metadata={"description": "In the queue, from 1."})
    offered_until = fields.DateTime(required=True, allow_none=True)


class WorkshopOut(ma.Schema):
    """A workshop in the caller's language."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    trainer = fields.Nested(LearnerOut, required=True)
    starts_at = fields.DateTime(required=True)
    ends_at = fields.DateTime(required=True)
    timezone = fields.String(required=True, metadata=TIMEZONE)
    place = fields.String(required=True, allow_none=True)
    link = fields.String(required=True, allow_none=True, metadata={"description": "For those with a seat, and staff."})
    capacity = fields.Integer(required=True)
    seats_left = fields.Integer(required=True, metadata={"description": "0 while somebody waits."})
    waiting = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(WORKSHOP_STATUSES))
    cancelled_at = fields.DateTime(required=True, allow_none=True)
    cancel_reason = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)
    questions = fields.List(fields.Nested(QuestionOut), required=True)
    points = fields.Integer(required=True)
    registration = fields.Nested(RegistrationWindowOut, required=True)
    offer_hours = fields.Integer(required=True, allow_none=True, metadata=OFFERED)
    rating = fields.Nested(RatingOut, required=True)
    mine = fields.Nested(MineOut, required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    archived_at = fields.DateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    translations = fields.Dict(
        keys=fields.String(), values=fields.Nested(Texts), metadata={"description": "For staff."}
    )


class StaffWorkshopOut(WorkshopOut):
    """A workshop as staff see it: with all translations."""

    translations = fields.Dict(keys=fields.String(), values=fields.Nested(Texts), required=True)


WorkshopPage = page_of(WorkshopOut)


def render_workshop(view: Any, language: str) -> dict[str, Any]:
    """Return `WorkshopOut`, or `StaffWorkshopOut`, of a `services.workshops.WorkshopView`."""
    workshop = view.workshop
    texts = pick(workshop.translations, language)
    rendered = {
        "id": workshop.id,
        "slug": workshop.slug,
        "title": texts["title"],
        "description": texts["description"],
        "trainer": {"id": workshop.trainer_id, "display_name": view.trainer_name},
        "starts_at": iso(workshop.starts_at),
        "ends_at": iso(workshop.ends_at),
        "timezone": workshop.timezone,
        "place": workshop.place,
        "link": workshop.link if view.shows_link else None,
        "capacity": workshop.capacity,
        "seats_left": view.seats_left,
        "waiting": workshop.waiting,
        "status": workshop.status,
        "cancelled_at": workshop.cancelled_at and iso(workshop.cancelled_at),
        "cancel_reason": workshop.cancel_reason,
        "tags": workshop.tags,
        "questions": [_question(question, language, view.is_staff) for question in workshop.questions],
        "points": workshop.points,
        "registration": _window(view),
        "offer_hours": workshop.offer_hours,
        "rating": {"average": view.rating, "count": view.ratings},
        "mine": _mine(view.mine),
        "created_at": iso(workshop.created_at),
        "updated_at": iso(workshop.updated_at),
        "archived_at": workshop.archived_at and iso(workshop.archived_at),
        "version": workshop.version,
    }
    return {**rendered, "translations": workshop.translations} if view.is_staff else rendered


def _question(question: Mapping[str, Any], language: str, is_staff: bool) -> dict[str, Any]:
    rendered = {"label": pick(question["labels"], language), **question}
    return rendered if is_staff else {name: rendered[name] for name in ("key", "label", "is_required")}


def _window(view: Any) -> dict[str, Any]:
    opens_at, closes_at = view.workshop.registration_opens_at, view.workshop.registration_closes_at
    return {
        "opens_at": opens_at and iso(opens_at),
        "closes_at": closes_at and iso(closes_at),
        "is_open": view.is_open,
    }


def _mine(mine: Any) -> dict[str, Any] | None:
    if mine is None:
        return None
    return {
        "status": mine.status,
        "position": mine.position,
        "offered_until": mine.offered_until and iso(mine.offered_until),
    }
