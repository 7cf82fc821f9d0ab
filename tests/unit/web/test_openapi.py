"""The served documentation describes the service and needs no other server."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate


def test_the_document_is_valid_openapi_3_1(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_operations_have_names_summaries_and_problems(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    operation = document["paths"]["/api/things"]["post"]
    assert (operation["operationId"], operation["summary"]) == ("create_thing", "Create a thing.")
    assert operation["responses"]["422"] == {"$ref": "#/components/responses/ValidationFailed"}
    assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
    assert operation["requestBody"]["required"] is True
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


def test_ids_are_documented_with_their_bounds(client: FlaskClient) -> None:
    (parameter,) = client.get("/api/openapi.json").json["paths"]["/api/things/{thing_id}"]["parameters"]
    assert parameter["schema"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}


def test_the_document_revalidates(client: FlaskClient) -> None:
    etag = client.get("/api/openapi.json").headers["ETag"]
    assert client.get("/api/openapi.json", headers={"If-None-Match": etag}).status_code == 304


def test_the_page_uses_only_files_of_ours(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "<script>" not in page.text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        with client.get(address) as asset:
            assert asset.status_code == 200, address
    assert client.get("/api/docs/passwd").status_code == 404


def test_two_views_of_one_name_are_refused(edge: Flask) -> None:
    assert edge.view_functions["things.create_thing"].__name__ == "create_thing"
