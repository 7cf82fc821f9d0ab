"""Pages as answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from rebootcamp.core.pages import Page
from rebootcamp.web.responses import json_response


def page_response(page: Page[Mapping[str, Any]], etag: str | None = None) -> Response:
    """Return a page of ready dicts; a page of objects goes through `schemas.base.page_of` instead."""
    return json_response({"items": list(page.items), "next_cursor": page.next_cursor}, etag=etag)
