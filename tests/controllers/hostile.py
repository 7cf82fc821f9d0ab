"""Requests made from the served document: one that fits, and many that cannot."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jsonschema import Draft202012Validator

from rebootcamp.core import clock
from tests.controllers.wire import Wire, validator_of

DIGITS = b"9" * 5000
DEEP = 100_000
JSON_BODY = "application/json"
# A challenge with all its members is one of teams, and saves nothing by itself.
CHOSEN: Mapping[str, Any] = {
    "criteria": {"count": {"event": "challenge.completed", "at_least": 5}},
    "validation": "criteria",
    "cadence": "weekly",
    "co2e_grams": 0,
}
LEVEL_TEXTS = {"en": {"name": "Level"}, "fr": {"name": "Niveau"}}

# As bytes, because no encoder would write most of them.
LITERALS: Mapping[str, bytes] = {
    "an integer of 5,000 digits": DIGITS,
    "a fraction of 5,000 digits": b"0." + DIGITS,
    "2^63": b"9223372036854775808",
    "-2^63-1": b"-9223372036854775809",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "NUL": b'"a\\u0000b"',
    "NUL in a key": b'{"a\\u0000b": 1}',
    "a lone surrogate": b'"\\ud800"',
    "a reversed pair": b'"\\udc00\\ud800"',
    "deep arrays": b"[" * 2000 + b"]" * 2000,
    "deep objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "a Mongo operator": b'{"$where": "sleep(1000)"}',
}
WRONG_TYPES = (None, True, False, 0, -1, 1.5, 2**62, "", "x", "0", "\t", "\u202e", [], [[]], [None], {}, {"$gt": ""})

BODIES: Mapping[str, bytes] = {
    "deep arrays": b"[" * DEEP,
    "deep closed arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "a number": DIGITS,
    "NaN": b"NaN",
    "an array": b"[]",
    "an array of objects": b"[{}]",
    "a string": b'"x"',
    "null": b"null",
    "true": b"true",
    "half an object": b'{"a": ',
    "two objects": b"{}{}",
    "a comment": b"{/**/}",
    "single quotes": b"{'a': 1}",
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an extra field": b'{"__proto__": {"admin": true}}',
    "a field with an empty name": b'{"": 1}',
    "compressed": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "XML": b"<?xml version='1.0'?><a/>",
    "a form": b"role=admin",
    "white space": b"  \n ",
    "many fields": json.dumps({f"f{n}": n for n in range(5000)}).encode(),
}


_numbers = itertools.count(1)


@dataclass(frozen=True)
class Command:
    """A documented operation with effects, at an address that exists."""

    name: str
    method: str
    path: str
    schema: dict[str, Any] | None
    judge: Draft202012Validator | None

    @property
    def needs_body(self) -> bool:
        return bool(self.schema and self.schema.get("required"))


def commands(wire: Wire, places: Mapping[str, object]) -> Iterator[Command]:
    """Yield every command of the document; `places` fills the parameters of addresses."""
    for path, method, operation in wire.operations():
        if method == "get":
            continue
        schema = None
        if "requestBody" in operation:
            schema = resolved(wire.document(), operation["requestBody"]["content"][JSON_BODY]["schema"])
        judge = validator_of(wire.document(), schema) if schema else None
        yield Command(operation["operationId"], method.upper(), fill(path, places), schema, judge)


def fill(path: str, places: Mapping[str, object]) -> str:
    """Return the address with its parameters filled."""
    return path.format(**places)


def resolved(document: dict[str, Any], node: Any) -> Any:
    """Return a schema with its references replaced by what they name."""
    if isinstance(node, list):
        return [resolved(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolved(document, target)
    return {key: resolved(document, value) for key, value in node.items()}


def fitting(schema: dict[str, Any], name: str = "") -> Any:
    """Return a value that the schema allows, with every member present."""
    schema = (schema.get("allOf") or schema.get("anyOf") or [schema])[0]
    kind = schema.get("type")
    kind = next(item for item in kind if item != "null") if isinstance(kind, list) else kind
    if name in CHOSEN:
        return CHOSEN[name]
    if "enum" in schema:
        return schema["enum"][0]
    if name == "levels":
        return [{"xp_floor": floor, "translations": LEVEL_TEXTS} for floor in (0, 50)]
    if kind == "object":
        return {key: fitting(value, key) for key, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [fitting(schema["items"])]
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    return _text(schema, name)


def _text(schema: dict[str, Any], name: str) -> str:
    by_name = {
        "timezone": "Europe/Paris",
        "role": "student",
        "slug": f"slug-{next(_numbers)}",
        "code": "held",
        "reward_badge": "held",
        "icon": "x",
        "period": "2026-W02",
        "key": "first",
        "opens_at": "2029-01-01T00:00:00Z",
    }
    days = {"on": 8, "starts_on": 9, "ends_on": 10}
    by_name |= {key: str(clock.now().date() + timedelta(days=ahead)) for key, ahead in days.items()}
    by_name["ends_at"] = "2031-01-01T00:00:00Z"
    by_name["closes_at"] = "2029-02-01T00:00:00Z"
    by_format = {"email": "new@example.org", "date-time": "2030-01-01T00:00:00Z", "url": "https://example.org/"}
    found = by_name.get(name) or by_format.get(schema.get("format", ""))
    return found or "correct horse battery"[: schema.get("maxLength", 100)]


def spoiled(command: Command) -> Iterator[tuple[str, bytes]]:
    """Yield bodies that fit but for one member, at every place of the body, with what is wrong about each."""
    whole = fitting(command.schema or {})
    for place in [(), *_places(command.schema or {})]:
        for name, literal in LITERALS.items():
            yield f"{name} at /{'/'.join(place)}", _with(whole, place, "@@").replace(b'"@@"', literal)
        for value in WRONG_TYPES:
            body = _with(whole, place, value)
            is_allowed = command.judge.is_valid(json.loads(body)) if command.judge else value == {}
            if not is_allowed:
                yield f"{value!r} at /{'/'.join(place)}", body
        if isinstance(_at(whole, place), dict):
            yield f"an unknown member at /{'/'.join(place)}", _with(whole, (*place, "no_such_member"), 1)


def _places(schema: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    schema = (schema.get("allOf") or schema.get("anyOf") or [schema])[0]
    for name, member in schema.get("properties", {}).items():
        yield (*above, name)
        yield from _places(member, (*above, name))


def _with(whole: Any, place: tuple[str, ...], value: Any) -> bytes:
    if not place:
        return json.dumps(value).encode()
    copy = json.loads(json.dumps(whole))
    _at(copy, place[:-1])[place[-1]] = value
    return json.dumps(copy).encode()


def _at(whole: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        whole = whole[name]
    return whole
