"""Pictures as answers: what caches, browsers and other sites may do with them."""

from __future__ import annotations

from typing import Final

from flask import Response

from rebootcamp.web.etags import not_modified

SVG_TYPE: Final = "image/svg+xml"
# A picture loads nothing and runs nothing, even when it is opened as a page of its own.
CONTENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
OWN: Final = {"Cache-Control": "private, max-age=60", "Vary": "Authorization"}
SHARED: Final = {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}


def picture_response(svg: str, etag: str, key: str | None) -> Response:
    """Return a picture; other sites may show it, and caches share it, when a key opened it."""
    response = Response(svg, content_type=f"{SVG_TYPE}; charset=utf-8")
    response.headers["ETag"] = etag
    return _governed(response, key)


def unchanged_picture(etag: str, key: str | None) -> Response | None:
    """Return the 304 answer when the caller already holds this picture, else None."""
    response = not_modified(etag)
    return response and _governed(response, key)


def _governed(response: Response, key: str | None) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    for name, value in (OWN if key is None else SHARED).items():
        response.headers[name] = value
    return response
