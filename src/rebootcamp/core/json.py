"""The one JSON codec: strict in, compact out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson

from rebootcamp.core.clock import iso

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def dumps(value: object) -> bytes:
    """Return compact UTF-8 JSON; aware datetimes become UTC with `Z`."""
    return orjson.dumps(value, default=_fallback, option=orjson.OPT_PASSTHROUGH_DATETIME)


def dumps_text(value: object) -> str:
    """Return compact JSON as text."""
    return dumps(value).decode()


def loads(data: bytes | str) -> Any:
    """Parse strict JSON; raise `ValueError` for NaN, lone surrogates, deep nesting and the like."""
    return orjson.loads(data)


def _fallback(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
