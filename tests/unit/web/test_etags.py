"""Conditional requests."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rebootcamp.web.etags import etag_of

CURRENT = '"thing-1-3"'


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (CURRENT, 304),
        (f"W/{CURRENT}", 304),
        (f'"other", W/{CURRENT}', 304),
        ("*", 304),
        ('"other"', 200),
        ("thing-1-3", 200),
        ("", 200),
    ],
)
def test_a_reader_who_has_it_gets_304(client: FlaskClient, header: str, status: int) -> None:
    answer = client.get("/api/things/1", headers={"If-None-Match": header})
    assert (answer.status_code, answer.headers["ETag"]) == (status, CURRENT)
    assert (answer.data == b"") is (status == 304)
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("header", "status"),
    [(CURRENT, 200), ("*", 200), (f'"old", {CURRENT}', 200), ('"old"', 412), (f"W/{CURRENT}", 412), ("junk", 412)],
)
def test_an_editor_who_missed_a_change_gets_412(client: FlaskClient, header: str, status: int) -> None:
    assert client.patch("/api/things/1", json={}, headers={"If-Match": header}).status_code == status


def test_an_edit_without_condition_passes(client: FlaskClient) -> None:
    assert client.patch("/api/things/1", json={}).status_code == 200


def test_a_tag_holds_only_legal_characters() -> None:
    assert etag_of("a b", 'c"d', "é") == '"a_b-c_d-_"'
