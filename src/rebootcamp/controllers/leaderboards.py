"""Leaderboards over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response

from rebootcamp.schemas import leaderboards as schemas
from rebootcamp.services import leaderboards
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import revalidated
from rebootcamp.web.paging import page_body
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires

blueprint = Blueprint("leaderboards", __name__, url_prefix="/api/leaderboards", description="Who stands where")


@blueprint.route("/<string:board>")
@requires("leaderboard:read")
@blueprint.arguments(schemas.BoardArguments, location="query")
@blueprint.response(200, schemas.BoardOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_places(query: dict[str, Any], board: str) -> Response:
    """List a board from its top."""
    page = leaderboards.list_places(board, query["period"], query["page"])
    return revalidated({"board": board, **page_body(page, schemas.render_place)}, "board")


@blueprint.route("/<string:board>/me")
@requires("leaderboard:read")
@blueprint.arguments(schemas.PeriodArguments, location="query")
@blueprint.response(200, schemas.MyRankOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_my_rank(query: dict[str, Any], board: str) -> Response:
    """Read one's own rank and the neighbours."""
    mine = leaderboards.get_my_rank(current_actor(), board, query["period"])
    return revalidated({"board": board, **schemas.render_my_rank(mine)}, "board")
