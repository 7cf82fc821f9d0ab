"""The served documentation: one OpenAPI 3.1 document and Swagger UI, from local files only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import flask_swagger_ui
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Response, abort, send_from_directory
from flask_smorest import Api

from rebootcamp.core import json
from rebootcamp.schemas.base import INT64_MAX, Problem
from rebootcamp.schemas.pictures import KEY_PARAMETER
from rebootcamp.web.converters import IdConverter
from rebootcamp.web.etags import etag_of, not_modified
from rebootcamp.web.openapi_operations import (
    DEFAULT_PROBLEM,
    IDEMPOTENCY_PARAMETER,
    IF_MATCH_PARAMETER,
    IF_NONE_MATCH_PARAMETER,
    KEY_SCHEME,
    NOT_MODIFIED,
    PROBLEM_NAMES,
    SECURITY_SCHEME,
)
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import public
from rebootcamp.web.problems import PROBLEM_TYPE
from rebootcamp.web.responses import json_response

TITLE: Final = "RebootCamp"
DESCRIPTION: Final = "Learning progress and gamification. Errors are RFC 9457 problems in French or English."
ASSETS: Final = Path(flask_swagger_ui.__file__).with_name("dist")
ASSET_NAMES: Final = frozenset(
    {
        "swagger-ui.css",
        "index.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "favicon-32x32.png",
        "favicon-16x16.png",
    }
)
# Swagger UI draws with inline style attributes and data: images; scripts are files of ours alone.
DOCS_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RebootCamp API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
<link rel="stylesheet" href="/api/docs/index.css">
<link rel="icon" type="image/png" href="/api/docs/favicon-32x32.png" sizes="32x32">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/swagger-ui-standalone-preset.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
START: Final = """window.ui = SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout"
});
"""


class ProblemApi(Api):  # type: ignore[misc]
    """flask-smorest's Api with our problems, our names and our pages."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = DEFAULT_PROBLEM

    def __init__(self, app: Flask, *, version: str) -> None:
        app.config.update(API_TITLE=TITLE, API_VERSION=version, OPENAPI_VERSION="3.1.0")
        self._operation_ids: set[str] = set()
        self._document: bytes | None = None
        super().__init__(
            app, spec_kwargs={"marshmallow_plugin": MarshmallowPlugin(), "info": {"description": DESCRIPTION}}
        )
        self.register_converter(IdConverter, _id_schema)
        self.spec.components.security_scheme(
            SECURITY_SCHEME, {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        )
        self.spec.components.security_scheme(KEY_SCHEME, {"type": "apiKey", "in": "query", "name": KEY_PARAMETER})
        for name, parameter in _HEADERS.items():
            self.spec.components.parameter(name, "header", parameter, lazy=True)

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint and document it; two operations of one name are refused."""
        for methods in blueprint._docs.values():
            for method, document in methods.items():
                if method != "parameters":
                    self._note_operation(document["operation_id"])
        super().register_blueprint(blueprint, **options)

    def document(self) -> bytes:
        """Return the OpenAPI document as JSON."""
        if self._document is None:
            self._document = json.dumps(self.spec.to_dict())
        return self._document

    def _note_operation(self, operation_id: str) -> None:
        if operation_id in self._operation_ids:
            raise ValueError(f"two views are called {operation_id}; the name is the operationId")
        self._operation_ids.add(operation_id)

    def _register_responses(self) -> None:
        for status, name in PROBLEM_NAMES.items():
            self.spec.components.response(name, _problem_of(f"{status}: {name}"), lazy=True)
        self.spec.components.response(NOT_MODIFIED, {"description": "The caller holds what is current."}, lazy=True)
        self.spec.components.response(DEFAULT_PROBLEM, _problem_of("Any other refusal or failure"), lazy=True)

    def _register_pagination_header(self) -> None:
        """Leave out flask-smorest's paging: pages are in the body."""

    def _register_error_handlers(self) -> None:
        """Leave errors to `web.problems`."""

    def _register_doc_blueprint(self) -> None:
        self._app.register_blueprint(_pages(self))


_HEADERS: Final = {
    IDEMPOTENCY_PARAMETER: {
        "name": "Idempotency-Key",
        "description": "Repeating a command with its key gives the first answer again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    IF_MATCH_PARAMETER: {
        "name": "If-Match",
        "description": "The `ETag` of what the edit is based on; 412 when somebody changed it since.",
        "schema": {"type": "string"},
    },
    IF_NONE_MATCH_PARAMETER: {
        "name": "If-None-Match",
        "description": "The `ETag` that the caller holds; 304 when it is still current.",
        "schema": {"type": "string"},
    },
}


def _problem_of(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM_TYPE: {"schema": Problem}}}


def _id_schema(_: IdConverter) -> dict[str, Any]:
    return {"type": "integer", "format": "int64", "minimum": 1, "maximum": INT64_MAX}


def _pages(api: ProblemApi) -> FlaskBlueprint:
    pages = FlaskBlueprint("documentation", __name__, url_prefix="/api")

    @pages.get("/openapi.json")
    @public
    def openapi_json() -> Response:
        document = api.document()
        etag = etag_of(hashlib.sha256(document).hexdigest()[:16])
        if (unchanged := not_modified(etag)) is not None:
            return unchanged
        response = json_response(None, etag=etag)
        response.set_data(document)
        return response

    @pages.get("/docs")
    @public
    def docs() -> Response:
        return _documentation(Response(PAGE, content_type="text/html; charset=utf-8"))

    @pages.get("/docs/<name>")
    @public
    def docs_file(name: str) -> Response:
        if name == "start.js":
            return _documentation(Response(START, content_type="text/javascript; charset=utf-8"))
        if name not in ASSET_NAMES:
            abort(404)
        return _documentation(send_from_directory(ASSETS, name, max_age=3600))

    return pages


def _documentation(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = DOCS_CONTENT_POLICY
    return response
