"""Strict reading of requests, before any database work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

import marshmallow as ma
from flask import Request, request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.exceptions import RequestEntityTooLarge

from rebootcamp.core import json
from rebootcamp.schemas.base import INT64_MAX, INT64_MIN, EmptyBody, Message, QuerySchema
from rebootcamp.web.errors import FieldError, InvalidRequest, MalformedJson, UnsupportedMediaType
from rebootcamp.web.openapi_operations import prepare_operation
from rebootcamp.web.policies import policy_of

MAX_DEPTH = 20
MAX_ERRORS = 50
MAX_POINTER = 200
BODY_LOCATIONS = frozenset({"json", "form", "files"})
QUERY_LOCATIONS = frozenset({"query", "querystring"})
COMMANDS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

View = TypeVar("View", bound=Callable[..., Any])
AnyView = Callable[..., Any]

TOO_DEEP = Message(f"Nested deeper than {MAX_DEPTH} levels.", f"Imbriqué sur plus de {MAX_DEPTH} niveaux.", "too_deep")
NUL = Message("Must not contain the NUL character.", "Ne doit pas contenir le caractère NUL.", "control_character")
TOO_BIG = Message("The number is out of range.", "Le nombre sort des limites permises.", "out_of_range")
REPEATED = Message("Given more than once.", "Indiqué plus d'une fois.", "repeated")


def field_errors(messages: object, pointer: str = "") -> Iterator[FieldError]:
    """Yield the leaves of marshmallow's nested messages with their JSON Pointers."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from field_errors(inner, pointer if key == "_schema" else f"{pointer}/{_escaped(key)}")
    elif isinstance(messages, (list, tuple)):
        for inner in messages:
            yield from field_errors(inner, pointer)
    else:
        yield FieldError(pointer[:MAX_POINTER], messages if isinstance(messages, str) else str(messages))


def invalid_request(error: ma.ValidationError) -> InvalidRequest:
    """Return the refusal that lists what a schema found, in a stable order."""
    errors = sorted(field_errors(error.messages), key=lambda item: item.pointer)
    return InvalidRequest(errors[:MAX_ERRORS])


