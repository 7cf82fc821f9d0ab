"""Registrations over HTTP: who takes part, joined from both stores, and the interaction log."""

from __future__ import annotations

from typing import Any

from flask import Response

from rebootcamp.controllers.workshops.blueprint import blueprint
from rebootcamp.schemas.workshops import registrations as schemas
from rebootcamp.services import workshops
from rebootcamp.web.authentication import current_caller
from rebootcamp.web.languages import current_language
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response


@blueprint.route("/workshops/<id:workshop_id>/registrations")
@requires("registration:read_any", deferred=True)
@blueprint.arguments(schemas.RegistrationArguments, location="query")
@blueprint.response(200, schemas.RegistrationPage)
@blueprint.alt_response(404, "NotFound")
def list_registrations(query: dict[str, Any], workshop_id: int) -> Response:
    """List who takes part in a workshop, waits or has left, in the order of the queue; for its trainer and staff."""
    # Often read while seats go: the caller's row comes with the workshop, in the same statement.
    found = workshops.list_registrations(current_caller(), workshop_id, query["page"], status=query["status"])
    return json_response(schemas.render_registrations(found, current_language()))


@blueprint.route("/users/<id:user_id>/registrations")
@requires(None, deferred=True)
@blueprint.arguments(schemas.RegistrationArguments, location="query")
@blueprint.response(200, schemas.OwnRegistrationPage)
@blueprint.alt_response(404, "NotFound")
def list_own_registrations(query: dict[str, Any], user_id: int) -> Response:
    """List somebody's registrations over all workshops, newest first: one's own, or anybody's for staff."""
    found = workshops.list_own_registrations(current_caller(), user_id, query["page"], status=query["status"])
    return json_response(schemas.render_own_registrations(found, current_language()))


@blueprint.route("/workshops/<id:workshop_id>/log")
@requires("registration:read_any", deferred=True)
@blueprint.arguments(schemas.LogArguments, location="query")
@blueprint.response(200, schemas.LogPage)
@blueprint.alt_response(404, "NotFound")
def list_log(query: dict[str, Any], workshop_id: int) -> Response:
    """List who did what with a workshop, newest first; for its trainer and staff."""
    found = workshops.list_log(current_caller(), workshop_id, query["page"])
    return json_response(schemas.render_log(found))
