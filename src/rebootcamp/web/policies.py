"""Every route says who may call it; one that does not stops the start-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from rebootcamp.core.errors import DatabaseUnavailable, DomainError, Forbidden, Unauthenticated
from rebootcamp.core.permissions import ALL_PERMISSIONS
from rebootcamp.web import authentication
from rebootcamp.web.requests import note_user

View = TypeVar("View", bound=Callable[..., Any])


class UndeclaredPolicy(Exception):
    """A route was registered without `requires(...)` or `public`."""


@dataclass(frozen=True)
class Policy:
    """Who may call a view: everybody, or signed-in users who hold the permission (None: any of them).

    `or_key` names the query parameter whose key lets a stranger in, where the view finds it good.
    """

    is_public: bool
    permission: str | None = None
    is_deferred: bool = False
    or_key: str | None = None

    def enforce(self) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless the running request fits."""
        if self.is_public or (self.or_key is not None and self.or_key in request.args):
            return
        note_user(authentication.identify(self.permission).user_id)
        if not self.is_deferred:
            self.settle()

    def settle(self) -> None:
        """Like `enforce`, and decide at once where that was deferred and has not happened yet."""
        if not self.is_public:
            authentication.settle()


PUBLIC = Policy(is_public=True)


def public(view: View) -> View:
    """Let everybody call the view."""
    return _marked(view, PUBLIC)


def requires(
    permission: str | None, *, deferred: bool = False, or_key: str | None = None
) -> Callable[[View], Callable[..., Any]]:
    """Let only signed-in users who hold the permission call the view; None: any signed-in user.

    `deferred` verifies the token alone: the service's own statement reads the caller's row and decides. What the
    view refuses before that, it refuses only to those who may call it. `or_key` names a query parameter: whoever
    sends one needs no token, and the view judges the key.
    """
    if permission is not None and permission not in ALL_PERMISSIONS:
        raise ValueError(f"unknown permission {permission!r}")
    policy = Policy(is_public=False, permission=permission, is_deferred=deferred, or_key=or_key)

    def decorate(view: View) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            policy.enforce()
            if not deferred:
                return view(*args, **kwargs)
            try:
                return view(*args, **kwargs)
            except (Unauthenticated, Forbidden, DatabaseUnavailable):
                raise
            except (DomainError, HTTPException):
                policy.settle()
                raise

        return _marked(guarded, policy)

    return decorate


def policy_of(view: Callable[..., Any]) -> Policy | None:
    """Return the policy that the view declares."""
    return getattr(view, "__policy__", None)


def verify_policies(app: Flask) -> None:
    """Raise `UndeclaredPolicy` for the first route that does not say who may call it."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and policy_of(app.view_functions[rule.endpoint]) is None:
            raise UndeclaredPolicy(f"{rule.rule} declares neither requires(...) nor public")


def _marked(view: View, policy: Policy) -> View:
    view.__policy__ = policy  # type: ignore[attr-defined]
    view._apidoc = {**getattr(view, "_apidoc", {}), "policy": policy}  # type: ignore[attr-defined]
    return view
