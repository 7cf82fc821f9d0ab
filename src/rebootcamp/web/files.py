"""Calendars and tables as answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from flask import Response, stream_with_context

from rebootcamp.web.etags import etag_of, not_modified

CALENDAR_TYPE: Final = "text/calendar"
CSV_TYPE: Final = "text/csv"


def calendar_response(text: str, name: str) -> Response:
    """Return a calendar, or 304 when the caller holds these very bytes."""
    data = text.encode()
    etag = etag_of("calendar", hashlib.sha256(data).hexdigest()[:32])
    if unchanged := not_modified(etag):
        return unchanged
    response = _file(Response(data, content_type=f"{CALENDAR_TYPE}; charset=utf-8"), "inline", f"{name}.ics")
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def csv_response(lines: Iterator[str], name: str) -> Response:
    """Return a table to be saved; its lines are made while they are sent."""
    response = Response(stream_with_context(lines), content_type=f"{CSV_TYPE}; charset=utf-8; header=present")
    response.headers["Cache-Control"] = "no-store"
    return _file(response, "attachment", f"{name}.csv")


def _file(response: Response, disposition: str, name: str) -> Response:
    """Name the file; `name` is a slug, which needs no quoting."""
    response.headers["Content-Disposition"] = f'{disposition}; filename="{name}"'
    return response
