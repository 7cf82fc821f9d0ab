"""Conditional requests (RFC 9110 §13): 304 for a reader who has it, 412 for an editor who missed a change."""

from __future__ import annotations

import re

from flask import Response, request

from rebootcamp.core.errors import StaleEdit

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
    if header is None or not _matches(header, etag, weak=True):
        return None
    response = Response(status=304)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def require_match(current_etag: str) -> None:
    """Raise `StaleEdit` when If-Match names another version than the current one; without the header, pass."""
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and not _matches(header, current_etag, weak=False):
        raise StaleEdit


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    if header == etag or header.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(f'"{tag}"' == wanted and (weak or not mark) for mark, tag in _TAGS.findall(header))
