"""The institution's calendar over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.schemas import calendar as schemas
from rebootcamp.services import calendar
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_body
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("calendar", __name__, url_prefix="/api/calendar", description="Rest days of the institution")


@blueprint.route("")
@requires(None)
@blueprint.arguments(schemas.CalendarArguments, location="query")
@blueprint.response(200, schemas.RestDayPage)
@blueprint.alt_response(304, "NotModified")
def list_rest_days(query: dict[str, Any]) -> Response:
    """List the rest days, past and to come."""
    return revalidated(page_body(calendar.list_rest_days(query["page"]), _rendered), "calendar")


@blueprint.route("", methods=["POST"])
@requires("calendar:write")
@blueprint.arguments(schemas.RestDayCreate)
@idempotent
@blueprint.response(201, schemas.RestDayOut)
def create_rest_day(body: dict[str, Any]) -> Response:
    """Add rest days to come."""
    return _answer(calendar.create_rest_day(current_actor(), body), 201)


@blueprint.route("/<id:rest_id>")
@requires(None)
@blueprint.response(200, schemas.RestDayOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_rest_day(rest_id: int) -> Response:
    """Read one entry of the calendar."""
    rest = calendar.get_rest_day(rest_id)
    return revalidated(_rendered(rest), "rest", rest_id, rest.version)


@blueprint.route("/<id:rest_id>", methods=["PATCH"])
@requires("calendar:write")
@blueprint.arguments(schemas.RestDayPatch)
@idempotent
@blueprint.response(200, schemas.RestDayOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def edit_rest_day(body: dict[str, Any], rest_id: int) -> Response:
    """Change names, and dates that have not begun anywhere."""
    return _answer(calendar.update_rest_day(current_actor(), rest_id, body, _expected_version(rest_id)), 200)


@blueprint.route("/<id:rest_id>", methods=["DELETE"])
@requires("calendar:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def delete_rest_day(rest_id: int) -> None:
    """Remove rest days to come; those under way end today."""
    calendar.delete_rest_day(current_actor(), rest_id, _expected_version(rest_id))


def _rendered(rest: Any) -> dict[str, Any]:
    return schemas.render_rest_day(rest, current_language())


def _answer(rest: Any, status: int) -> Response:
    return json_response(_rendered(rest), status, etag=etag_of("rest", rest.id, rest.version))


def _expected_version(rest_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    rest = calendar.get_rest_day(rest_id)
    require_match(etag_of("rest", rest_id, rest.version))
    return rest.version
