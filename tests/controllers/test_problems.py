"""What surrounds every answer over HTTP: problems in two languages, headers, origins, proxies."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import make_challenge

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def test_an_unknown_address_is_a_problem(wire: Wire, ada: Person) -> None:
    for path in ("/", "/api", "/api/nothing", "/api/challenges/", "/api/challenges/x", "/api/users/0/progress"):
        assert_problem(wire.get(path, ada), 404, "not_found")
    assert_problem(wire.get("/api/challenges/%00", ada), 422, "validation_failed")


def test_a_wrong_method_names_the_right_ones(wire: Wire, ada: Person) -> None:
    for method, path, allowed in [
        ("DELETE", "/api/challenges", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", "/api/challenges/1", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("GET", "/api/challenges/1/complete", {"OPTIONS", "POST"}),
        ("POST", f"{ada.path}/progress", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", "/livez", {"GET", "HEAD", "OPTIONS"}),
    ]:
        answer = wire.open(method, path, ada)
        assert_problem(answer, 405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == allowed


def test_only_json_is_read(wire: Wire, ada: Person) -> None:
    path, body = f"/api/challenges/{make_challenge().id}/complete", '{"answer": "x"}'
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=latin-1",
        "application/jsonp",
        "application/problem+json",
        "json",
        None,
    ):
        answer = wire.post(path, ada, data=body, content_type=media_type)
        assert_problem(answer, 415, "unsupported_media_type")
    assert wire.post(path, ada, data=body, content_type="application/json; charset=UTF-8").status_code == 201


def test_a_large_body_is_refused(wire: Wire, ada: Person) -> None:
    limit = wire.app.config["REBOOTCAMP"].max_body_bytes
    path = f"/api/challenges/{make_challenge().id}/complete"
    for size in (limit + 1, 10 * 1024 * 1024):
        body = b'{"answer": "' + b"x" * (size - 14) + b'"}'
        assert len(body) == size
        assert_problem(wire.post(path, ada, data=body, content_type="application/json"), 413, "body_too_large")
    largest = b'{"answer": "' + b"x" * (limit - 14) + b'"}'
    assert_problem(wire.post(path, ada, data=largest, content_type="application/json"), 422, "validation_failed")


def test_what_is_not_json_is_told_apart_from_what_does_not_fit(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}/complete"
    for body in (b"{", b"{'a': 1}", b'{"answer": NaN}', b'{"answer": "\xff"}', b'{"a":1}{', b'{"answer": "\\ud800"}'):
        assert_problem(wire.post(path, ada, data=body, content_type="application/json"), 400, "malformed_json")
    for body in (b"[]", b'"x"', b"3", b"null", b"true", b'{"answer": 3}', b'{"answer": "\\u0000"}'):
        assert_problem(wire.post(path, ada, data=body, content_type="application/json"), 422, "validation_failed")


def test_problems_speak_the_language_of_the_reader(wire: Wire, ada: Person, root: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}"
    told = {}
    for language in ("en", "fr"):
        headers = {"Accept-Language": language}
        answers = [
            wire.get("/api/nothing", headers=headers),
            wire.delete("/api/challenges", headers=headers),
            wire.get("/api/challenges", headers=headers),
            wire.delete(path, ada, headers=headers),
            wire.get("/api/challenges/999999", ada, headers=headers),
            wire.patch(path, root, json={"points": "x", "colour": 1, "slug": "A"}, headers=headers),
            wire.patch(path, root, json={"points": 1}, headers={**headers, "If-Match": '"x"'}),
            wire.patch(path, root, data="{", content_type="application/json", headers=headers),
            wire.patch(path, root, data="{}", content_type="text/plain", headers=headers),
        ]
        assert all(answer.headers["Content-Language"] == language for answer in answers)
        told[language] = [answer.json for answer in answers]
    for english, french in zip(told["en"], told["fr"], strict=True):
        assert (english["code"], english["status"], english["type"]) == (
            french["code"],
            french["status"],
            french["type"],
        )
        assert english["title"] != french["title"]
        assert english["detail"] != french["detail"]
        for one, other in zip(english.get("errors", []), french.get("errors", []), strict=True):
            assert (one["pointer"], one["code"]) == (other["pointer"], other["code"])
            assert one["message"] != other["message"]
    assert told["fr"][0]["title"] == "Introuvable"
    assert pointers(told["fr"][5]) == {"/colour": "unknown_field", "/points": "wrong_type", "/slug": "invalid"}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("FR-be", "fr"),
        ("en;q=0.1, fr;q=0.2", "fr"),
        ("fr;q=0, en", "en"),
        ("fr;q=0", "en"),
        ("*", "en"),
        ("de", "en"),
        ("", "en"),
        (";;;,,,q=x", "en"),
        ("fr" * 5000, "en"),
        ("é", "en"),
    ],
)
def test_any_language_header_is_understood_somehow(wire: Wire, header: str, language: str) -> None:
    answer = wire.get("/api/nothing", headers={"Accept-Language": header})
    assert_problem(answer, 404, "not_found")
    assert answer.headers["Content-Language"] == language


def test_the_request_id_goes_in_and_out(wire: Wire) -> None:
    for given in ("abc-123", "0f:7.x_Y", "a" * 128):
        answer = wire.get("/api/nothing", headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == answer.json["request_id"] == given
    for refused in ("", " ", "a b", "-x", "a" * 129, "é", "<script>", '"', "a\tb"):
        answer = wire.get("/api/nothing", headers={"X-Request-Id": refused})
        made = answer.headers["X-Request-Id"]
        assert (len(made), made != refused) == (32, True)
    assert wire.get("/livez").headers["X-Request-Id"] != wire.get("/livez").headers["X-Request-Id"]


def test_a_trace_is_followed(wire: Wire) -> None:
    answer = wire.get("/api/nothing", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert answer.json["trace_id"] == TRACE
    for wrong in ("", "x", f"00-{TRACE}-0000000000000000-01", f"ff-{TRACE}-00f067aa0ba902b7-01", "00" * 5000):
        answer = wire.get("/api/nothing", headers={"traceparent": wrong})
        assert "trace_id" not in assert_problem(answer, 404, "not_found")


def test_every_answer_is_armoured(wire: Wire, ada: Person) -> None:
    for answer in (
        wire.get("/livez"),
        wire.get("/api/challenges", ada),
        wire.get("/api/challenges"),
        wire.get("/nothing"),
        wire.post("/livez"),
        wire.open("OPTIONS", "/api/challenges"),
        wire.open("HEAD", "/api/challenges", ada),
        wire.post("/api/auth/login", json={}),
    ):
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert "Strict-Transport-Security" not in answer.headers
        assert "X-Powered-By" not in answer.headers
    assert wire.post("/api/auth/login", json={}).headers["Cache-Control"] == "no-store"
    head, get = wire.open("HEAD", "/api/challenges", ada), wire.get("/api/challenges", ada)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(get.data)))


def test_the_armour_of_secure_connections(wire: Wire) -> None:
    secure = wire.get("/livez", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def neighbour(app: Flask, **changes: object) -> Wire:
    """Return the same service with other settings; the stores stay the same."""
    settings: Settings = replace(app.config["REBOOTCAMP"], **changes)
    other = create_app(settings)
    mongo.configure(app.config["REBOOTCAMP"])
    return Wire(other)


def test_no_origin_is_welcome_by_default(wire: Wire) -> None:
    answer = wire.get("/livez", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "origins", [("https://app.example.org",), ("https://app.example.org", "http://localhost:3000")]
)
def test_configured_origins_are_welcome_and_no_others(app: Flask, ada: Person, origins: tuple[str, ...]) -> None:
    wire = neighbour(app, cors_origins=origins)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
    for origin in origins:
        preflight = wire.open("OPTIONS", "/api/challenges/1/complete", headers={"Origin": origin, **asked})
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        allowed = preflight.headers["Access-Control-Allow-Headers"].lower()
        assert {"authorization", "idempotency-key"} <= set(allowed.split(", "))
        for answer in (
            wire.get("/api/challenges", ada, headers={"Origin": origin}),
            wire.get("/nothing", headers={"Origin": origin}),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
            assert "Origin" in ",".join(answer.headers.getlist("Vary"))
            assert "Access-Control-Allow-Credentials" not in answer.headers
    for origin in ("https://evil.example", "https://app.example.org.evil.example", "https://appXexample.org", "null"):
        answer = wire.get("/livez", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
    with wire.app.app_context():
        db.engine.dispose()


def test_a_proxy_is_believed_only_when_it_is_expected(app: Flask, wire: Wire) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "evil.example"}
    assert "Strict-Transport-Security" not in wire.get("/livez", headers=forwarded).headers
    behind = neighbour(app, trusted_proxies=1)
    assert "Strict-Transport-Security" in behind.get("/livez", headers=forwarded).headers
    spoofed = {**forwarded, "X-Forwarded-Proto": "https, http"}
    assert "Strict-Transport-Security" not in behind.get("/livez", headers=spoofed).headers


def test_a_defect_of_ours_tells_nothing(app: Flask) -> None:
    """A service that does not know its database's tables: the answer must not either."""
    wire = neighbour(app, database_url=app.config["REBOOTCAMP"].database_url.rpartition("/")[0] + "/postgres")
    answer = wire.post("/api/auth/login", json={"email": "ada@example.org", "password": "x"})
    problem = assert_problem(answer, 500, "internal_error")
    assert "relation" not in json.dumps(problem)
    assert "SELECT" not in answer.text
    with wire.app.app_context():
        db.engine.dispose()
