"""Pictures and the links that share them over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response

from rebootcamp.core.errors import NotFound
from rebootcamp.core.pictures import CALENDAR, CARD
from rebootcamp.schemas import pictures as schemas
from rebootcamp.services import pictures, progress
from rebootcamp.services.badges import badge_icons, badge_names
from rebootcamp.web.authentication import current_actor, current_caller
from rebootcamp.web.etags import etag_of
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import choose_language, current_language
from rebootcamp.web.paging import page_response
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.pictures import SVG_TYPE, picture_response, unchanged_picture
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("pictures", __name__, url_prefix="/api/users", description="Progress as pictures, and sharing it")

# Another drawing of the same figures is another representation: count on when the pictures change.
DRAWING = 1
IMAGE = {"type": "string", "description": "An SVG document."}


@blueprint.route("/<id:user_id>/progress.svg")
@requires(None, deferred=True, or_key=schemas.KEY_PARAMETER)
@blueprint.arguments(schemas.CardArguments, location="query")
@blueprint.response(200, IMAGE, content_type=SVG_TYPE)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_progress_picture(query: dict[str, Any], user_id: int) -> Response:
    """Draw a learner's card: for oneself, for staff, or for whoever has the key of a share link."""
    choose_language(query["lang"])
    row, language = _admitted(CARD, user_id, query["key"]), current_language()
    etag = _etag(CARD, row, query)
    if unchanged := unchanged_picture(etag, query["key"]):
        return unchanged
    found = progress.get_progress(user_id, user_id)
    if found is None:
        raise NotFound("picture")
    version = found.row["rules_version"]
    card = schemas.card_of(found, badge_names(version), badge_icons(version), language)
    return picture_response(schemas.render_card(card, schemas.Look(query["theme"], language)), etag, query["key"])


@blueprint.route("/<id:user_id>/activity.svg")
@requires(None, deferred=True, or_key=schemas.KEY_PARAMETER)
@blueprint.arguments(schemas.CalendarArguments, location="query")
@blueprint.response(200, IMAGE, content_type=SVG_TYPE)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_activity_picture(query: dict[str, Any], user_id: int) -> Response:
    """Draw a learner's year: for oneself, for staff, or for whoever has the key of a share link."""
    choose_language(query["lang"])
    row, language, year = _admitted(CALENDAR, user_id, query["key"]), current_language(), query["year"]
    etag = _etag(CALENDAR, row, query)
    if unchanged := unchanged_picture(etag, query["key"]):
        return unchanged
    activity = progress.get_activity(user_id, progress.local_date_of(row), year)
    calendar = schemas.calendar_of(row, activity, year)
    svg = schemas.render_calendar(calendar, schemas.Look(query["theme"], language))
    return picture_response(svg, etag, query["key"])


@blueprint.route("/me/share-links", methods=["POST"])
@requires("profile:edit")
@blueprint.arguments(schemas.ShareLinkCreate)
@idempotent
@blueprint.response(201, schemas.SharedLinkOut)
@blueprint.alt_response(409, "Conflict")
def create_share_link(body: dict[str, Any]) -> Response:
    """Share pictures of one's own progress; the key is shown this once."""
    shared = pictures.create_share_link(current_actor(), pictures.NewShareLink(**body))
    return json_response(schemas.render_shared_link(shared), 201)


@blueprint.route("/me/share-links")
@requires(None)
@blueprint.arguments(schemas.ShareLinkArguments, location="query")
@blueprint.response(200, schemas.ShareLinkPage)
def list_share_links(query: dict[str, Any]) -> Response:
    """List one's own live links, newest first."""
    return page_response(pictures.list_share_links(current_actor(), query["page"]), schemas.render_share_link)


@blueprint.route("/me/share-links/<id:link_id>", methods=["DELETE"])
@requires("profile:edit")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
def revoke_share_link(link_id: int) -> None:
    """Revoke one of one's own links: from now on its key opens nothing."""
    pictures.revoke_share_link(current_actor(), link_id)


def _admitted(picture: str, user_id: int, key: str | None) -> Any:
    """Return the learner's version row to whoever may see the picture, in one statement; raise `NotFound`."""
    if key is not None:
        return pictures.get_shared_version(user_id, picture, key)
    caller = current_caller()
    row = progress.get_progress_version(caller.user_id, user_id)
    caller.confirmed(row).require_self_or("progress:read_any", user_id)
    if row is None or row["last_seq"] is None:
        raise NotFound("user")
    return row


def _etag(picture: str, row: Any, query: dict[str, Any]) -> str:
    look = query["theme"], current_language(), query.get("year")
    return etag_of(picture, DRAWING, row["user_id"], *progress.versions_of(row), progress.local_date_of(row), *look)
