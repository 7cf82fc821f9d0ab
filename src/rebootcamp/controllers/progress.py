"""Progress, history, awards and score over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response

from rebootcamp.core.errors import NotFound
from rebootcamp.schemas import progress as schemas
from rebootcamp.schemas import streaks
from rebootcamp.services import progress
from rebootcamp.services.badges import badge_names, current_badge_names, current_labels, why_award
from rebootcamp.web.authentication import current_actor, current_caller
from rebootcamp.web.etags import etag_of, is_conditional, not_modified
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_body, page_response
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("progress", __name__, url_prefix="/api/users", description="Progress, history, awards and score")


@blueprint.route("/<id:user_id>/progress")
@requires(None, deferred=True)
@blueprint.response(200, schemas.ProgressOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_progress(user_id: int) -> Response:
    """Read a learner's progress: one's own, or anybody's for staff."""
    # The hottest read: the caller's row comes with the learner's, in the same statement.
    caller = current_caller()
    if is_conditional():
        row = progress.get_progress_version(caller.user_id, user_id)
        caller.confirmed(row).require_self_or("progress:read_any", user_id)
        # Without a line there is nothing to revalidate, not even for `If-None-Match: *`.
        has_line = row is not None and row["last_seq"] is not None
        if has_line and (unchanged := not_modified(_progress_etag(row))):
            return unchanged
    found = progress.get_progress(caller.user_id, user_id)
    caller.confirmed(found.row if found else None).require_self_or("progress:read_any", user_id)
    if found is None or found.row["last_seq"] is None:
        raise NotFound("user")
    body = schemas.render_progress(found, badge_names(found.row["rules_version"]), current_language())
    # What MongoDB could not confirm is right now, and not worth revalidating later.
    return json_response(body, etag=None if found.is_degraded else _progress_etag(found.row))


@blueprint.route("/<id:user_id>/history")
@requires(None)
@blueprint.arguments(schemas.HistoryArguments, location="query")
@blueprint.response(200, schemas.HistoryPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_history(query: dict[str, Any], user_id: int) -> Response:
    """List a learner's events, newest first."""
    etag = _line_etag("history", user_id, query)
    if unchanged := not_modified(etag):
        return unchanged
    found = progress.list_history(current_actor(), user_id, query["page"], event_type=query["type"])
    names, language = current_badge_names(), current_language()
    body = page_body(found.page, lambda event: schemas.render_event(event, event["_id"], names, language))
    return json_response(body, etag=None if found.is_degraded else etag)


@blueprint.route("/<id:user_id>/badges")
@requires(None)
@blueprint.arguments(schemas.AwardArguments, location="query")
@blueprint.response(200, schemas.AwardPage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_awards(query: dict[str, Any], user_id: int) -> Response:
    """List a learner's awards, newest first."""
    etag = _line_etag("awards", user_id, query)
    if unchanged := not_modified(etag):
        return unchanged
    found = progress.list_awards(current_actor(), user_id, query["page"], state=query["state"])
    labels, language = current_labels(), current_language()
    body = page_body(
        found.page,
        lambda award: schemas.render_award(award, labels.names, why_award(award, labels, language), language),
    )
    return json_response(body, etag=None if found.is_degraded else etag)


@blueprint.route("/<id:user_id>/score")
@requires(None)
@blueprint.arguments(schemas.ScoreArguments, location="query")
@blueprint.response(200, schemas.ScorePage)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def list_score(query: dict[str, Any], user_id: int) -> Response:
    """List why the score is what it is; over all pages the points sum to it."""
    etag = _line_etag("score", user_id, query)
    if unchanged := not_modified(etag):
        return unchanged
    found = progress.list_score(current_actor(), user_id, query["page"])
    names, language = current_badge_names(), current_language()
    return page_response(found, lambda item: schemas.render_score_item(item, names, language), etag)


@blueprint.route("/<id:user_id>/streak")
@requires(None)
@blueprint.response(200, streaks.StreakOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_streak(user_id: int) -> Response:
    """Read how a learner's streak stands and why: one's own, or anybody's for staff."""
    row, language = progress.get_streak_row(current_actor(), user_id), current_language()
    etag = etag_of("streak", user_id, *progress.streak_versions_of(row), language)
    if unchanged := not_modified(etag):
        return unchanged
    return json_response(streaks.render_streak(progress.streak_of(row), language), etag=etag)


@blueprint.route("/me/freezes", methods=["POST"])
@requires("challenge:complete")
@blueprint.arguments(streaks.ProtectedDay)
@idempotent
@blueprint.response(201, streaks.StreakOut)
@blueprint.alt_response(409, "Conflict")
def place_freeze(body: dict[str, Any]) -> Response:
    """Protect today or a day to come with a freeze of one's bank."""
    return _streak(progress.place_freeze(current_actor(), body["on"]))


@blueprint.route("/me/freezes/<string:on>", methods=["DELETE"])
@requires("challenge:complete")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def cancel_freeze(on: str) -> None:
    """Take a freeze back before its day."""
    progress.cancel_freeze(current_actor(), on)


@blueprint.route("/me/repairs", methods=["POST"])
@requires("challenge:complete")
@blueprint.arguments(streaks.ProtectedDay)
@idempotent
@blueprint.response(201, streaks.StreakOut)
@blueprint.alt_response(409, "Conflict")
def repair_streak(body: dict[str, Any]) -> Response:
    """Mend a day missed lately, when that mends the streak."""
    return _streak(progress.repair_streak(current_actor(), body["on"]))


def _streak(view: progress.StreakView) -> Response:
    return json_response(streaks.render_streak(view, current_language()), 201)


def _progress_etag(row: Any) -> str:
    versions = *progress.versions_of(row), row["published_set"]
    return etag_of("progress", row["user_id"], *versions, progress.local_date_of(row), current_language())


def _line_etag(kind: str, user_id: int, query: dict[str, Any]) -> str:
    page = query["page"]
    filters = query.get("type") or query.get("state")
    versions = progress.get_list_version(current_actor(), user_id)
    return etag_of(kind, user_id, *versions, page.limit, page.cursor, filters, current_language())
