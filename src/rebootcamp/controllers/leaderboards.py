"""Leaderboards over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.schemas import leaderboards as schemas
from rebootcamp.schemas.base import PageArguments
from rebootcamp.services import leaderboards
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, not_modified, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_body
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("leaderboards", __name__, url_prefix="/api/leaderboards", description="Who stands where")


@blueprint.route("/<string:board>")
@requires("leaderboard:read")
@blueprint.arguments(schemas.BoardArguments, location="query")
@blueprint.response(200, schemas.BoardOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_places(query: dict[str, Any], board: str) -> Response:
    """List a board from its top, or around the caller; students see the places around their own unless it is opened."""
    actor = current_actor()
    found = leaderboards.find_board(actor, board, query["period"])
    standings = leaderboards.list_places(actor, found, query["page"], is_around_me=query["around"] == "me")
    body = {**schemas.render_board(found), "view": standings.view, **page_body(standings.page, schemas.render_place)}
    return revalidated(body, "board")


@blueprint.route("/<string:board>/me")
@requires("leaderboard:read")
@blueprint.arguments(schemas.PeriodArguments, location="query")
@blueprint.response(200, schemas.MyRankOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_my_rank(query: dict[str, Any], board: str) -> Response:
    """Read one's own rank, the neighbours, and why."""
    actor = current_actor()
    mine = leaderboards.get_my_rank(actor, leaderboards.find_board(actor, board, query["period"]))
    return revalidated(schemas.render_my_rank(mine, current_language()), "board")


@blueprint.route("/settings")
@requires("leaderboard:read")
@blueprint.response(200, schemas.SettingsOut)
@blueprint.alt_response(304, "NotModified")
def get_board_settings() -> Response:
    """Read what students see of the boards."""
    return _settings(leaderboards.get_settings())


@blueprint.route("/settings", methods=["PATCH"])
@requires("leaderboard:configure")
@blueprint.arguments(schemas.SettingsPatch)
@idempotent
@blueprint.response(200, schemas.SettingsOut)
@blueprint.alt_response(412, "StaleEdit")
def edit_board_settings(body: dict[str, str]) -> Response:
    """Choose what students see of the boards."""
    return _settings(leaderboards.edit_settings(current_actor(), body["students_see"], _expected_version()))


@blueprint.route("/<string:board>/freeze", methods=["POST"])
@requires("leaderboard:freeze")
@blueprint.arguments(schemas.Freeze)
@idempotent
@blueprint.response(201, schemas.SnapshotOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def freeze_board(body: dict[str, str], board: str) -> Response:
    """Publish the board of a closed period, for ever, with a hash that anyone can make again."""
    actor = current_actor()
    snapshot = leaderboards.freeze_board(actor, leaderboards.find_open_board(actor, board, body["period"]))
    return json_response(schemas.render_snapshot(snapshot), 201)


@blueprint.route("/<string:board>/snapshots")
@requires("leaderboard:read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, schemas.SnapshotPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_snapshots(query: dict[str, Any], board: str) -> Response:
    """List what was published of a board, newest first."""
    found = leaderboards.find_open_board(current_actor(), board, None)
    page = leaderboards.list_snapshots(found.name, query["page"])
    return revalidated(page_body(page, schemas.render_snapshot), "snapshots")


@blueprint.route("/<string:board>/snapshots/<id:snapshot_id>")
@requires("leaderboard:read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, schemas.SnapshotPlacesOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_snapshot(query: dict[str, Any], board: str, snapshot_id: int) -> Response:
    """Read a published board, or the places around one's own; the hash is of all its pages together."""
    snapshot = leaderboards.get_snapshot(board, snapshot_id)
    found = leaderboards.list_snapshot_places(current_actor(), snapshot, query["page"])
    body = {"view": found.view, **page_body(found.page, schemas.render_place)}
    return revalidated({**schemas.render_snapshot(snapshot), **body}, "snapshot")


def _settings(found: leaderboards.BoardSettings) -> Response:
    etag = _etag(found)
    if request.method == "GET" and (unchanged := not_modified(etag)):
        return unchanged
    return json_response({"students_see": found.students_see}, etag=etag)


def _etag(found: leaderboards.BoardSettings) -> str:
    return etag_of("board-settings", found.version)


def _expected_version() -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    found = leaderboards.get_settings()
    require_match(_etag(found))
    return found.version
