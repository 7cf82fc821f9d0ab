"""Badges over HTTP: the catalogue, its edits, and awards by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request

from rebootcamp.schemas import badges as schemas
from rebootcamp.schemas.base import PageArguments
from rebootcamp.schemas.progress import AwardOut, render_award
from rebootcamp.services import badges, progress
from rebootcamp.services.gamification.rules import normalise
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_body, page_response
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("badges", __name__, url_prefix="/api", description="Badges, their rules and awards by hand")


@blueprint.route("/badges")
@requires("badge:read")
@blueprint.arguments(schemas.BadgeArguments, location="query")
@blueprint.response(200, schemas.BadgePage)
@blueprint.alt_response(304, "NotModified")
def list_badges(query: dict[str, Any]) -> Response:
    """List the active badges with the caller's advance towards each."""
    page = badges.list_badges(current_actor(), query["page"], tier=query["tier"])
    return revalidated(page_body(page, _renderer()), "badges")


@blueprint.route("/badges", methods=["POST"])
@requires("badge:write")
@blueprint.arguments(schemas.BadgeCreate)
@idempotent
@blueprint.response(201, schemas.BadgeOut)
@blueprint.alt_response(409, "Conflict")
def create_badge(body: dict[str, Any]) -> Response:
    """Add a badge; a back-fill gives it to everybody who already meets its rule."""
    badge = badges.create_badge(current_actor(), body)
    return _badge(badge.code, 201)


@blueprint.route("/badges/<string:code>")
@requires("badge:read")
@blueprint.response(200, schemas.BadgeOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_badge(code: str) -> Response:
    """Read one badge."""
    view = badges.get_badge(current_actor(), code)
    return revalidated(_renderer()(view), "badge", code, view.row["version"])


@blueprint.route("/badges/<string:code>", methods=["PATCH"])
@requires("badge:write")
@blueprint.arguments(schemas.BadgePatch)
@idempotent
@blueprint.response(200, schemas.BadgeOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(412, "StaleEdit")
def edit_badge(body: dict[str, Any], code: str) -> Response:
    """Change a badge; who holds it keeps it, unless `holders` is `reevaluate` and the new rule refuses them."""
    holders = body.pop("holders")
    badges.update_badge(current_actor(), code, body, _expected_version(code), holders=holders)
    return _badge(code, 200)


@blueprint.route("/badges/preview", methods=["POST"])
@requires("badge:write")
@blueprint.arguments(schemas.BadgeTrial)
@idempotent
@blueprint.response(200, schemas.PreviewOut)
@blueprint.alt_response(404, "NotFound")
def preview_badge(body: dict[str, Any]) -> Response:
    """Try criteria on all learners: who would gain or lose the badge; nothing changes."""
    preview = badges.preview_badge(current_actor(), body["criteria"], body["code"])
    words = badges.say_rule(normalise(body["criteria"]), current_language())
    return json_response(schemas.render_preview(preview, words))


@blueprint.route("/badges/<string:code>/rules")
@requires("badge:write")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, schemas.RulePage)
@blueprint.alt_response(404, "NotFound")
def list_rules(query: dict[str, Any], code: str) -> Response:
    """List every rule that a badge had, newest first."""
    found, say = badges.list_rules(current_actor(), code, query["page"]), badges.rule_teller(current_language())
    return page_response(found, lambda rule: schemas.render_rule(rule, say(rule.criteria)))


@blueprint.route("/badges/<string:code>/backfill")
@requires("badge:write")
@blueprint.response(200, schemas.BackfillOut)
@blueprint.alt_response(404, "NotFound")
def get_backfill(code: str) -> Response:
    """Tell how far the newest back-fill of a badge is."""
    return json_response(schemas.render_backfill(badges.get_backfill(current_actor(), code)))


@blueprint.route("/rules/lint")
@requires("badge:write")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, schemas.FindingPage)
def lint_rules(query: dict[str, Any]) -> Response:
    """List what is wrong or odd with badges, levels and challenges, errors first."""
    found, language = badges.lint_rules(current_actor(), query["page"]), current_language()
    return page_response(found, lambda finding: schemas.render_finding(finding, language))


@blueprint.route("/users/<id:user_id>/badges", methods=["POST"])
@requires("badge:write")
@blueprint.arguments(schemas.ManualAward)
@idempotent
@blueprint.response(201, AwardOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def award_badge(body: dict[str, Any], user_id: int) -> Response:
    """Give a badge by hand, with the reason and, if there is any, further evidence."""
    code = body.pop("code")
    badges.award_badge(current_actor(), user_id, code, **body)
    return _award(user_id, code, 201)


@blueprint.route("/users/<id:user_id>/badges/<string:code>/revoke", methods=["POST"])
@requires("badge:write")
@blueprint.arguments(schemas.AwardRevocation)
@idempotent
@blueprint.response(200, AwardOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def revoke_badge(body: dict[str, str], user_id: int, code: str) -> Response:
    """Take a badge back, with the points it gave."""
    badges.revoke_badge(current_actor(), user_id, code, reason=body["reason"])
    return _award(user_id, code, 200)


def _badge(code: str, status: int) -> Response:
    view = badges.get_badge(current_actor(), code)
    return json_response(_renderer()(view), status, etag=etag_of("badge", code, view.row["version"]))


def _renderer() -> Callable[[badges.BadgeView], dict[str, Any]]:
    language = current_language()
    say = badges.rule_teller(language)
    return lambda view: schemas.render_badge(view, say(view.row["criteria"]), language)


def _award(user_id: int, code: str, status: int) -> Response:
    award = progress.get_award(user_id, code)
    labels, language = badges.current_labels(), current_language()
    why = badges.why_award(award, labels, language)
    return json_response(render_award(award, labels.names, why, language), status)


def _expected_version(code: str) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    row = badges.get_badge(current_actor(), code).row
    require_match(etag_of("badge", code, row["version"]))
    return int(row["version"])
