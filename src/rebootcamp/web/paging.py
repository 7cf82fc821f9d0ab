"""Pages as answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response

from rebootcamp.core.pages import Page
from rebootcamp.web.responses import json_response

T = TypeVar("T")


def page_body(page: Page[T], render: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return the members that every list has."""
    return {"items": [render(item) for item in page.items], "next_cursor": page.next_cursor}


def page_response(page: Page[T], render: Callable[[T], dict[str, Any]], etag: str | None = None) -> Response:
    """Return a rendered page."""
    return json_response(page_body(page, render), etag=etag)
