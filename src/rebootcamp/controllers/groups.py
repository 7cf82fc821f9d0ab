"""Groups over HTTP: classes and teams, their members and their codes."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.schemas import groups as schemas
from rebootcamp.services import groups
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.paging import page_body
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("groups", __name__, url_prefix="/api/groups", description="Classes and teams, and their members")


@blueprint.route("")
@requires("group:read")
@blueprint.arguments(schemas.GroupArguments, location="query")
@blueprint.response(200, schemas.GroupPage)
@blueprint.alt_response(304, "NotModified")
def list_groups(query: dict[str, Any]) -> Response:
    """List one's own groups; for staff, all of them."""
    wanted = groups.GroupFilter(kind=query["kind"], q=query["q"], is_mine=query["mine"])
    page = groups.list_groups(current_actor(), wanted, query["page"])
    return revalidated(page_body(page, schemas.render_group), "groups")


@blueprint.route("", methods=["POST"])
@requires("group:write")
@blueprint.arguments(schemas.GroupCreate)
@idempotent
@blueprint.response(201, schemas.OwnGroupOut)
@blueprint.alt_response(409, "Conflict")
def create_group(body: dict[str, Any]) -> Response:
    """Make a group and own it."""
    return _group(groups.create_group(current_actor(), body).id, 201)


@blueprint.route("/join", methods=["POST"])
@requires("group:join")
@blueprint.arguments(schemas.JoinCode)
@idempotent
@blueprint.response(201, schemas.GroupOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def join_group(body: dict[str, str]) -> Response:
    """Join the group that has the code."""
    return _group(groups.join_group(current_actor(), body["code"]), 201)


@blueprint.route("/<id:group_id>")
@requires("group:read")
@blueprint.response(200, schemas.GroupOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_group(group_id: int) -> Response:
    """Read a group, for its members and staff."""
    view = groups.get_group(current_actor(), group_id)
    return revalidated(schemas.render_group(view), "group", group_id, view.group.version)


@blueprint.route("/<id:group_id>", methods=["PATCH"])
@requires("group:write")
@blueprint.arguments(schemas.GroupPatch)
@idempotent
@blueprint.response(200, schemas.OwnGroupOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def edit_group(body: dict[str, Any], group_id: int) -> Response:
    """Change a group: one's own, or any for administrators."""
    groups.update_group(current_actor(), group_id, body, _expected_version(group_id))
    return _group(group_id, 200)


@blueprint.route("/<id:group_id>", methods=["DELETE"])
@requires("group:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(412, "StaleEdit")
def archive_group(group_id: int) -> None:
    """Archive a group; who belonged to it stays known."""
    groups.archive_group(current_actor(), group_id, _expected_version(group_id))


@blueprint.route("/<id:group_id>/join-code", methods=["POST"])
@requires("group:write")
@idempotent
@blueprint.response(200, schemas.OwnGroupOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def rotate_join_code(group_id: int) -> Response:
    """Give a group another code; the old one ends at once."""
    groups.rotate_code(current_actor(), group_id)
    return _group(group_id, 200)


@blueprint.route("/<id:group_id>/leave", methods=["POST"])
@requires("group:join")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def leave_group(group_id: int) -> None:
    """Leave a group; what one saved in it stays with it."""
    groups.leave_group(current_actor(), group_id)


@blueprint.route("/<id:group_id>/members")
@requires("group:read")
@blueprint.arguments(schemas.MemberArguments, location="query")
@blueprint.response(200, schemas.MemberPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_members(query: dict[str, Any], group_id: int) -> Response:
    """List the current members by name, for members and staff."""
    page = groups.list_members(current_actor(), group_id, query["page"])
    return revalidated(page_body(page, schemas.render_member), "members", group_id)


@blueprint.route("/<id:group_id>/members", methods=["POST"])
@requires("group:write")
@blueprint.arguments(schemas.MembersChange)
@idempotent
@blueprint.response(200, schemas.MembersChanged)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def add_members(body: dict[str, list[int]], group_id: int) -> Response:
    """Add members: all of them, or none when one is unknown or there is no room."""
    return _changed(group_id, groups.add_members(current_actor(), group_id, body["user_ids"]))


@blueprint.route("/<id:group_id>/members/remove", methods=["POST"])
@requires("group:write")
@blueprint.arguments(schemas.MembersChange)
@idempotent
@blueprint.response(200, schemas.MembersChanged)
@blueprint.alt_response(404, "NotFound")
def remove_members(body: dict[str, list[int]], group_id: int) -> Response:
    """Remove members; what they saved in the group stays with it."""
    return _changed(group_id, groups.remove_members(current_actor(), group_id, body["user_ids"]))


def _group(group_id: int, status: int) -> Response:
    view = groups.get_group(current_actor(), group_id)
    return json_response(schemas.render_group(view), status, etag=_etag(view))


def _changed(group_id: int, user_ids: list[int]) -> Response:
    view = groups.get_group(current_actor(), group_id)
    return json_response({"user_ids": user_ids, "members": view.group.members})


def _etag(view: groups.GroupView) -> str:
    return etag_of("group", view.group.id, view.group.version)


def _expected_version(group_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    view = groups.get_group(current_actor(), group_id)
    require_match(_etag(view))
    return view.group.version
