"""Seats over HTTP: registering, leaving, offers, attendance and feedback."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app

from rebootcamp.controllers.workshops.blueprint import blueprint
from rebootcamp.schemas.workshops import registering as schemas
from rebootcamp.services import workshops
from rebootcamp.web.authentication import current_actor, current_caller
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response


@blueprint.route("/workshops/<id:workshop_id>/register", methods=["POST"])
@requires("workshop:register", deferred=True)
@blueprint.arguments(schemas.RegistrationIn)
@idempotent
@blueprint.response(201, schemas.RegistrationOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def register_for_workshop(body: dict[str, Any], workshop_id: int) -> Response:
    """Take a seat, or a place in the queue."""
    settings = current_app.config["REBOOTCAMP"]
    limits = workshops.Limits(settings.workshop_overlap == "refuse", settings.workshop_max_registrations)
    registration = workshops.register(current_caller(), workshop_id, **body, limits=limits)
    return json_response(schemas.render_registration(registration), 201)


@blueprint.route("/workshops/<id:workshop_id>/register", methods=["DELETE"])
@requires("workshop:register")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def leave_workshop(workshop_id: int) -> None:
    """Leave, or decline an offered seat; the next in line gets it."""
    workshops.leave(current_actor(), workshop_id)


@blueprint.route("/workshops/<id:workshop_id>/accept", methods=["POST"])
@requires("workshop:register")
@idempotent
@blueprint.response(200, schemas.RegistrationOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def accept_seat(workshop_id: int) -> Response:
    """Take the seat that is kept for the caller."""
    return json_response(schemas.render_registration(workshops.accept_offer(current_actor(), workshop_id)))


@blueprint.route("/workshops/<id:workshop_id>/registrations/<id:user_id>", methods=["DELETE"])
@requires("workshop:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def remove_registration(workshop_id: int, user_id: int) -> None:
    """End somebody's registration; the next in line gets the seat."""
    workshops.remove_registration(current_actor(), workshop_id, user_id)


@blueprint.route("/workshops/<id:workshop_id>/attendance", methods=["POST"])
@requires("workshop:write")
@blueprint.arguments(schemas.AttendanceIn)
@idempotent
@blueprint.response(200, schemas.AttendanceOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def mark_attendance(body: dict[str, list[int]], workshop_id: int) -> Response:
    """Record who took part: all of them, or nobody when one has no seat."""
    return json_response({"user_ids": workshops.mark_attendance(current_actor(), workshop_id, body["user_ids"])})


@blueprint.route("/workshops/<id:workshop_id>/attendance/<id:user_id>", methods=["DELETE"])
@requires("workshop:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def revoke_attendance(workshop_id: int, user_id: int) -> None:
    """Take an attendance back, with everything that followed from it."""
    workshops.revoke_attendance(current_actor(), workshop_id, user_id)


@blueprint.route("/workshops/<id:workshop_id>/feedback", methods=["POST"])
@requires("workshop:register")
@blueprint.arguments(schemas.FeedbackIn)
@idempotent
@blueprint.response(201, schemas.FeedbackOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def give_feedback(body: dict[str, Any], workshop_id: int) -> Response:
    """Rate a workshop that the caller took part in."""
    return json_response(schemas.render_feedback(workshops.give_feedback(current_actor(), workshop_id, **body)), 201)
