"""Savings of CO2e over HTTP."""

from __future__ import annotations

from flask import Response

from rebootcamp.schemas import eco as schemas
from rebootcamp.services import eco
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, not_modified, revalidated
from rebootcamp.web.languages import current_language
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("eco", __name__, url_prefix="/api", description="Grams of CO2e saved, with their sources")


@blueprint.route("/users/<id:user_id>/eco")
@requires(None)
@blueprint.response(200, schemas.LearnerSavingsOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_learner_savings(user_id: int) -> Response:
    """Read what a learner saved: one's own savings, or anybody's for staff."""
    actor, language = current_actor(), current_language()
    etag = etag_of("eco", user_id, *eco.get_savings_version(actor, user_id), language)
    if unchanged := not_modified(etag):
        return unchanged
    body = schemas.render_learner_savings(eco.get_learner_savings(actor, user_id), language)
    return json_response(body, etag=etag)


@blueprint.route("/groups/<id:group_id>/eco")
@requires("group:read")
@blueprint.response(200, schemas.GroupSavingsOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_group_savings(group_id: int) -> Response:
    """Read what people saved while they belonged to a group, for its members and staff."""
    found = eco.get_group_savings(current_actor(), group_id)
    return revalidated(schemas.render_group_savings(found, current_language()), "group-eco", group_id)


@blueprint.route("/eco")
@requires(None)
@blueprint.response(200, schemas.PlatformSavingsOut)
@blueprint.alt_response(304, "NotModified")
def get_platform_savings() -> Response:
    """Read what everybody saved together."""
    return revalidated(schemas.render_platform_savings(eco.get_platform_savings(), current_language()), "eco")
