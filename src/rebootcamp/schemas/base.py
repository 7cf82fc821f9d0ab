"""Fields and schemas that every domain builds on: strict in, one form out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.pages import DEFAULT_LIMIT, MAX_LIMIT, PageRequest

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROLS_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,19}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Message(str):
    """A field message in both languages: reads as English, carries the French and a stable code."""

    __slots__ = ("code", "fr")

    fr: str
    code: str

    def __new__(cls, en: str, fr: str, code: str = "invalid") -> Message:
        """Return the English text with its French and its code attached."""
        message = super().__new__(cls, en)
        message.fr, message.code = fr, code
        return message

    def format(self, *args: object, **values: object) -> Message:
        """Fill the placeholders of both texts; marshmallow formats every message it raises."""
        return Message(str(self).format(*args, **values), self.fr.format(*args, **values), self.code)


def refuse(en: str, fr: str, code: str = "invalid", field: str = "_schema") -> ma.ValidationError:
    """Return the error that a validator raises; `field` names the culprit in a schema-wide validator."""
    return ma.ValidationError(Message(en, fr, code), field_name=field)


CONTROL_CHARACTER = Message(
    "Must not contain control characters.", "Ne doit pas contenir de caractères de contrôle.", "control_character"
)
OUT_OF_RANGE = Message("The number is out of range.", "Le nombre sort des limites permises.", "out_of_range")


class String(fields.String):
    """One line of text, trimmed; `trim=False` keeps it untouched (passwords)."""

    forbidden = _CONTROLS
    default_error_messages = {"control_character": CONTROL_CHARACTER}

    def __init__(self, *, trim: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.trim = trim

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        text = value.strip() if self.trim else value
        if self.forbidden.search(text) or _SURROGATES.search(text):
            raise self.make_error("control_character")
        return text


class Text(String):
    """Text of several lines: tabs and line ends are kept."""

    forbidden = _CONTROLS_BUT_LAYOUT


class Integer(fields.Integer):
    """A whole number that both stores can hold; digits are read from text only in a query."""

    default_error_messages = {"out_of_range": OUT_OF_RANGE}

    def _validated(self, value: Any) -> int:
        if isinstance(value, str) and isinstance(self.root, QuerySchema) and _DECIMAL.fullmatch(value):
            value = int(value)
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        if not INT64_MIN <= value <= INT64_MAX:
            raise self.make_error("out_of_range")
        return value


class Boolean(fields.Boolean):
    """`true` or `false`; as words only in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if isinstance(value, str) and isinstance(self.root, QuerySchema):
            value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Instant(fields.AwareDateTime):
    """An instant with its offset in, UTC ending in `Z` out."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        instant: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            return clock.to_milliseconds(instant.astimezone(UTC))
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else clock.iso(value)


class Day(fields.Date):
    """A calendar date, `YYYY-MM-DD` and no other ISO 8601 form."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        return super()._deserialize(value, attr, data, **kwargs)


class RequestSchema(ma.Schema):
    """A body: what it does not declare is refused."""

    class Meta:
        """An unknown field is an error, because silently ignoring one hides a misspelling."""

        unknown = ma.RAISE


class QuerySchema(RequestSchema):
    """The parameters after the question mark; numbers and booleans arrive as text."""


class EmptyBody(RequestSchema):
    """The body of a command that needs none."""


class PageArguments(QuerySchema):
    """Paging of a list; loads `limit` and `cursor` into one `page` entry, a `PageRequest`."""

    limit = Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_LIMIT),
        metadata={"description": "How many items at most."},
    )
    cursor = String(
        load_default=None,
        validate=validate.Length(1, 1000),
        metadata={"description": "`next_cursor` of the page before."},
    )

    @ma.post_load
    def make_page(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Gather the paging parameters."""
        data["page"] = PageRequest(limit=data.pop("limit"), cursor=data.pop("cursor"))
        return data


@cache
def page_of(schema: type[ma.Schema]) -> type[ma.Schema]:
    """Return the schema of a page of such items; it dumps a `core.pages.Page`."""
    members: dict[str, Any] = {
        "items": fields.List(fields.Nested(schema), required=True),
        "next_cursor": fields.String(
            required=True, allow_none=True, metadata={"description": "Send it as `cursor`; null on the last page."}
        ),
    }
    return type(f"{schema.__name__.removesuffix('Out').removesuffix('Schema')}Page", (ma.Schema,), members)


class ProblemField(ma.Schema):
    """One wrong value."""

    pointer = fields.String(required=True, metadata={"description": "JSON Pointer, or `/name` of a query parameter."})
    message = fields.String(required=True)
    code = fields.String(required=True)


class Problem(ma.Schema):
    """RFC 9457 problem details."""

    type = fields.String(required=True, metadata={"example": "urn:rebootcamp:problem:not_found"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable, in snake_case.", "example": "not_found"})
    request_id = fields.String(required=True)
    trace_id = fields.String()
    errors = fields.List(fields.Nested(ProblemField))
    why = fields.Dict(metadata={"description": "What the refusal rests on, where that is more than a rule."})
