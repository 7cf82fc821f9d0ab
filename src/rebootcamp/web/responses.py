"""Answers without detours: rows to dicts to bytes."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.json.provider import JSONProvider

from rebootcamp.core import json

JSON_TYPE = "application/json"


class OrjsonProvider(JSONProvider):
    """Flask's JSON on the one codec of the project."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return compact JSON."""
        return json.dumps_text(obj)

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Parse strict JSON."""
        return json.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a JSON answer."""
        return Response(json.dumps(self._prepare_response_obj(args, kwargs)), content_type=JSON_TYPE)


def json_response(payload: object, status: int = 200, etag: str | None = None) -> Response:
    """Return the payload as JSON; an `etag` (from `etags.etag_of`) makes it revalidatable by its reader alone."""
    return bytes_response(json.dumps(payload), status, etag)


def bytes_response(data: bytes, status: int = 200, etag: str | None = None) -> Response:
    """Return JSON that is already encoded."""
    response = Response(data, status, content_type=JSON_TYPE)
    if etag is not None:
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
    return response
