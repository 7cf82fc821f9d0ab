"""Accounts over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from rebootcamp.schemas import accounts as schemas
from rebootcamp.services import accounts, tokens
from rebootcamp.web.authentication import current_actor, issue_tokens
from rebootcamp.web.etags import etag_of, not_modified, require_match
from rebootcamp.web.idempotency import idempotent
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import public, requires

blueprint = Blueprint("accounts", __name__, url_prefix="/api", description="Joining, signing in, profiles and roles")

Answer = tuple[Any, int, dict[str, str]]


@blueprint.route("/auth/register", methods=["POST"])
@public
@blueprint.arguments(schemas.AccountCreate)
@idempotent
@blueprint.response(201, schemas.UserOut)
@blueprint.alt_response(409, "Conflict")
def register(body: dict[str, Any]) -> Any:
    """Join as a learner."""
    return accounts.register(accounts.NewAccount(**body))


@blueprint.route("/auth/login", methods=["POST"])
@public
@blueprint.arguments(schemas.Credentials)
@blueprint.response(200, schemas.TokensOut)
@blueprint.alt_response(401, "Unauthenticated")
@blueprint.alt_response(403, "Forbidden")
def login(body: dict[str, str]) -> Any:
    """Exchange e-mail address and password for an access and a refresh token."""
    return _tokens(tokens.sign_in(body["email"], body["password"]))


@blueprint.route("/auth/refresh", methods=["POST"])
@public
@blueprint.arguments(schemas.RefreshTokenBody)
@blueprint.response(200, schemas.TokensOut)
@blueprint.alt_response(401, "Unauthenticated")
@blueprint.alt_response(403, "Forbidden")
def refresh(body: dict[str, str]) -> Any:
    """Exchange a refresh token for a new pair; a second use closes the sign-in."""
    return _tokens(tokens.refresh(body["refresh_token"]))


@blueprint.route("/auth/logout", methods=["POST"])
@public
@blueprint.arguments(schemas.RefreshTokenBody)
@blueprint.response(204)
def logout(body: dict[str, str]) -> None:
    """Close the sign-in that the refresh token belongs to."""
    tokens.sign_out(body["refresh_token"])


@blueprint.route("/users/me")
@requires(None)
@blueprint.response(200, schemas.UserOut)
@blueprint.alt_response(304, "NotModified")
def get_me() -> Answer | Response:
    """Read one's own account."""
    return _revalidated(accounts.get_account(current_actor(), current_actor().user_id))


@blueprint.route("/users/me", methods=["PATCH"])
@requires("profile:edit")
@blueprint.arguments(schemas.ProfilePatch)
@idempotent
@blueprint.response(200, schemas.UserOut)
@blueprint.alt_response(412, "StaleEdit")
def edit_me(body: dict[str, Any]) -> Answer:
    """Change one's own names, language, time zone, nickname, or whether leaderboards list one."""
    actor = current_actor()
    return _tagged(accounts.edit_profile(actor, body, _expected_version(actor.user_id)))


@blueprint.route("/users")
@requires("user:read_any")
@blueprint.arguments(schemas.AccountArguments, location="query")
@blueprint.response(200, schemas.UserPage)
def list_users(query: dict[str, Any]) -> Any:
    """List accounts, for administrators."""
    page = query.pop("page")
    return accounts.list_accounts(current_actor(), accounts.AccountFilter(**query), page)


@blueprint.route("/users/<id:user_id>")
@requires(None)
@blueprint.response(200, schemas.UserOut)
@blueprint.alt_response(304, "NotModified")
@blueprint.alt_response(404, "NotFound")
def get_user(user_id: int) -> Answer | Response:
    """Read an account: one's own, or any for administrators."""
    return _revalidated(accounts.get_account(current_actor(), user_id))


@blueprint.route("/users/<id:user_id>", methods=["PATCH"])
@requires("user:write")
@blueprint.arguments(schemas.AccountPatch)
@idempotent
@blueprint.response(200, schemas.UserOut)
@blueprint.alt_response(404, "NotFound")
@blueprint.alt_response(409, "Conflict")
@blueprint.alt_response(412, "StaleEdit")
def edit_user(body: dict[str, Any], user_id: int) -> Answer:
    """Change a role or the activation; the account's access tokens end at once."""
    changes = accounts.AccountChanges(**body)
    return _tagged(accounts.edit_account(current_actor(), user_id, changes, _expected_version(user_id)))


def _tokens(signed_in: tokens.SignedIn) -> dict[str, Any]:
    return {**vars(issue_tokens(signed_in)), "user": signed_in.user}


def _etag(user: Any) -> str:
    return etag_of("user", user.id, user.version)


def _tagged(user: Any) -> Answer:
    return user, 200, {"ETag": _etag(user)}


def _revalidated(user: Any) -> Answer | Response:
    return not_modified(_etag(user)) or _tagged(user)


def _expected_version(user_id: int) -> int | None:
    """Return the version that If-Match names; the service compares it again under the lock."""
    if "If-Match" not in request.headers:
        return None
    user = accounts.get_account(current_actor(), user_id)
    require_match(_etag(user))
    return user.version
