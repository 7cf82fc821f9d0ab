"""The service seen from outside: callers with tokens, requests, and what every refusal must look like."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

from rebootcamp.core.actors import Actor
from tests.factories import PASSWORD, make_actor
from tests.factories import admin as root_account

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
DOCUMENT = "urn:rebootcamp:openapi"
METHODS = ("get", "post", "put", "patch", "delete")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """An account with a valid access token."""

    actor: Actor
    email: str
    token: str

    @property
    def id(self) -> int:
        return self.actor.user_id

    @property
    def path(self) -> str:
        return f"/api/users/{self.id}"


@dataclass
class Wire:
    """Requests in the name of people."""

    app: Flask
    _document: dict[str, Any] = field(default_factory=dict)

    def open(self, method: str, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", None) or {})
        if who is not None:
            headers.setdefault("Authorization", f"Bearer {who.token}")
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        return self.open("GET", path, who, **options)

    def post(self, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        return self.open("POST", path, who, **options)

    def patch(self, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        return self.open("PATCH", path, who, **options)

    def put(self, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        return self.open("PUT", path, who, **options)

    def delete(self, path: str, who: Person | None = None, **options: Any) -> TestResponse:
        return self.open("DELETE", path, who, **options)

    def read(self, path: str, who: Person | None = None, **options: Any) -> Any:
        """Return the body of a successful GET."""
        answer = self.get(path, who, **options)
        assert answer.status_code == 200, answer.text
        return answer.json

    def token(self, email: str) -> str:
        """Sign in."""
        answer = self.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    def join(self, role: str = "student", **fields: Any) -> Person:
        """Make an account and sign in."""
        email = fields.pop("email", f"{role}{next(_numbers)}@wire.example.org")
        return Person(make_actor(role, email=email, **fields), email, self.token(email))

    def admin(self) -> Person:
        """Sign the administrator of the factories in."""
        return Person(root_account(), "root@example.org", self.token("root@example.org"))

    def pages(self, path: str, who: Person, limit: int, **options: Any) -> Iterator[dict[str, Any]]:
        """Walk a list to its end."""
        joint, cursor = "&" if "?" in path else "?", ""
        while cursor is not None:
            body = self.read(f"{path}{joint}limit={limit}{cursor}", who, **options)
            assert len(body["items"]) <= limit
            yield body
            cursor = body["next_cursor"] and f"&cursor={body['next_cursor']}"

    def items(self, path: str, who: Person, limit: int = 100, **options: Any) -> list[dict[str, Any]]:
        """Return all items of a list."""
        return [item for page in self.pages(path, who, limit, **options) for item in page["items"]]

    def document(self) -> dict[str, Any]:
        """Return the served documentation."""
        if not self._document:
            self._document.update(self.read("/api/openapi.json"))
        return self._document

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield path, method and operation of everything documented."""
        for path, members in self.document()["paths"].items():
            for method in METHODS:
                if method in members:
                    shared = members.get("parameters", [])
                    operation = members[method]
                    yield path, method, {**operation, "parameters": shared + operation.get("parameters", [])}

    def conforms(self, answer: TestResponse, operation_id: str) -> None:
        """Hold the bytes of an answer against the served document; members it does not name are refused too."""
        (operation,) = [found for _, _, found in self.operations() if found["operationId"] == operation_id]
        response = operation["responses"][str(answer.status_code)]
        self.judge(response["content"][answer.mimetype]["schema"]).validate(answer.get_json())

    def judge(self, schema: dict[str, Any]) -> Draft202012Validator:
        """Return the judge of one schema of the document; members that it does not name are refused."""
        return validator_of(self.document(), schema, is_closed=True)


def validator_of(document: dict[str, Any], schema: Any, *, is_closed: bool = False) -> Draft202012Validator:
    """Return the judge of one schema of the document; a closed one refuses members that are not named."""
    contents = {"components": _closed(document["components"]) if is_closed else document["components"]}
    registry = Registry().with_resource(DOCUMENT, Resource(contents=contents, specification=DRAFT202012))
    located = {"$id": f"{DOCUMENT}:entry", "allOf": [_absolute(schema)]}
    return Draft202012Validator(located, registry=registry, format_checker=FormatChecker())


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"{DOCUMENT}{value}" if key == "$ref" and value.startswith("#") else _absolute(value)
            for key, value in node.items()
        }
    return [_absolute(item) for item in node] if isinstance(node, list) else node


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def assert_problem(answer: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """Check that a refusal is a whole problem document and return it."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, Any] = answer.get_json()
    assert set(problem) >= PROBLEM_MEMBERS
    assert problem["status"] == status
    assert problem["type"] == f"urn:rebootcamp:problem:{problem['code']}"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert all(isinstance(problem[name], str) and problem[name] for name in PROBLEM_MEMBERS - {"status"})
    assert all(set(error) == {"pointer", "message", "code"} for error in problem.get("errors", []))
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    if code is not None:
        assert problem["code"] == code
    return problem


def pointers(problem: dict[str, Any]) -> dict[str, str]:
    """Return `{pointer: code}` of the wrong values that a problem lists."""
    return {error["pointer"]: error["code"] for error in problem["errors"]}
