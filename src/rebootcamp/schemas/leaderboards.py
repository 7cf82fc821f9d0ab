"""Leaderboards on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.schemas.base import PageArguments, QuerySchema, String
from rebootcamp.schemas.progress import LearnerOut

PERIOD = validate.Length(1, 20)


class BoardArguments(PageArguments):
    """Period and paging of a board."""

    period = String(load_default=None, validate=PERIOD)


class PeriodArguments(QuerySchema):
    """Period of a board."""

    period = String(load_default=None, validate=PERIOD)


class PlaceOut(ma.Schema):
    """A place. Equal scores: who reached it first stands higher."""

    rank = fields.Integer(required=True, validate=validate.Range(1))
    user = fields.Nested(LearnerOut, required=True)
    score = fields.Integer(required=True)
    reached_at = fields.DateTime(required=True)


class BoardOut(ma.Schema):
    """A page of a board."""

    board = fields.String(required=True)
    items = fields.List(fields.Nested(PlaceOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class MyRankOut(ma.Schema):
    """The caller's place, null without a score, among its neighbours."""

    board = fields.String(required=True)
    rank = fields.Integer(required=True, allow_none=True)
    score = fields.Integer(required=True)
    reached_at = fields.DateTime(required=True, allow_none=True)
    neighbours = fields.List(fields.Nested(PlaceOut), required=True)


def render_place(place: Any) -> dict[str, Any]:
    """Return `PlaceOut` of a `services.leaderboards.Place`."""
    return {
        "rank": place.rank,
        "user": {"id": place.user_id, "display_name": place.display_name},
        "score": place.score,
        "reached_at": iso(place.reached_at),
    }


def render_my_rank(mine: Any) -> dict[str, Any]:
    """Return `MyRankOut`, without `board`, of a `services.leaderboards.MyRank`."""
    place = mine.place
    return {
        "rank": place and place.rank,
        "score": place.score if place else 0,
        "reached_at": place and iso(place.reached_at),
        "neighbours": [render_place(neighbour) for neighbour in mine.neighbours],
    }
