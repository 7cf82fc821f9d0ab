"""Registrations on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.languages import pick
from rebootcamp.core.workshops import LEAVING_CAUSES, REGISTRATION_STATUSES, WORKSHOP_STATUSES
from rebootcamp.schemas.base import PageArguments, String

STEPS = ("registered", "waitlisted", "offered", "promoted", "left", "attended", "attendance_revoked", "rated")


LOGGED = ("saw", *STEPS, "commented", "comment_edited")


class RegistrationArguments(PageArguments):
    """Filter and paging of registrations."""

    status = String(load_default=None, validate=validate.OneOf(REGISTRATION_STATUSES))


class RegistrantOut(ma.Schema):
    """Whose registration it is; the address is for the trainer and administrators."""

    id = fields.Integer(required=True)
    display_name = fields.String(required=True)
    email = fields.String()


class StepOut(ma.Schema):
    """Something that happened to a registration."""

    type = fields.String(required=True, validate=validate.OneOf(STEPS))
    at = fields.DateTime(required=True)
    offered_until = fields.DateTime()
    cause = fields.String(validate=validate.OneOf(LEAVING_CAUSES))
    attended_on = fields.Date()
    rating = fields.Integer(validate=validate.Range(1, 5))


class StayOut(ma.Schema):
    """One stay in a workshop, joined from both stores; `position`: the place in the queue of who waits."""

    id = fields.Integer(required=True)
    user_id = fields.Integer(required=True)
    user = fields.Nested(RegistrantOut, required=True)
    status = fields.String(required=True, validate=validate.OneOf(REGISTRATION_STATUSES))
    position = fields.Integer(required=True, allow_none=True)
    offered_until = fields.DateTime(required=True, allow_none=True)
    registered_at = fields.DateTime(required=True)
    seated_at = fields.DateTime(required=True, allow_none=True)
    ended_at = fields.DateTime(required=True, allow_none=True)
    attended_on = fields.Date(required=True, allow_none=True)
    answers = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    note = fields.String(required=True, allow_none=True)
    rating = fields.Integer(required=True, allow_none=True)
    feedback = fields.String(required=True, allow_none=True)
    history = fields.List(fields.Nested(StepOut), required=True)


class AttendedWorkshopOut(ma.Schema):
    """The workshop of a registration."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    starts_at = fields.DateTime(required=True)
    ends_at = fields.DateTime(required=True)
    timezone = fields.String(required=True)
    place = fields.String(required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(WORKSHOP_STATUSES))


class OwnRegistrationOut(StayOut):
    """A registration with its workshop."""

    workshop = fields.Nested(AttendedWorkshopOut, required=True)


class NamedOut(ma.Schema):
    """Somebody by name."""

    id = fields.Integer(required=True)
    display_name = fields.String(required=True)


class SeatedWorkshopOut(AttendedWorkshopOut):
    """The workshop with its seats; none is left while somebody waits."""

    trainer = fields.Nested(NamedOut, required=True)
    capacity = fields.Integer(required=True)
    seats_left = fields.Integer(required=True)
    waiting = fields.Integer(required=True)


class RegistrationCounts(ma.Schema):
    """All registrations of the workshop, whatever the filter; `offered`: those of the waitlisted who have an offer."""

    registered = fields.Integer(required=True)
    waitlisted = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    attended = fields.Integer(required=True)
    offered = fields.Integer(required=True)


class RegistrationConsistency(ma.Schema):
    """Degraded: MongoDB was away, and the journal told everything. The answer is never behind."""

    degraded = fields.Boolean(required=True)


