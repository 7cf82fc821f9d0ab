"""A small application made of the edge alone: no store is configured, so none can be touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from marshmallow import fields, validate

from rebootcamp.core.errors import Busy, DomainError, Forbidden, InvalidField, Kind, NotFound, StaleEdit
from rebootcamp.core.errors import Unauthenticated as NoToken
from rebootcamp.core.languages import Text as Bilingual
from rebootcamp.core.pages import Page
from rebootcamp.schemas.base import (
    Boolean,
    Instant,
    Integer,
    PageArguments,
    RequestSchema,
    String,
    Text,
    page_of,
)
from rebootcamp.web import problems, requests
from rebootcamp.web.converters import IdConverter
from rebootcamp.web.etags import etag_of, not_modified, require_match
from rebootcamp.web.openapi import ProblemApi
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import public
from rebootcamp.web.responses import OrjsonProvider, json_response


class Part(RequestSchema):
    size = Integer(required=True, validate=validate.Range(min=1))


class ThingCreate(RequestSchema):
    name = String(required=True, validate=validate.Length(1, 20))
    note = Text(load_default="")
    count = Integer(load_default=0)
    is_new = Boolean(load_default=False)
    starts_at = Instant()
    parts = fields.List(fields.Nested(Part), load_default=list)
    extra = fields.Dict(load_default=dict)


class ThingPatch(RequestSchema):
    note = Text()


class ThingOut(RequestSchema):
    name = String()
    count = Integer()


class ThingQuery(PageArguments):
    q = String(load_default="")
    tag = fields.List(String(), load_default=list)


class SeatsExhausted(DomainError):
    kind, code = Kind.CONFLICT, "seats_exhausted"
    title = Bilingual("No seat left", "Complet")
    detail = Bilingual("All {capacity} seats are taken.", "Les {capacity} places sont prises.")


FAILURES: dict[str, Any] = {
    "seats": lambda: SeatsExhausted(capacity=12),
    "not-found": lambda: NotFound("challenge"),
    "forbidden": Forbidden,
    "unauthenticated": NoToken,
    "stale": StaleEdit,
    "busy": Busy,
    "field": lambda: InvalidField("/name", Bilingual("Taken.", "Déjà pris."), "taken"),
    "bug": lambda: RuntimeError("the password is hunter2"),
    "nul": lambda: ValueError("A string literal cannot contain NUL (0x00) characters."),
    "surrogate": lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    "overflow": lambda: OverflowError("MongoDB can only handle up to 8-byte ints"),
}


def make_blueprint() -> Blueprint:
    """Return views that echo what they were given."""
    blueprint = Blueprint("things", __name__)

    @blueprint.route("/api/things", methods=["POST"])
    @public
    @blueprint.arguments(ThingCreate)
    @blueprint.response(201, ThingOut)
    def create_thing(body: dict[str, Any]) -> dict[str, Any]:
        """Create a thing."""
        return body

    @blueprint.route("/api/things/<id:thing_id>", methods=["PATCH"])
    @public
    @blueprint.arguments(ThingPatch)
    @blueprint.response(200, ThingOut)
    def edit_thing(body: dict[str, Any], thing_id: int) -> dict[str, Any]:
        """Edit a thing."""
        require_match(etag_of("thing", thing_id, 3))
        return {"name": body.get("note", ""), "count": thing_id}

    @blueprint.route("/api/things")
    @public
    @blueprint.arguments(ThingQuery, location="query")
    @blueprint.response(200, page_of(ThingOut))
    def list_things(query: dict[str, Any]) -> Page[dict[str, Any]]:
        """List things."""
        return Page([{"name": query["q"] or "-", "count": query["page"].limit}], query["page"].cursor)

    @blueprint.route("/api/things/<id:thing_id>")
    @public
    @blueprint.response(200, ThingOut)
    def get_thing(thing_id: int) -> Response:
        """Show a thing."""
        etag = etag_of("thing", thing_id, 3)
        return not_modified(etag) or json_response({"name": "a", "count": thing_id}, etag=etag)

    @blueprint.route("/api/things/<id:thing_id>/touch", methods=["POST"])
    @public
    def touch_thing(thing_id: int) -> Response:
        """Touch a thing."""
        return json_response({"count": thing_id})

    @blueprint.route("/api/failures/<name>")
    @public
    def fail(name: str) -> Response:
        """Fail as asked."""
        error = FAILURES[name]()
        raise error

    return blueprint


@pytest.fixture
def edge() -> Flask:
    """The application under test."""
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=100_000, PROPAGATE_EXCEPTIONS=False)
    app.json = OrjsonProvider(app)
    app.url_map.converters["id"] = IdConverter
    requests.register(app)
    problems.register(app)
    ProblemApi(app, version="1.0").register_blueprint(make_blueprint())
    return app


@pytest.fixture
def client(edge: Flask) -> Iterator[FlaskClient]:
    """A client of that application."""
    with edge.test_client() as client:
        yield client
