"""Leaderboards on the wire."""

from __future__ import annotations

from typing import Any, Final

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.core.languages import Text
from rebootcamp.schemas.base import Instant, PageArguments, QuerySchema, RequestSchema, String, page_of
from rebootcamp.schemas.progress import LearnerOut

PERIOD: Final = validate.Length(1, 20)
PERIODS: Final = {"description": "Of a board that has periods; without it the caller's current one."}
VIEWS: Final = ("neighbours", "full")
TIE_RULE: Final = Text(
    "Equal scores: who has held the score for longer stands higher; then the lower account number. What is taken back "
    "counts as never done.",
    "À égalité, la personne qui détient ce score depuis le plus longtemps passe devant ; puis le plus petit numéro de "
    "compte. Ce qui est retiré compte comme jamais fait.",
)


class PeriodArguments(QuerySchema):
    """Period of a board."""

    period = String(load_default=None, validate=PERIOD, metadata={**PERIODS, "example": "2026-11"})


class BoardArguments(PageArguments, PeriodArguments):
    """Period and paging of a board."""

    around = String(
        load_default=None,
        validate=validate.OneOf(["me"]),
        metadata={"description": "`me`: begin with the page in whose middle the caller stands."},
    )


class SettingsPatch(RequestSchema):
    """What an administrator changes about boards."""

    students_see = String(required=True, validate=validate.OneOf(VIEWS))


class Freeze(RequestSchema):
    """Which closed period to publish."""

    period = String(required=True, validate=PERIOD, metadata={"example": "2026-W46"})


class PlaceOut(ma.Schema):
    """A place. Equal scores: who has held it for longer stands higher."""

    rank = fields.Integer(required=True, validate=validate.Range(1))
    user = fields.Nested(LearnerOut, required=True)
    score = fields.Integer(required=True)
    reached_at = fields.DateTime(required=True)


class BoardOut(ma.Schema):
    """A page of a board, or the places around the caller where students see no more."""

    board = fields.String(required=True)
    period = fields.String(required=True)
    view = fields.String(required=True, validate=validate.OneOf(VIEWS))
    items = fields.List(fields.Nested(PlaceOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class NextUpOut(ma.Schema):
    """The place just ahead."""

    rank = fields.Integer(required=True)
    score = fields.Integer(required=True)
    points_to_pass = fields.Integer(
        required=True, metadata={"description": "So many points put the caller ahead, whatever the tie rule says."}
    )


class WhyRankOut(ma.Schema):
    """What explains a rank."""

    score = fields.Integer(required=True)
    reached_at = fields.DateTime(required=True, allow_none=True)
    tie_rule = fields.String(required=True)
    is_listed = fields.Boolean(required=True, metadata={"description": "Who is not listed takes no rank."})
    next = fields.Nested(NextUpOut, required=True, allow_none=True)


class MyRankOut(ma.Schema):
    """The caller's place, null without points or when not listed, among its neighbours."""

    board = fields.String(required=True)
    period = fields.String(required=True)
    rank = fields.Integer(required=True, allow_none=True)
    score = fields.Integer(required=True)
    reached_at = fields.DateTime(required=True, allow_none=True)
    neighbours = fields.List(fields.Nested(PlaceOut), required=True)
    why = fields.Nested(WhyRankOut, required=True)


class SettingsOut(ma.Schema):
    """What students see of a board: the places around their own, or all of it. Staff always see all of it."""

    students_see = fields.String(required=True, validate=validate.OneOf(VIEWS))


class SnapshotOut(ma.Schema):
    """A published board of a closed period; `sha256` is of its canonical JSON (docs/leaderboards.md)."""

    id = fields.Integer(required=True)
    board = fields.String(required=True)
    period = fields.String(required=True)
    places = fields.Integer(required=True, metadata={"description": "How many there are."})
    sha256 = fields.String(required=True)
    frozen_at = Instant(required=True)


class PlacedOut(ma.Schema):
    """Who; the name is today's, null for who is no longer listed: then other students are not told the id either."""

    id = fields.Integer(required=True, allow_none=True)
    display_name = fields.String(required=True, allow_none=True)


class SnapshotPlaceOut(PlaceOut):
    """A published place."""

    user = fields.Nested(PlacedOut, required=True)


class SnapshotPlacesOut(SnapshotOut):
    """A page of a published board, or the places around the caller's where students see no more."""

    view = fields.String(required=True, validate=validate.OneOf(VIEWS))
    items = fields.List(fields.Nested(SnapshotPlaceOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


SnapshotPage = page_of(SnapshotOut)


def render_place(place: Any) -> dict[str, Any]:
    """Return `PlaceOut` of a `services.leaderboards.Place`, or `SnapshotPlaceOut` of a `SnapshotPlace`."""
    return {
        "rank": place.rank,
        "user": {"id": place.user_id, "display_name": place.display_name},
        "score": place.score,
        "reached_at": iso(place.reached_at),
    }


def render_my_rank(mine: Any, language: str) -> dict[str, Any]:
    """Return `MyRankOut` of a `services.leaderboards.MyRank`."""
    facts = {"score": mine.score, "reached_at": mine.reached_at and iso(mine.reached_at)}
    ahead = mine.next_up
    why = {
        **facts,
        "tie_rule": TIE_RULE.resolve(language),
        "is_listed": mine.is_listed,
        "next": ahead and {"rank": ahead.rank, "score": ahead.score, "points_to_pass": mine.points_to_pass},
    }
    neighbours = [render_place(neighbour) for neighbour in mine.neighbours]
    rank = mine.place and mine.place.rank
    return {**render_board(mine.board), "rank": rank, **facts, "neighbours": neighbours, "why": why}


def render_board(board: Any) -> dict[str, Any]:
    """Return what names a `core.leaderboards.Board`."""
    return {"board": board.title, "period": board.period}


def render_snapshot(snapshot: Any) -> dict[str, Any]:
    """Return `SnapshotOut` of a `services.leaderboards.Snapshot`."""
    names = ("id", "board", "period", "places", "sha256")
    return {name: getattr(snapshot, name) for name in names} | {"frozen_at": iso(snapshot.frozen_at)}