class Parser(FlaskParser):
    """webargs without its tolerances: strict JSON, the right media type, no unknown or repeated parameter."""

    DEFAULT_UNKNOWN_BY_LOCATION = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": ma.RAISE,
        "querystring": ma.RAISE,
    }

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Return the decoded body; an absent one is `{}` where the schema requires nothing."""
        raw = req.get_data(cache=True)
        # werkzeug cuts a chunked body at the limit instead of refusing it.
        if req.content_length is None and len(raw) == req.max_content_length:
            raise RequestEntityTooLarge
        if not raw and not any(field.required for field in schema.load_fields.values()):
            return {}
        if req.mimetype != "application/json" or req.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
            raise UnsupportedMediaType
        try:
            body = json.loads(raw)
        except ValueError:
            raise MalformedJson from None
        refuse_unstorable(body)
        return body

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """Return the query; a scalar given twice is refused rather than chosen."""
        proxy: MultiDictProxy = super().load_querystring(req, schema)
        for name, values in req.args.lists():
            if "\0" in name or any("\0" in value for value in values):
                raise InvalidRequest([FieldError(f"/{_escaped(name)}"[:MAX_POINTER], NUL)])
            if len(values) > 1 and name not in proxy.multiple_keys:
                raise InvalidRequest([FieldError(f"/{_escaped(name)}"[:MAX_POINTER], REPEATED)])
        return proxy

    def _on_validation_error(self, error: ma.ValidationError, *_: Any, **__: Any) -> NoReturn:
        raise invalid_request(error)


def refuse_unstorable(body: object) -> None:
    """Raise for what no schema may let pass: NUL, numbers beyond 64 bits, deep nesting."""
    pending: list[tuple[object, str, int]] = [(body, "", 1)]
    while pending:
        value, pointer, depth = pending.pop()
        if message := _objection(value, depth):
            raise InvalidRequest([FieldError(pointer[:MAX_POINTER], message)])
        if isinstance(value, dict):
            pending.extend((inner, f"{pointer}/{_escaped(key)}", depth + 1) for key, inner in value.items())
        elif isinstance(value, list):
            pending.extend((inner, f"{pointer}/{index}", depth + 1) for index, inner in enumerate(value))


def _objection(value: object, depth: int) -> Message | None:
    if isinstance(value, str):
        return NUL if "\0" in value else None
    # orjson reads an integer beyond 64 bits as a float, so a float of that size is one in disguise.
    if isinstance(value, float):
        return None if abs(value) < INT64_MAX else TOO_BIG
    if isinstance(value, int):
        return None if INT64_MIN <= value <= INT64_MAX else TOO_BIG
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict) and any("\0" in key for key in value):
        return NUL
    return None


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """A blueprint whose views get only what they declare; `route`, `arguments` and `response` as in flask-smorest."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self._prepare_doc_cbks.append(prepare_operation)

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register the view at the rule."""
        decorate: Callable[[View], View] = super().route(rule, **options)
        return decorate

    def arguments(
        self, schema: type[ma.Schema] | ma.Schema, *, location: str = "json", **options: Any
    ) -> Callable[[AnyView], AnyView]:
        """Parse the body (or `location="query"`) by the schema and pass the result to the view."""
        schema = schema() if isinstance(schema, type) else schema
        options.setdefault("required", any(field.required for field in schema.load_fields.values()))
        if location in QUERY_LOCATIONS and not isinstance(schema, QuerySchema):
            raise TypeError(f"{type(schema).__name__} reads a query, so it must be a QuerySchema")
        decorate: Callable[[AnyView], AnyView] = super().arguments(schema, location=location, **options)
        return decorate

    def response(
        self, status: int, schema: type[ma.Schema] | ma.Schema | dict[str, Any] | None = None, **options: Any
    ) -> Callable[[AnyView], AnyView]:
        """Dump what the view returns by the schema; a `Response` passes untouched."""
        decorate: Callable[[AnyView], AnyView] = super().response(status, schema, **options)
        return decorate

    def alt_response(self, status: int, response: str | None = None, **options: Any) -> Callable[[AnyView], AnyView]:
        """Document another answer, by the name of its component (`"Conflict"`) or by a schema."""
        decorate: Callable[[AnyView], AnyView] = super().alt_response(status, response, **options)
        return decorate

    @staticmethod
    def doc(**members: Any) -> Callable[[AnyView], AnyView]:
        """Add members to the operation's documentation."""
        decorate: Callable[[AnyView], AnyView] = SmorestBlueprint.doc(**members)
        return decorate

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: AnyView | None = None, *rest: Any, **options: Any
    ) -> None:
        """Register the view behind the refusal of what it does not read."""
        if view_func is None or isinstance(view_func, type):
            raise TypeError("register functions: class-based views are not used here")
        methods = {method.upper() for method in options.get("methods") or ("GET",)}
        super().add_url_rule(rule, endpoint, _refusing_strays(view_func, methods), *rest, **options)

    def _store_endpoint_docs(self, endpoint: str, obj: AnyView, *rest: Any, **options: Any) -> None:
        super()._store_endpoint_docs(endpoint, obj, *rest, **options)
        for method, document in self._docs[endpoint].items():
            if method != "parameters":
                document["operation_id"] = obj.__name__


def _refusing_strays(view: AnyView, methods: set[str]) -> AnyView:
    declared = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    locations = {parameter["in"] for parameter in declared}
    reads_query = bool(locations & QUERY_LOCATIONS)
    reads_body = bool(locations & BODY_LOCATIONS) or not methods & COMMANDS
    if reads_query and reads_body:
        return view
    parser, no_query, no_body = Blueprint.ARGUMENTS_PARSER, QuerySchema(), EmptyBody()

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        has_query = not reads_query and request.query_string
        has_body = not reads_body and (request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ)
        if has_query or has_body:
            # A stranger learns that he is one before he learns what the view accepts.
            if policy := policy_of(view):
                policy.enforce()
                policy.settle()
            if has_query:
                parser.parse(no_query, location="query")
            if has_body:
                parser.parse(no_body, location="json")
        return view(*args, **kwargs)

    return guarded
