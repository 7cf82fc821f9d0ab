"""Levels over HTTP: the curve, its edits and their preview, and why a learner stands on one."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.schemas import levels as schemas
from rebootcamp.services import levels
from rebootcamp.services.gamification.levels import Step
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint(
    "levels", __name__, url_prefix="/api", description="The curve of levels, and why one stands on one"
)


@blueprint.route("/levels")
@requires("level:read")
@blueprint.response(200, schemas.CurveOut)
@blueprint.alt_response(304, "NotModified")
def get_curve() -> Response:
    """Read the curve of levels."""
    view = levels.get_curve(current_actor())
    return revalidated(schemas.render_curve(view, current_language()), "levels", view.version)


@blueprint.route("/levels", methods=["PUT"])
@requires("level:write")
@blueprint.arguments(schemas.CurveIn)
@idempotent
@blueprint.response(200, schemas.CurveOut)
@blueprint.alt_response(412, "StaleEdit")
def replace_curve(body: dict[str, Any]) -> Response:
    """Put another curve in force; every learner's level follows at once."""
    view = levels.replace_curve(current_actor(), _steps(body), _expected_version())
    return json_response(schemas.render_curve(view, current_language()), etag=etag_of("levels", view.version))


@blueprint.route("/levels/preview", methods=["POST"])
@requires("level:write")
@blueprint.arguments(schemas.CurveIn)
@idempotent
@blueprint.response(200, schemas.CurvePreviewOut)
def preview_curve(body: dict[str, Any]) -> Response:
    """Tell who would move with another curve, without changing anything."""
    return json_response(schemas.render_preview(levels.preview_curve(current_actor(), _steps(body))))


@blueprint.route("/users/<id:user_id>/level")
@requires(None)
@blueprint.response(200, schemas.LevelReasonsOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def explain_level(user_id: int) -> Response:
    """Read why a learner stands on a level: one's own, or anybody's for staff."""
    why = levels.explain_level(current_actor(), user_id)
    return revalidated(schemas.render_level_reasons(why, current_language()), "level", user_id)


def _steps(body: dict[str, Any]) -> list[Step]:
    return [Step(**level) for level in body["levels"]]


def _expected_version() -> str | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    version = levels.get_curve(current_actor()).version
    require_match(etag_of("levels", version))
    return version
