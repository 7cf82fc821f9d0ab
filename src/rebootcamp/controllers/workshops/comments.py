"""Comments of workshops over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.controllers.workshops.blueprint import blueprint
from rebootcamp.schemas.workshops import comments as schemas
from rebootcamp.services import workshops
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.paging import page_body
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response


@blueprint.route("/workshops/<id:workshop_id>/comments")
@requires("workshop:read")
@blueprint.arguments(schemas.CommentArguments, location="query")
@blueprint.response(200, schemas.CommentPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(503, "Unavailable")
def list_comments(query: dict[str, Any], workshop_id: int) -> Response:
    """List the comments on a workshop, oldest first: for its participants, its trainer and staff."""
    page = workshops.list_comments(current_actor(), workshop_id, query["page"])
    return revalidated(page_body(page, schemas.render_comment), "comments", workshop_id)


@blueprint.route("/workshops/<id:workshop_id>/comments", methods=["POST"])
@requires("workshop:read")
@blueprint.arguments(schemas.CommentCreate)
@idempotent
@blueprint.response(201, schemas.CommentOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(429, "TooManyRequests")
@blueprint.alt_response(503, "Unavailable")
def add_comment(body: dict[str, str], workshop_id: int) -> Response:
    """Comment on a workshop: ten times in ten minutes at most, over all workshops."""
    return _comment(workshops.add_comment(current_actor(), workshop_id, body["text"]), 201)


@blueprint.route("/workshops/<id:workshop_id>/comments/<id:comment_id>", methods=["PATCH"])
@requires("workshop:read")
@blueprint.arguments(schemas.CommentPatch)
@idempotent
@blueprint.response(200, schemas.CommentOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
@blueprint.alt_response(503, "Unavailable")
def edit_comment(body: dict[str, str], workshop_id: int, comment_id: int) -> Response:
    """Edit one's own comment within 24 hours; earlier versions are kept. Of two edits at once one gets 412."""
    version = _expected_version(workshop_id, comment_id)
    return _comment(workshops.edit_comment(current_actor(), workshop_id, comment_id, body["text"], version), 200)


@blueprint.route("/workshops/<id:workshop_id>/comments/<id:comment_id>", methods=["DELETE"])
@requires("workshop:read")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
def delete_comment(workshop_id: int, comment_id: int) -> None:
    """Delete one's own comment; its texts go with the next maintenance."""
    workshops.delete_comment(current_actor(), workshop_id, comment_id)


@blueprint.route("/workshops/<id:workshop_id>/comments/<id:comment_id>/hide", methods=["POST"])
@requires("workshop:write")
@blueprint.arguments(schemas.CommentHide)
@idempotent
@blueprint.response(200, schemas.CommentStateOut)
@blueprint.alt_response(404, "NotFound")
def hide_comment(body: dict[str, str], workshop_id: int, comment_id: int) -> Response:
    """Hide a comment from the participants: the trainer, or an administrator."""
    comment = workshops.hide_comment(current_actor(), workshop_id, comment_id, body["reason"])
    return json_response(schemas.render_comment_state(comment))


@blueprint.route("/workshops/<id:workshop_id>/comments/<id:comment_id>/show", methods=["POST"])
@requires("workshop:write")
@idempotent
@blueprint.response(200, schemas.CommentStateOut)
@blueprint.alt_response(404, "NotFound")
def show_comment(workshop_id: int, comment_id: int) -> Response:
    """Show a hidden comment again."""
    comment = workshops.show_comment(current_actor(), workshop_id, comment_id)
    return json_response(schemas.render_comment_state(comment))


@blueprint.route("/workshops/<id:workshop_id>/comments/<id:comment_id>/history")
@requires("workshop:read")
@blueprint.arguments(schemas.CommentVersionArguments, location="query")
@blueprint.response(200, schemas.CommentVersionPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(503, "Unavailable")
def list_comment_versions(query: dict[str, Any], workshop_id: int, comment_id: int) -> Response:
    """List what a comment said, oldest first: for its author, the trainer and staff."""
    page = workshops.list_comment_versions(current_actor(), workshop_id, comment_id, query["page"])
    return revalidated(page_body(page, schemas.render_comment_version), "comment-versions", comment_id)


def _comment(comment: workshops.Comment, status: int) -> Response:
    return json_response(schemas.render_comment(comment), status, etag=_etag(comment.id, comment.version))


def _etag(comment_id: int, version: int) -> str:
    return etag_of("comment", comment_id, version)


def _expected_version(workshop_id: int, comment_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    version = workshops.get_comment_version(current_actor(), workshop_id, comment_id)
    require_match(_etag(comment_id, version))
    return version