class RegistrationPage(ma.Schema):
    """A page of a workshop's registrations, in the order of the queue."""

    workshop = fields.Nested(SeatedWorkshopOut, required=True)
    counts = fields.Nested(RegistrationCounts, required=True)
    items = fields.List(fields.Nested(StayOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    consistency = fields.Nested(RegistrationConsistency, required=True)


class OwnRegistrationPage(ma.Schema):
    """A page of somebody's registrations, newest first."""

    items = fields.List(fields.Nested(OwnRegistrationOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    consistency = fields.Nested(RegistrationConsistency, required=True)


class LogArguments(PageArguments):
    """Paging of the log."""


class LogDataOut(ma.Schema):
    """What an entry says more, as far as it belongs to its type."""

    registration_id = fields.Integer()
    offered_until = fields.DateTime()
    cause = fields.String(validate=validate.OneOf(LEAVING_CAUSES))
    had_seat = fields.Boolean()
    attended_on = fields.Date()
    rating = fields.Integer(validate=validate.Range(1, 5))
    comment_id = fields.Integer()
    version = fields.Integer()


class LogEntryOut(ma.Schema):
    """Something that somebody did with a workshop; of looks only the first of a day (UTC) is kept."""

    id = fields.String(required=True)
    type = fields.String(required=True, validate=validate.OneOf(LOGGED))
    at = fields.DateTime(required=True)
    user = fields.Nested(NamedOut, required=True)
    data = fields.Nested(LogDataOut, required=True)


class LogPage(ma.Schema):
    """A page of the log, newest first; degraded: looks and comments are left out."""

    items = fields.List(fields.Nested(LogEntryOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    consistency = fields.Nested(RegistrationConsistency, required=True)


def render_registrations(found: Any, language: str) -> dict[str, Any]:
    """Return `RegistrationPage` of a `services.workshops.WorkshopRegistrations`."""
    row = found.row
    return {
        "workshop": {
            **_workshop(row, row["id"], row["status"], language),
            "trainer": {"id": row["trainer_id"], "display_name": row["trainer_name"]},
            "capacity": row["capacity"],
            "seats_left": 0 if row["waiting"] else row["capacity"] - row["taken"],
            "waiting": row["waiting"],
        },
        "counts": {name: row[f"count_{name}"] for name in ("registered", "waitlisted", "cancelled", "attended")}
        | {"offered": row["count_offered"]},
        "items": [_registration(item, has_address=found.has_addresses) for item in found.page.items],
        "next_cursor": found.page.next_cursor,
        "consistency": {"degraded": found.is_degraded},
    }


def render_own_registrations(found: Any, language: str) -> dict[str, Any]:
    """Return `OwnRegistrationPage` of a `services.workshops.RegistrationPage`."""
    items = [
        _registration(item, has_address=False)
        | {"workshop": _workshop(item, item["workshop_id"], item["workshop_status"], language)}
        for item in found.page.items
    ]
    consistency = {"degraded": found.is_degraded}
    return {"items": items, "next_cursor": found.page.next_cursor, "consistency": consistency}


def render_log(found: Any) -> dict[str, Any]:
    """Return `LogPage` of what `services.workshops.list_log` returns."""
    items = [
        {
            "id": entry["id"],
            "type": entry["type"],
            "at": clock.iso(entry["at"]),
            "user": {"id": entry["user_id"], "display_name": entry["display_name"]},
            "data": entry["data"],
        }
        for entry in found.page.items
    ]
    return {
        "items": items,
        "next_cursor": found.page.next_cursor,
        "consistency": {"degraded": found.is_degraded},
    }


def _workshop(row: Mapping[str, Any], number: int, status: str, language: str) -> dict[str, Any]:
    return {
        "id": number,
        "slug": row["slug"],
        "title": pick(row["translations"], language)["title"],
        "starts_at": _instant(row["starts_at"]),
        "ends_at": _instant(row["ends_at"]),
        "timezone": row["timezone"],
        "place": row["place"],
        "status": status,
    }


def _registration(item: Mapping[str, Any], *, has_address: bool) -> dict[str, Any]:
    user = {"id": item["user_id"], "display_name": item["display_name"]}
    steps = item["steps"]
    return {
        "id": item["id"],
        "user_id": item["user_id"],
        "user": {**user, "email": item["email"]} if has_address else user,
        "status": item["status"],
        "position": item["position"],
        "offered_until": _instant(item["offered_until"]),
        "registered_at": _instant(item["registered_at"]),
        "seated_at": _instant(item["seated_at"]),
        "ended_at": _instant(item["ended_at"]),
        "attended_on": item["attended_on"],
        "answers": item["answers"],
        "note": item["note"],
        "rating": item["rating"],
        "feedback": item["feedback"],
        "history": [steps[seq] for seq in sorted(steps, key=int)],
    }


def _instant(value: Any) -> str | None:
    """Return an instant as the service writes them; PostgreSQL's JSON has them as text in its own form."""
    if value is None:
        return None
    return clock.iso(clock.parse(value) if isinstance(value, str) else value)
