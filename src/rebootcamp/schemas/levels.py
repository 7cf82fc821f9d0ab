"""Levels on the wire."""

from __future__ import annotations

from collections import Counter
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.languages import pick
from rebootcamp.core.levels import MAX_FLOOR, MAX_LEVELS, MIN_LEVELS
from rebootcamp.schemas.base import Integer, RequestSchema, String
from rebootcamp.schemas.progress import LevelOut, render_level


class LevelTextsIn(RequestSchema):
    """The name of a level in one language."""

    name = String(required=True, validate=validate.Length(1, 80))


class LevelTranslationsIn(RequestSchema):
    """Both languages."""

    en = fields.Nested(LevelTextsIn, required=True)
    fr = fields.Nested(LevelTextsIn, required=True)


class LevelIn(RequestSchema):
    """A level of a new curve; its number is its place."""

    xp_floor = Integer(required=True, validate=validate.Range(0, MAX_FLOOR))
    translations = fields.Nested(LevelTranslationsIn, required=True)


class CurveIn(RequestSchema):
    """A whole curve: the first level begins at 0 XP, each next one above the one before."""

    levels = fields.List(fields.Nested(LevelIn), required=True, validate=validate.Length(MIN_LEVELS, MAX_LEVELS))


class LevelTexts(ma.Schema):
    """The name in one language."""

    name = fields.String(required=True)


class CurveLevelOut(ma.Schema):
    """A level of the curve in the caller's language; `xp_next` is null on the last one."""

    number = fields.Integer(required=True)
    name = fields.String(required=True)
    xp_floor = fields.Integer(required=True)
    xp_next = fields.Integer(required=True, allow_none=True)
    translations = fields.Dict(keys=fields.String(), values=fields.Nested(LevelTexts), required=True)


class CurveOut(ma.Schema):
    """The curve in force, always on one page."""

    items = fields.List(fields.Nested(CurveLevelOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    unreachable = fields.List(
        fields.Integer(),
        metadata={"description": "For administrators: levels above the XP that challenges and badges can give."},
    )


class PreviewLevelOut(ma.Schema):
    """How many learners stand on a level now, and would."""

    number = fields.Integer(required=True)
    before = fields.Integer(required=True)
    after = fields.Integer(required=True)


class MoverOut(ma.Schema):
    """A learner who would move."""

    user_id = fields.Integer(required=True)
    display_name = fields.String(required=True)
    xp = fields.Integer(required=True)
    before = fields.Integer(required=True)
    after = fields.Integer(required=True)


class CurvePreviewOut(ma.Schema):
    """What a curve would change; `reachable_xp` is null where challenges repeat for ever: then
    `reachable_once` can be had, and `reachable_again` in every period of a cadence.
    """

    up = fields.Integer(required=True)
    down = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    levels = fields.List(fields.Nested(PreviewLevelOut), required=True)
    sample = fields.List(fields.Nested(MoverOut), required=True)
    reachable_xp = fields.Integer(required=True, allow_none=True)
    reachable_once = fields.Integer(required=True)
    reachable_again = fields.Dict(
        keys=fields.String(), values=fields.Integer(), required=True, metadata={"example": {"daily": 12, "weekly": 50}}
    )
    unreachable = fields.List(fields.Integer(), required=True)
    took_ms = fields.Float(required=True)


class XpReasonOut(ma.Schema):
    """XP of one kind: `challenge`, `badge`, or what was taken back of them."""

    reason = fields.String(required=True)
    xp = fields.Integer(required=True)
    entries = fields.Integer(required=True)


class CrossingOut(ma.Schema):
    """The event that led to the level, with the XP total that it made."""

    event_id = fields.UUID(required=True)
    reason = fields.String(required=True)
    category = fields.String(required=True, allow_none=True)
    points = fields.Integer(required=True)
    xp = fields.Integer(required=True)
    local_date = fields.Date(required=True)


class LevelReasonsOut(LevelOut):
    """A level and how it follows: the reasons sum to `xp`; `crossing` is null on the first level."""

    reasons = fields.List(fields.Nested(XpReasonOut), required=True)
    crossing = fields.Nested(CrossingOut, required=True, allow_none=True)


def render_curve(view: Any, language: str) -> dict[str, Any]:
    """Return `CurveOut` of a `services.levels.CurveView`."""
    items = [
        {
            "number": level.number,
            "name": pick(level.translations, language)["name"],
            "xp_floor": level.xp_floor,
            "xp_next": level.xp_next,
            "translations": level.translations,
        }
        for level in view.curve
    ]
    told = {} if view.unreachable is None else {"unreachable": view.unreachable}
    return {"items": items, "next_cursor": None, **told}


def render_preview(preview: Any) -> dict[str, Any]:
    """Return `CurvePreviewOut` of a `services.levels.Preview`."""
    before, after, ways = Counter[int](), Counter[int](), Counter[int]()
    for move in preview.moves:
        before[move["before"]] += move["learners"]
        after[move["after"]] += move["learners"]
        ways[(move["after"] > move["before"]) - (move["after"] < move["before"])] += move["learners"]
    numbers = range(1, max(preview.levels, *before, *after) + 1)
    return {
        "up": ways[+1],
        "down": ways[-1],
        "unchanged": ways[0],
        "levels": [{"number": n, "before": before[n], "after": after[n]} for n in numbers],
        "sample": preview.sample,
        "reachable_xp": preview.reach.limit,
        "reachable_once": preview.reach.once,
        "reachable_again": preview.reach.again,
        "unreachable": preview.unreachable,
        "took_ms": preview.took_ms,
    }


def render_level_reasons(why: Any, language: str) -> dict[str, Any]:
    """Return `LevelReasonsOut` of a `services.levels.LevelReasons`."""
    crossing = why.crossing and {name: why.crossing[name] for name in CrossingOut._declared_fields}
    return {**render_level(why.level, why.xp, language), "reasons": why.reasons, "crossing": crossing}
