"""The calendar of rest days on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.languages import pick
from rebootcamp.schemas.base import Day, Integer, PageArguments, RequestSchema, String, page_of

WEEKDAY = {"description": "Only this day of each week, 1 is Monday; null: every date.", "example": 7}


class RestNamesIn(RequestSchema):
    """The name in both languages."""

    en = String(required=True, validate=validate.Length(1, 80))
    fr = String(required=True, validate=validate.Length(1, 80))


class RestDayCreate(RequestSchema):
    """Rest days to come, both ends included; a weekly one may stay open."""

    weekday = Integer(load_default=None, allow_none=True, validate=validate.Range(1, 7), metadata=WEEKDAY)
    starts_on = Day(required=True)
    ends_on = Day(load_default=None, allow_none=True)
    translations = fields.Nested(RestNamesIn, required=True)


class RestDayPatch(RequestSchema):
    """Changes to rest days; what is left out stays."""

    weekday = Integer(allow_none=True, validate=validate.Range(1, 7), metadata=WEEKDAY)
    starts_on = Day()
    ends_on = Day(allow_none=True)
    translations = fields.Nested(RestNamesIn)


class RestDayOut(ma.Schema):
    """Rest days of the institution: without activity they neither break a streak nor add to it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    weekday = fields.Integer(required=True, allow_none=True)
    starts_on = fields.Date(required=True)
    ends_on = fields.Date(required=True, allow_none=True)
    translations = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    version = fields.Integer(required=True)


class CalendarArguments(PageArguments):
    """Paging of the calendar."""


RestDayPage = page_of(RestDayOut)


def render_rest_day(rest: Any, language: str) -> dict[str, Any]:
    """Return `RestDayOut` of an entity."""
    return {
        "id": rest.id,
        "name": pick(rest.translations, language),
        "weekday": rest.weekday,
        "starts_on": rest.starts_on.isoformat(),
        "ends_on": rest.ends_on and rest.ends_on.isoformat(),
        "translations": rest.translations,
        "version": rest.version,
    }
