"""Challenges over HTTP: the catalogue, completing, reviewing and revoking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response, request

from rebootcamp.schemas import challenges as schemas
from rebootcamp.schemas.goals import ResultArguments, ResultsOut, render_results
from rebootcamp.schemas.progress import render_completed
from rebootcamp.services import challenges
from rebootcamp.services.badges import badge_names, rule_teller
from rebootcamp.services.gamification.rewards import rewards_of
from rebootcamp.web.authentication import current_actor, current_caller
from rebootcamp.web.etags import etag_of, require_match, revalidated
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_response
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires
from rebootcamp.web.responses import json_response

blueprint = Blueprint("challenges", __name__, url_prefix="/api", description="Challenges, completions and their review")


@blueprint.route("/challenges")
@requires("challenge:read")
@blueprint.arguments(schemas.ChallengeArguments, location="query")
@blueprint.response(200, schemas.ChallengePage)
def list_challenges(query: dict[str, Any]) -> Response:
    """List the challenges that can be completed now."""
    page, search = query.pop("page"), query.pop("q")
    found = challenges.list_challenges(current_actor(), page, filters=query, search=search)
    return page_response(found, _renderer())


@blueprint.route("/challenges", methods=["POST"])
@requires("challenge:write")
@blueprint.arguments(schemas.ChallengeCreate)
@idempotent
@blueprint.response(201, schemas.StaffChallengeOut)
@blueprint.alt_response(409, "Conflict")
def create_challenge(body: dict[str, Any]) -> Response:
    """Add a challenge."""
    challenge = challenges.create_challenge(current_actor(), body)
    return json_response(_edited(challenge), 201, etag=_etag(challenge))


@blueprint.route("/challenges/<id:challenge_id>")
@requires("challenge:read")
@blueprint.response(200, schemas.ChallengeDetail)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_challenge(challenge_id: int) -> Response:
    """Read one challenge."""
    view = challenges.get_challenge(current_actor(), challenge_id)
    return revalidated(_detail(view), "challenge", challenge_id, view.challenge.version)


@blueprint.route("/challenges/<id:challenge_id>", methods=["PATCH"])
@requires("challenge:write")
@blueprint.arguments(schemas.ChallengePatch)
@idempotent
@blueprint.response(200, schemas.StaffChallengeOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def edit_challenge(body: dict[str, Any], challenge_id: int) -> Response:
    """Change a challenge; completions keep what they were worth."""
    challenge = challenges.update_challenge(current_actor(), challenge_id, body, _expected_version(challenge_id))
    return json_response(_edited(challenge), etag=_etag(challenge))


@blueprint.route("/challenges/<id:challenge_id>", methods=["DELETE"])
@requires("challenge:write")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(412, "StaleEdit")
def archive_challenge(challenge_id: int) -> None:
    """Archive a challenge; no history is removed."""
    challenges.archive_challenge(current_actor(), challenge_id, _expected_version(challenge_id))


@blueprint.route("/challenges/<id:challenge_id>/complete", methods=["POST"])
@requires("challenge:complete", deferred=True)
@blueprint.arguments(schemas.Completion)
@idempotent
@blueprint.response(201, schemas.CompletedOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(429, "TooManyRequests")
def complete_challenge(body: dict[str, Any], challenge_id: int) -> Response:
    """Complete a challenge, or submit it for approval."""
    return _completed(challenges.complete_challenge(current_caller(), challenge_id, **body), 201)


@blueprint.route("/challenges/<id:challenge_id>/join", methods=["POST"])
@requires("challenge:complete")
@idempotent
@blueprint.response(201, schemas.ChallengeDetail)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def join_challenge(challenge_id: int) -> Response:
    """Take part in a timed challenge; what was already done in its window counts."""
    challenges.join_challenge(current_actor(), challenge_id)
    return json_response(_detail(challenges.get_challenge(current_actor(), challenge_id)), 201)


@blueprint.route("/challenges/<id:challenge_id>/join", methods=["DELETE"])
@requires("challenge:complete")
@idempotent
@blueprint.response(204)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def leave_challenge(challenge_id: int) -> None:
    """Take part no more; what was completed stays."""
    challenges.leave_challenge(current_actor(), challenge_id)


@blueprint.route("/challenges/<id:challenge_id>/results")
@requires("challenge:read")
@blueprint.arguments(ResultArguments, location="query")
@blueprint.response(200, ResultsOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def get_results(query: dict[str, Any], challenge_id: int) -> Response:
    """Read the results of a window: provisional while it is open, fixed and hashed once it closed."""
    results = challenges.get_results(current_actor(), challenge_id, **query)
    return revalidated(render_results(results), "results", challenge_id)


@blueprint.route("/submissions")
@requires("submission:review")
@blueprint.arguments(schemas.SubmissionArguments, location="query")
@blueprint.response(200, schemas.SubmissionPage)
def list_submissions(query: dict[str, Any]) -> Response:
    """List the completions that wait for approval, oldest first."""
    page = challenges.list_submissions(current_actor(), query["page"])
    return page_response(page, lambda row: schemas.render_submission(*row, current_language()))


@blueprint.route("/submissions/<id:completion_id>/approve", methods=["POST"])
@requires("submission:review")
@idempotent
@blueprint.response(200, schemas.CompletedOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def approve_submission(completion_id: int) -> Response:
    """Approve a submission; the learner is rewarded as of the day it was done."""
    return _completed(challenges.approve_submission(current_actor(), completion_id), 200)


@blueprint.route("/submissions/<id:completion_id>/reject", methods=["POST"])
@requires("submission:review")
@blueprint.arguments(schemas.Reason)
@idempotent
@blueprint.response(200, schemas.CompletedOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def reject_submission(body: dict[str, str], completion_id: int) -> Response:
    """Reject a submission with a reason; the learner may try again."""
    return _completed(challenges.reject_submission(current_actor(), completion_id, **body), 200)


@blueprint.route("/users/<id:user_id>/completions/<id:completion_id>/revoke", methods=["POST"])
@requires("completion:revoke")
@blueprint.arguments(schemas.Reason)
@idempotent
@blueprint.response(200, schemas.CompletedOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
def revoke_completion(body: dict[str, str], user_id: int, completion_id: int) -> Response:
    """Take back a completion with everything that followed from it."""
    return _completed(challenges.revoke_completion(current_actor(), user_id, completion_id, **body), 200)


def _renderer() -> Callable[[challenges.ChallengeView], dict[str, Any]]:
    language, for_staff = current_language(), current_actor().can("challenge:write")
    return partial(schemas.render_challenge, language=language, say=rule_teller(language), for_staff=for_staff)


def _edited(challenge: Any) -> dict[str, Any]:
    return _renderer()(challenges.edited_view(current_actor(), challenge))


def _detail(view: challenges.ChallengeView) -> dict[str, Any]:
    language, for_staff = current_language(), current_actor().can("challenge:write")
    return schemas.render_detail(view, language, rule_teller(language), for_staff=for_staff)


def _completed(done: challenges.Completed, status: int) -> Response:
    rewards = rewards_of(done.recorded)
    names = badge_names(done.recorded.line.rules_version) if rewards.badges else {}
    return json_response(render_completed(done.completion, rewards, names, current_language()), status)


def _etag(challenge: Any) -> str:
    return etag_of("challenge", challenge.id, challenge.version)


def _expected_version(challenge_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    challenge = challenges.get_challenge(current_actor(), challenge_id).challenge
    require_match(_etag(challenge))
    return int(challenge.version)
