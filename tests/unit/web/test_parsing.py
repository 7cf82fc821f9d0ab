"""Hostile and clumsy requests are refused before any work."""

from __future__ import annotations

from io import BytesIO

import pytest
from flask.testing import FlaskClient

from rebootcamp.schemas.base import INT64_MAX

JSON = "application/json"

HOSTILE_BODIES = [
    pytest.param(b'{"name":', 400, "malformed_json", id="cut"),
    pytest.param(b"", 415, "unsupported_media_type", id="absent"),
    pytest.param(b'{"name": NaN}', 400, "malformed_json", id="nan"),
    pytest.param(b'{"name": 1e999}', 400, "malformed_json", id="infinite"),
    pytest.param(b'{"count": ' + b"9" * 5000 + b"}", 400, "malformed_json", id="5000-digits"),
    pytest.param(b"[" * 3000, 400, "malformed_json", id="3000-brackets"),
    pytest.param(b"[" * 3000 + b"]" * 3000, 400, "malformed_json", id="3000-closed-brackets"),
    pytest.param(
        b'{"name":"a","extra":{"a":' + b"[" * 30 + b"]" * 30 + b"}}", 422, "validation_failed", id="30-levels"
    ),
    pytest.param(b'{"name":"\\ud800"}', 400, "malformed_json", id="lone-surrogate"),
    pytest.param(b'{"name":"\xed\xa0\x80"}', 400, "malformed_json", id="encoded-surrogate"),
    pytest.param(b'{"name":"\xff"}', 400, "malformed_json", id="not-utf-8"),
    pytest.param(b'{"name":"a\\u0000b"}', 422, "validation_failed", id="nul"),
    pytest.param(b'{"name":"a","extra":{"k\\u0000":1}}', 422, "validation_failed", id="nul-in-a-key"),
    pytest.param(b'{"name":"a","extra":{"k":["\\u0000"]}}', 422, "validation_failed", id="nul-deep-inside"),
    pytest.param(b'{"name":"a\\u0007"}', 422, "validation_failed", id="bell"),
    pytest.param(b'{"name":"a","count":9223372036854775808}', 422, "validation_failed", id="beyond-int64"),
    pytest.param(b'{"name":"a","count":99999999999999999999999}', 422, "validation_failed", id="beyond-uint64"),
    pytest.param(b'{"name":"a","extra":{"n":-9223372036854775809}}', 422, "validation_failed", id="huge-undeclared"),
    pytest.param(b'{"name":"a","count":"1"}', 422, "validation_failed", id="number-as-text"),
    pytest.param(b'{"name":"a","count":true}', 422, "validation_failed", id="bool-as-number"),
    pytest.param(b'{"name":"a","count":1.5}', 422, "validation_failed", id="fraction"),
    pytest.param(b'{"name":"a","is_new":1}', 422, "validation_failed", id="number-as-bool"),
    pytest.param(b'{"name":"a","starts_at":"2026-01-01T00:00:00"}', 422, "validation_failed", id="no-offset"),
    pytest.param(b'{"name":"a","starts_at":"0001-01-01T00:00:00+14:00"}', 422, "validation_failed", id="before-year-1"),
    pytest.param(b'{"name":"a","starts_at":12}', 422, "validation_failed", id="instant-as-number"),
    pytest.param(b'{"name":["a"]}', 422, "validation_failed", id="list-as-text"),
    pytest.param(b'{"name":"   "}', 422, "validation_failed", id="blank"),
    pytest.param(b'{"name":"a","nmae":"b"}', 422, "validation_failed", id="unknown"),
    pytest.param(b'{"name":"a","parts":[{"size":1,"x":1}]}', 422, "validation_failed", id="unknown-inside"),
    pytest.param(b'{"name":"a","extra":[]}', 422, "validation_failed", id="list-as-object"),
    pytest.param(b"[]", 422, "validation_failed", id="list"),
    pytest.param(b"null", 422, "validation_failed", id="null"),
    pytest.param(b'"text"', 422, "validation_failed", id="text"),
    pytest.param(b"7", 422, "validation_failed", id="number"),
]


