"""Every route says who may call it, and the documentation says the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from flask import Flask

from rebootcamp.core.permissions import ALL_PERMISSIONS, PERMISSIONS
from rebootcamp.web.policies import Policy, policy_of
from tests.controllers.wire import Wire, assert_problem
from tests.factories import PASSWORD

PUBLIC = {
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/logout"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/api/docs/{name}"),
}
BY_KEY = {("GET", f"/api/users/{{user_id}}/{name}") for name in ("progress.svg", "activity.svg", "workshops.ics")}
UNDOCUMENTED = {"/api/openapi.json", "/api/docs", "/api/docs/{name}"}


def routes(app: Flask) -> Iterator[tuple[str, str, Policy | None]]:
    """Yield method, documented path and policy of everything that the application answers."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, path, policy_of(app.view_functions[rule.endpoint])


def test_every_route_declares_its_policy(app: Flask) -> None:
    found = list(routes(app))
    assert len(found) > 30
    assert [route for route in found if route[2] is None] == []
    assert {(method, path) for method, path, policy in found if policy and policy.is_public} == PUBLIC
    assert {(method, path) for method, path, policy in found if policy and policy.or_key} == BY_KEY


def test_every_route_is_documented_and_nothing_else_is(app: Flask, wire: Wire) -> None:
    documented = {(method.upper(), path) for path, method, _ in wire.operations()}
    assert documented == {(method, path) for method, path, _ in routes(app) if path not in UNDOCUMENTED}


def test_the_documentation_tells_who_may_call(app: Flask, wire: Wire) -> None:
    policies = {(method, path): policy for method, path, policy in routes(app)}
    for path, method, operation in wire.operations():
        policy = policies[method.upper(), path]
        assert policy is not None
        by_key = [{"shareKey": []}] if policy.or_key else []
        assert operation["security"] == ([] if policy.is_public else [{"bearer": []}, *by_key])
        assert operation.get("x-permission") == policy.permission
        assert "401" in operation["responses"] or policy.is_public
        assert "403" in operation["responses"] or policy.permission is None


def test_every_permission_is_held_by_somebody_and_asked_by_something(app: Flask) -> None:
    asked = {policy.permission for _, _, policy in routes(app) if policy and policy.permission}
    # These open other people's data inside use cases that are open to everybody for their own.
    assert asked | {"progress:read_any", "group:read_any", "group:write_any", "workshop:write_any"} == ALL_PERMISSIONS
    for role, held in PERMISSIONS.items():
        assert PERMISSIONS["student"] <= held <= PERMISSIONS["admin"], role


@pytest.mark.parametrize("role", PERMISSIONS)
def test_each_role_reaches_what_it_holds_and_nothing_else(wire: Wire, role: str) -> None:
    who = wire.join(role)
    for path, method, operation in wire.operations():
        permission = operation.get("x-permission")
        if permission is None:
            continue
        address = re.sub(r"\{\w+\}", "999999", path)
        answer = wire.open(method, address, who, json={"unknown": 1} if method != "get" else None)
        is_forbidden = answer.status_code == HTTPStatus.FORBIDDEN
        assert is_forbidden == (permission not in PERMISSIONS[role]), (role, operation["operationId"])


def test_no_route_answers_a_stranger_by_another_way_of_asking(wire: Wire) -> None:
    token = wire.token(wire.join(password=PASSWORD).email)
    for path, method, operation in wire.operations():
        if not operation["security"]:
            continue
        address = re.sub(r"\{\w+\}", "1", path)
        for query, headers in (
            (f"?access_token={token}", {}),
            (f"?jwt={token}", {}),
            ("", {"Cookie": f"access_token_cookie={token}; access_token={token}"}),
            ("", {"X-Authorization": f"Bearer {token}"}),
            ("", {"Authorization": token}),
            ("", {"Authorization": f"Basic {token}"}),
        ):
            assert_problem(wire.open(method, address + query, headers=headers), 401, "unauthenticated")
        if method == "get":
            assert wire.open("HEAD", address).status_code == HTTPStatus.UNAUTHORIZED
