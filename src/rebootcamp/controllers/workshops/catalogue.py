"""Workshops over HTTP: the catalogue, editing, cancelling, calendars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Response, request

from rebootcamp.controllers.workshops.blueprint import blueprint
from rebootcamp.schemas.pictures import KEY_PARAMETER
from rebootcamp.schemas.workshops import calendars, exports
from rebootcamp.schemas.workshops import catalogue as schemas
from rebootcamp.services import workshops
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.files import CALENDAR_TYPE, CSV_TYPE, calendar_response, csv_response
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import choose_language, current_language
from rebootcamp.web.paging import page_body
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

CALENDAR = {"type": "string", "description": "An iCalendar object (RFC 5545)."}
TABLE = {"type": "string", "description": "RFC 4180 in UTF-8, with a byte order mark and a header."}


@blueprint.route("/workshops")
@requires("workshop:read")
@blueprint.arguments(schemas.WorkshopArguments, location="query")
@blueprint.response(200, schemas.WorkshopPage)
@blueprint.alt_response(304, "NotModified")
def list_workshops(query: dict[str, Any]) -> Response:
    """List workshops by their start, those that are over left out."""
    page, is_mine = query.pop("page"), query.pop("mine")
    found = workshops.list_workshops(current_actor(), workshops.WorkshopFilter(**query, is_mine=is_mine), page)
    return revalidated(page_body(found, partial(schemas.render_workshop, language=current_language())), "workshops")


@blueprint.route("/workshops", methods=["POST"])
@requires("workshop:write")
@blueprint.arguments(schemas.WorkshopCreate)
@idempotent
@blueprint.response(201, schemas.StaffWorkshopOut)
@blueprint.alt_response(409, "Conflict")
def create_workshop(body: dict[str, Any]) -> Response:
    """Make a workshop and run it; administrators may name who does."""
    return _workshop(workshops.create_workshop(current_actor(), body).id, 201)


@blueprint.route("/workshops/<id:workshop_id>")
@requires("workshop:read")
@blueprint.response(200, schemas.WorkshopOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_workshop(workshop_id: int) -> Response:
    """Read one workshop; that one saw it is noted, once a day."""
    view = workshops.get_workshop(current_actor(), workshop_id)
    if not view.is_editable:
        workshops.note_view(workshop_id, current_actor().user_id)
    body = schemas.render_workshop(view, current_language())
    return revalidated(body, "workshop", workshop_id, view.workshop.version)


@blueprint.route("/workshops/<id:workshop_id>", methods=["PATCH"])
@requires("workshop:write")
@blueprint.arguments(schemas.WorkshopPatch)
@idempotent
@blueprint.response(200, schemas.StaffWorkshopOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def edit_workshop(body: dict[str, Any], workshop_id: int) -> Response:
    """Change a workshop, publish, close or open it: one's own, or any for administrators."""
    workshops.update_workshop(current_actor(), workshop_id, body, _expected_version(workshop_id))
    return _workshop(workshop_id, 200)


@blueprint.route("/workshops/<id:workshop_id>", methods=["DELETE"])
@requires("workshop:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def archive_workshop(workshop_id: int) -> None:
    """Archive a workshop; who took part stays known."""
    workshops.archive_workshop(current_actor(), workshop_id, _expected_version(workshop_id))


@blueprint.route("/workshops/<id:workshop_id>/cancel", methods=["POST"])
@requires("workshop:write")
@blueprint.arguments(schemas.CancelReason)
@idempotent
@blueprint.response(200, schemas.StaffWorkshopOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def cancel_workshop(body: dict[str, Any], workshop_id: int) -> Response:
    """Call a workshop off, for good; everybody concerned is told."""
    workshops.cancel_workshop(current_actor(), workshop_id, body["reason"], _expected_version(workshop_id))
    return _workshop(workshop_id, 200)


@blueprint.route("/workshops/<id:workshop_id>/calendar.ics")
@requires("workshop:read")
@blueprint.arguments(calendars.CalendarArguments, location="query")
@blueprint.response(200, CALENDAR, content_type=CALENDAR_TYPE)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_workshop_calendar(query: dict[str, Any], workshop_id: int) -> Response:
    """Read a workshop as a calendar entry."""
    choose_language(query["lang"])
    view = workshops.get_workshop(current_actor(), workshop_id)
    return calendar_response(calendars.render_event(view, current_language()), view.workshop.slug)


@blueprint.route("/users/<id:user_id>/workshops.ics")
@requires(None, or_key=KEY_PARAMETER)
@blueprint.arguments(calendars.FeedArguments, location="query")
@blueprint.response(200, CALENDAR, content_type=CALENDAR_TYPE)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_agenda(query: dict[str, Any], user_id: int) -> Response:
    """Read a learner's workshops as a calendar: for oneself, for staff, or with the key of a share link."""
    choose_language(query["lang"])
    return calendar_response(calendars.render_agenda(_agenda(user_id, query["key"]), current_language()), "workshops")


@blueprint.route("/workshops/<id:workshop_id>/registrations.csv")
@requires("registration:read_any")
@blueprint.response(200, TABLE, content_type=CSV_TYPE)
@blueprint.alt_response(404, "NotFound")
def export_registrations(workshop_id: int) -> Response:
    """Save all registrations of a workshop as a table."""
    export = workshops.export_registrations(current_actor(), workshop_id)
    return csv_response(exports.render_csv(export, current_language()), f"{export.workshop.slug}-registrations")


def _agenda(user_id: int, key: str | None) -> Sequence[workshops.WorkshopView]:
    if key is not None:
        return workshops.list_shared_agenda(user_id, key)
    return workshops.list_agenda(current_actor(), user_id)


def _workshop(workshop_id: int, status: int) -> Response:
    view = workshops.get_workshop(current_actor(), workshop_id)
    return json_response(schemas.render_workshop(view, current_language()), status, etag=_etag(view))


def _etag(view: workshops.WorkshopView) -> str:
    return etag_of("workshop", view.workshop.id, view.workshop.version)


def _expected_version(workshop_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    view = workshops.get_workshop(current_actor(), workshop_id)
    require_match(_etag(view))
    return view.workshop.version