@pytest.mark.parametrize(("body", "status", "code"), HOSTILE_BODIES)
def test_a_hostile_body_is_refused(client: FlaskClient, body: bytes, status: int, code: str) -> None:
    answer = client.post("/api/things", data=body, content_type=JSON if body else None)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "json", None],
)
def test_another_media_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post("/api/things", data=b'{"name":"a"}', content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_json_in_utf_8_is_read_and_trimmed(client: FlaskClient, content_type: str) -> None:
    answer = client.post("/api/things", data='{"name":" é "}'.encode(), content_type=content_type)
    assert (answer.status_code, answer.json["name"]) == (201, "é")


def test_a_body_over_the_limit_is_413(client: FlaskClient) -> None:
    answer = client.post("/api/things", data=b'{"name":"' + b"a" * 200_000 + b'"}', content_type=JSON)
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_chunked_body_over_the_limit_is_413(client: FlaskClient) -> None:
    stream = BytesIO(b'{"name":"a"}' + b" " * 200_000)
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.post("/api/things", input_stream=stream, content_type=JSON, environ_overrides=environ)
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_the_bounds_of_int64_are_accepted(client: FlaskClient) -> None:
    answer = client.post("/api/things", json={"name": "a", "count": INT64_MAX})
    assert answer.json["count"] == INT64_MAX


def test_a_body_may_be_absent_where_nothing_is_required(client: FlaskClient) -> None:
    assert client.patch("/api/things/1").status_code == 200
    assert client.patch("/api/things/1", json={}).status_code == 200


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=0", "/limit", "out_of_range"),
        ("limit=101", "/limit", "out_of_range"),
        ("limit=ten", "/limit", "wrong_type"),
        ("limit=٣", "/limit", "wrong_type"),
        ("limit=99999999999999999999999", "/limit", "wrong_type"),
        ("limit=1&limit=2", "/limit", "repeated"),
        ("q=%00", "/q", "control_character"),
        ("q%00=1", "/q\0", "control_character"),
        ("tag=%00", "/tag", "control_character"),
        ("offset=3", "/offset", "unknown_field"),
        ("a~/b=3", "/a~0~1b", "unknown_field"),
    ],
)
def test_a_bad_query_is_refused(client: FlaskClient, query: str, pointer: str, code: str) -> None:
    answer = client.get(f"/api/things?{query}")
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(pointer, code)]


def test_a_list_parameter_may_repeat(client: FlaskClient) -> None:
    assert client.get("/api/things?tag=a&tag=b&limit=7").json == {
        "items": [{"name": "-", "count": 7}],
        "next_cursor": None,
    }


def test_undecodable_query_bytes_are_no_failure(client: FlaskClient) -> None:
    assert client.get("/api/things?q=%FF%ED%A0%80").status_code == 200


def test_a_view_without_parameters_refuses_them(client: FlaskClient) -> None:
    assert client.get("/api/things/1?x=1").json["errors"][0]["pointer"] == "/x"
    assert client.post("/api/things/1/touch", json={"x": 1}).json["errors"][0]["pointer"] == "/x"
    assert client.post("/api/things/1/touch", data="x", content_type="text/plain").status_code == 415
    assert client.post("/api/things/1/touch").status_code == 200
    assert client.post("/api/things/1/touch", json={}).status_code == 200


@pytest.mark.parametrize("part", ["0", "-1", "01", "1.0", "abc", "9223372036854775808", "1" * 30, "٣"])
def test_what_is_no_id_is_no_address(client: FlaskClient, part: str) -> None:
    assert client.get(f"/api/things/{part}").status_code == 404


def test_ids_go_up_to_int64(client: FlaskClient) -> None:
    assert client.get(f"/api/things/{INT64_MAX}").json["count"] == INT64_MAX


def test_nul_in_the_path_is_refused(client: FlaskClient) -> None:
    assert client.get("/api/failures/a%00b").status_code == 422


def test_errors_are_bounded_and_sorted(client: FlaskClient) -> None:
    body = {f"k{n:05d}" + "x" * 500: 1 for n in range(100)}
    errors = client.post("/api/things", json=body).json["errors"]
    pointers = [error["pointer"] for error in errors]
    assert len(errors) == 50
    assert pointers == sorted(pointers)
    assert max(map(len, pointers)) <= 200
