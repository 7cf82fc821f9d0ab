"""A route says who may call it."""

from __future__ import annotations

import pytest
from flask import Flask, Response

from rebootcamp.web.policies import UndeclaredPolicy, policy_of, public, requires, verify_policies


def test_a_route_without_policy_stops_the_start(edge: Flask) -> None:
    verify_policies(edge)
    edge.add_url_rule("/forgotten", view_func=lambda: "")
    with pytest.raises(UndeclaredPolicy, match="/forgotten"):
        verify_policies(edge)


def test_a_misspelt_permission_stops_the_import() -> None:
    with pytest.raises(ValueError, match="challenge:reed"):
        requires("challenge:reed")


def test_the_policy_survives_other_decorators() -> None:
    @requires("challenge:read", deferred=True)
    def view() -> Response:
        raise AssertionError

    policy = policy_of(view)
    assert policy is not None
    assert (policy.permission, policy.is_deferred, policy.is_public) == ("challenge:read", True, False)
    assert policy_of(public(lambda: "")).is_public
