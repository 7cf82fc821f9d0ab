"""Badges on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.badges import TIERS
from rebootcamp.core.languages import pick
from rebootcamp.schemas.base import Boolean, Integer, Message, PageArguments, RequestSchema, String, Text, page_of

NOT_A_CODE = Message("Must be lower-case words joined by underscores.", "Mots en minuscules reliés par des tirets bas.")
CODE = validate.And(validate.Length(1, 60), validate.Regexp(r"^[a-z][a-z0-9_]*$", error=NOT_A_CODE))


class BadgeTextsIn(RequestSchema):
    """The texts of a badge in one language."""

    name = String(required=True, validate=validate.Length(1, 80))
    description = Text(required=True, validate=validate.Length(1, 1000))


class BadgeTranslationsIn(RequestSchema):
    """Both languages."""

    en = fields.Nested(BadgeTextsIn, required=True)
    fr = fields.Nested(BadgeTextsIn, required=True)


class BadgeCreate(RequestSchema):
    """A new badge."""

    code = String(required=True, validate=CODE)
    tier = String(required=True, validate=validate.OneOf(TIERS))
    points = Integer(required=True, validate=validate.Range(0, 10_000))
    icon = String(load_default="🏅", validate=validate.Length(1, 16))
    criteria = fields.Dict(keys=fields.String(), required=True)
    translations = fields.Nested(BadgeTranslationsIn, required=True)
    is_active = Boolean(load_default=True)


class BadgePatch(RequestSchema):
    """Changes to a badge; what is left out stays."""

    tier = String(validate=validate.OneOf(TIERS))
    points = Integer(validate=validate.Range(0, 10_000))
    icon = String(validate=validate.Length(1, 16))
    criteria = fields.Dict(keys=fields.String())
    translations = fields.Nested(BadgeTranslationsIn)
    is_active = Boolean()


class BadgeArguments(PageArguments):
    """Filter of the catalogue."""

    tier = String(load_default=None, validate=validate.OneOf(TIERS))


class ManualAward(RequestSchema):
    """A badge given by hand."""

    code = String(required=True, validate=CODE)
    reason = Text(required=True, validate=validate.Length(1, 500))


class AwardRevocation(RequestSchema):
    """Why a badge is taken back."""

    reason = Text(required=True, validate=validate.Length(1, 500))


class BadgeTexts(ma.Schema):
    """Name and description in one language."""

    name = fields.String(required=True)
    description = fields.String(required=True)


class AdvanceOut(ma.Schema):
    """How far the caller is."""

    value = fields.Integer(required=True)
    target = fields.Integer(required=True)


class BadgeOut(ma.Schema):
    """A badge of the catalogue in the caller's language, with both translations."""

    code = fields.String(required=True)
    tier = fields.String(required=True, validate=validate.OneOf(TIERS))
    points = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    icon = fields.String(required=True)
    criteria = fields.Dict(required=True)
    criteria_text = fields.String(required=True)
    version = fields.Integer(required=True)
    is_active = fields.Boolean(required=True)
    holders = fields.Integer(required=True)
    advance = fields.Nested(AdvanceOut, required=True)
    translations = fields.Dict(keys=fields.String(), values=fields.Nested(BadgeTexts), required=True)


BadgePage = page_of(BadgeOut)


def render_badge(view: Any, criteria_text: str, language: str) -> dict[str, Any]:
    """Return `BadgeOut` of a `services.badges.BadgeView`."""
    row = view.row
    texts = pick(row["translations"], language)
    return {
        "code": row["code"],
        "tier": row["tier"],
        "points": row["points"],
        "name": texts["name"],
        "description": texts["description"],
        "icon": row["icon"],
        "criteria": row["criteria"],
        "criteria_text": criteria_text,
        "version": row["version"],
        "is_active": row["is_active"],
        "holders": row["holders"],
        "advance": {"value": view.value, "target": view.target},
        "translations": row["translations"],
    }
