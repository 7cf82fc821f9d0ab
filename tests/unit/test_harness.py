"""The tests' own tools: what they promise the tests."""

from __future__ import annotations

from flask import Flask, appcontext_pushed, g
from flask.testing import FlaskClient


def test_each_request_has_a_context_of_its_own(app: Flask, client: FlaskClient) -> None:
    g.mine = "of the test"
    seen: list[bool] = []
    with appcontext_pushed.connected_to(lambda *_, **__: seen.append("mine" in g), app):
        for _ in range(2):
            assert client.get("/livez").status_code == 200
    assert seen == [False, False]
