"""Leaderboards over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response

from rebootcamp.core import json
from rebootcamp.schemas import leaderboards as schemas
from rebootcamp.services import leaderboards
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, not_modified
from rebootcamp.web.paging import page_body
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("leaderboards", __name__, url_prefix="/api/leaderboards", description="Who stands where")


@blueprint.route("/<string:board>")
@requires("leaderboard:read")
@blueprint.arguments(schemas.BoardArguments, location="query")
@blueprint.response(200, schemas.BoardOut)
@blueprint.alt_response(404, "NotFound")
def list_places(query: dict[str, Any], board: str) -> Response:
    """List a board from its top."""
    page = leaderboards.list_places(board, query["period"], query["page"])
    return _revalidated({"board": board, **page_body(page, schemas.render_place)})


@blueprint.route("/<string:board>/me")
@requires("leaderboard:read")
@blueprint.arguments(schemas.PeriodArguments, location="query")
@blueprint.response(200, schemas.MyRankOut)
@blueprint.alt_response(404, "NotFound")
def get_my_rank(query: dict[str, Any], board: str) -> Response:
    """Read one's own rank and the neighbours."""
    mine = leaderboards.get_my_rank(current_actor(), board, query["period"])
    return _revalidated({"board": board, **schemas.render_my_rank(mine)})


def _revalidated(body: dict[str, Any]) -> Response:
    etag = etag_of("board", hashlib.sha256(json.dumps(body)).hexdigest()[:32])
    return not_modified(etag) or json_response(body, etag=etag)
