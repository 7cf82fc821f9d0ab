"""Every failure is a problem, in the reader's language, without our internals."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}

FAILURES = [
    ("seats", 409, "seats_exhausted", "All 12 seats are taken.", "Les 12 places sont prises."),
    ("not-found", 404, "not_found", None, None),
    ("forbidden", 403, "forbidden", None, None),
    ("unauthenticated", 401, "unauthenticated", None, None),
    ("stale", 412, "stale_edit", None, None),
    ("busy", 503, "busy", None, None),
    ("field", 422, "validation_failed", None, None),
    ("bug", 500, "internal_error", None, None),
    ("nul", 422, "validation_failed", None, None),
    ("surrogate", 422, "validation_failed", None, None),
    ("overflow", 422, "validation_failed", None, None),
]


@pytest.mark.parametrize(("name", "status", "code", "english", "french"), FAILURES)
def test_a_failure_is_told_in_both_languages(
    client: FlaskClient, name: str, status: int, code: str, english: str | None, french: str | None
) -> None:
    en = client.get(f"/api/failures/{name}", headers={"Accept-Language": "en"})
    fr = client.get(f"/api/failures/{name}", headers={"Accept-Language": "fr-CA, en;q=0.5"})
    for answer in (en, fr):
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
        assert answer.json.keys() >= MEMBERS
        assert answer.json["status"] == status
        assert answer.json["code"] == code
        assert answer.json["type"] == f"urn:rebootcamp:problem:{code}"
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert en.json["title"] != fr.json["title"]
    assert en.json["detail"] != fr.json["detail"]
    assert (en.headers["Content-Language"], fr.headers["Content-Language"]) == ("en", "fr")
    if english:
        assert (en.json["detail"], fr.json["detail"]) == (english, french)


def test_an_unexpected_error_keeps_its_text_to_the_log(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    answer = client.get("/api/failures/bug")
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


def test_headers_tell_what_to_do(client: FlaskClient) -> None:
    assert client.get("/api/failures/unauthenticated").headers["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/api/failures/busy").headers["Retry-After"] == "1"


def test_a_field_error_has_pointer_message_and_code(client: FlaskClient) -> None:
    answer = client.get("/api/failures/field", headers={"Accept-Language": "fr"})
    assert answer.json["errors"] == [{"pointer": "/name", "message": "Déjà pris.", "code": "taken"}]


@pytest.mark.parametrize(
    ("body", "pointer", "code", "english", "french"),
    [
        ({}, "/name", "required", "Missing data for required field.", "Ce champ est obligatoire."),
        ({"name": None}, "/name", "null", "Field may not be null.", "Ce champ ne peut pas être nul."),
        (
            {"name": "a" * 21},
            "/name",
            "wrong_length",
            "Length must be between 1 and 20.",
            "La longueur doit être comprise entre 1 et 20.",
        ),
        (
            {"name": "a", "parts": [{"size": 1}, {"size": 0}]},
            "/parts/1/size",
            "out_of_range",
            "Must be greater than or equal to 1.",
            "Doit être supérieur ou égal à 1.",
        ),
        (
            {"name": "a\x07"},
            "/name",
            "control_character",
            "Must not contain control characters.",
            "Ne doit pas contenir de caractères de contrôle.",
        ),
    ],
)
def test_field_messages_follow_the_language(
    client: FlaskClient, body: object, pointer: str, code: str, english: str, french: str
) -> None:
    for language, message in (("en", english), ("fr", french)):
        answer = client.post("/api/things", json=body, headers={"Accept-Language": language})
        assert answer.status_code == 422
        assert answer.json["errors"] == [{"pointer": pointer, "message": message, "code": code}]


def test_errors_of_the_framework_are_problems_too(client: FlaskClient) -> None:
    missing = client.get("/nowhere", headers={"Accept-Language": "fr"})
    assert (missing.status_code, missing.json["code"], missing.json["title"]) == (404, "not_found", "Introuvable")
    wrong = client.delete("/api/things")
    assert (wrong.status_code, wrong.json["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]
    assert missing.content_type == wrong.content_type == "application/problem+json"
