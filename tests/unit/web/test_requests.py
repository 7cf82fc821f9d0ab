"""Ids, traces, languages and the headers of every answer."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rebootcamp.web import logs
from rebootcamp.web.languages import negotiate
from rebootcamp.web.requests import trace_id_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("en", "en"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("fr;q=0.3, en;q=0.9", "en"),
        ("FR-ca", "fr"),
        ("de, fr;q=0.5", "fr"),
        ("de", "en"),
        ("*", "en"),
        ("fr;q=0", "en"),
        ("", "en"),
        (";;;,,q=", "en"),
        ("x" * 300, "en"),
    ],
)
def test_language_is_negotiated(header: str, language: str) -> None:
    assert negotiate(header) == language


def test_answers_name_and_vary_by_language(client: FlaskClient) -> None:
    answer = client.get("/api/things/1", headers={"Accept-Language": "fr"})
    assert answer.headers["Content-Language"] == "fr"
    assert "Accept-Language" in answer.headers["Vary"]
    assert client.get("/api/things/1").headers["Content-Language"] == "en"


@pytest.mark.parametrize("given", ["abc-123", "A.b_c:9", "x" * 128])
def test_a_sound_request_id_is_kept(client: FlaskClient, given: str) -> None:
    assert client.get("/api/things/1", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "é", "x" * 129, "a{b}", '"', "-a"])
def test_an_unsound_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/api/things/1", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", TRACE),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE[:-1]}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-1", None),
        ("", None),
        (None, None),
    ],
)
def test_traceparent_is_read_strictly(header: str | None, trace: str | None) -> None:
    assert trace_id_of(header) == trace


def test_a_problem_tells_the_trace(client: FlaskClient) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert client.get("/nowhere", headers=headers).json["trace_id"] == TRACE
    assert "trace_id" not in client.get("/nowhere").json


@pytest.mark.parametrize("path", ["/api/things/1", "/nowhere", "/api/failures/bug", "/api/openapi.json"])
def test_security_headers_are_on_every_answer(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_answers_about_sign_in_are_never_stored(client: FlaskClient) -> None:
    assert client.post("/api/auth/login").headers["Cache-Control"] == "no-store"


@pytest.fixture
def quiet_again() -> object:
    yield
    logs.configure("WARNING", "json")


@pytest.mark.usefixtures("quiet_again")
def test_each_request_is_one_json_line(edge: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    headers = {"X-Request-Id": "req-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    edge.test_client().get("/api/things/7", headers=headers)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["event"] == "request"
    assert (told["method"], told["rule"], told["status"]) == ("GET", "/api/things/<id:thing_id>", 200)
    assert (told["request_id"], told["trace_id"]) == ("req-1", TRACE)
    assert told["ms"] >= 0


@pytest.mark.usefixtures("quiet_again")
def test_no_line_is_written_above_info(edge: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING", "json")
    edge.test_client().get("/api/things/7")
    assert capsys.readouterr().err == ""
