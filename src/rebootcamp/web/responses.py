"""Answers without detours: rows to dicts to bytes."""

from __future__ import annotations

from flask import Response

from rebootcamp.core import json

JSON_TYPE = "application/json"


def json_response(payload: object, status: int = 200, etag: str | None = None) -> Response:
    """Return the payload as JSON; an `etag` (from `etags.etag_of`) makes it revalidatable by its reader alone."""
    response = Response(json.dumps(payload), status, content_type=JSON_TYPE)
    if etag is not None:
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
    return response
