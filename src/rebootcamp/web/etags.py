"""Conditional requests (RFC 9110 §13): 304 for a reader who has it, 412 for an editor who missed a change."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from flask import Response, request

from rebootcamp.core import json
from rebootcamp.core.errors import StaleEdit
from rebootcamp.web.languages import current_language
from rebootcamp.web.responses import bytes_response

_TAGS = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ILLEGAL = re.compile(r"[^\x21\x23-\x7e]")


def etag_of(*parts: object) -> str:
    """Return the entity tag made of parts that together change whenever the representation does."""
    return '"' + _ILLEGAL.sub("_", "-".join(map(str, parts))) + '"'


def is_conditional() -> bool:
    """Tell whether the caller asks only for what has changed."""
    return "HTTP_IF_NONE_MATCH" in request.environ


def not_modified(etag: str) -> Response | None:
    """Return the 304 answer when the caller already holds this representation, else None."""
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    if header is None or not _matches(header, etag):
        return None
    response = Response(status=304)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def revalidated(body: dict[str, Any], *parts: object) -> Response:
    """Return the body, or 304 when the caller holds these very bytes; `parts` begin the entity tag."""
    data = json.dumps(body)
    etag = etag_of(*parts, current_language(), hashlib.sha256(data).hexdigest()[:32])
    return not_modified(etag) or bytes_response(data, etag=etag)


def require_match(version_etag: str) -> None:
    """Raise `StaleEdit` when If-Match names another version than the current one; without the header, pass.

    What a tag says after the version (`revalidated` adds the reader's language and view) does not matter to an edit.
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is None or header.strip() == "*":
        return
    version = version_etag.strip('"')
    if not any(not mark and f"{tag}-".startswith(f"{version}-") for mark, tag in _TAGS.findall(header)):
        raise StaleEdit


def _matches(header: str, etag: str) -> bool:
    if header == etag or header.strip() == "*":
        return True
    return any(f'"{tag}"' == etag for _, tag in _TAGS.findall(header))
