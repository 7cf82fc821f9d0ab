"""Keyset paging: a page knows where the next one begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text

T = TypeVar("T")
DEFAULT_LIMIT = 20
MAX_LIMIT = 100
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class PageRequest:
    """How many rows, and after which key; `order` names the sort so that a cursor cannot cross lists."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def key(self, order: str, kinds: tuple[type, ...]) -> Key | None:
        """Return the key to continue after, or None for the first page; raise `InvalidField` for a foreign cursor."""
        if self.cursor is None:
            return None
        values = _decode(self.cursor)
        shape_fits = len(values) == len(kinds) + 1 and values[0] == order
        if not shape_fits or any(type(v) is not kind for v, kind in zip(values[1:], kinds, strict=True)):
            raise foreign_cursor()
        if any(isinstance(v, int) and not -(2**63) <= v < 2**63 for v in values[1:]):
            raise foreign_cursor()
        return tuple(values[1:])


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items and the opaque cursor of the next page, if any."""

    items: Sequence[T]
    next_cursor: str | None = None


def paginate(rows: Sequence[T], limit: int, order: str, key: Callable[[T], Key]) -> Page[T]:
    """Cut `limit + 1` fetched rows to a page; the extra row only proves that there is more."""
    if len(rows) <= limit:
        return Page(rows)
    kept = rows[:limit]
    return Page(kept, _encode([order, *key(kept[-1])]))


def foreign_cursor() -> InvalidField:
    """Return the refusal of a cursor that no page of the list gave."""
    message = Text(
        "This cursor belongs to no page of this list.", "Ce curseur n'appartient à aucune page de cette liste."
    )
    return InvalidField("/cursor", message, "invalid_cursor")


def _encode(values: list[str | int]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


def _decode(cursor: str) -> list[str | int]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise foreign_cursor() from None
    if not isinstance(values, list) or any(type(v) not in (str, int) or "\0" in str(v) for v in values):
        raise foreign_cursor()
    return values
