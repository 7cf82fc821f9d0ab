"""Streaks on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.languages import pick
from rebootcamp.schemas.base import Day, RequestSchema

DAY_STATES = ("counted", "open", "rest", "frozen", "repaired", "bridged", "missed")


class ProtectedDay(RequestSchema):
    """A date of one's own calendar."""

    on = Day(required=True, metadata={"example": "2026-11-24"})


class StreaksOut(ma.Schema):
    """Streaks by the learner's calendar: `local_date` ends at `deadline`; activity until `keep_by` keeps the daily one.

    `freezes` can be placed; `frozen` are the dates from today on that one protects.
    """

    daily = fields.Integer(required=True)
    longest_daily = fields.Integer(required=True)
    perfect_quiz = fields.Integer(required=True)
    local_date = fields.Date(required=True)
    deadline = fields.DateTime(required=True)
    keep_by = fields.DateTime(required=True)
    freezes = fields.Integer(required=True)
    frozen = fields.List(fields.Date(), required=True)


class ExplainedDay(ma.Schema):
    """What one date did to the run; `name`: how the calendar calls a rest day."""

    on = fields.Date(required=True)
    state = fields.String(required=True, validate=validate.OneOf(DAY_STATES))
    name = fields.String(required=True, allow_none=True)


class StreakOut(StreaksOut):
    """The streaks and why: `days` newest first, at most sixty, down to the missed one that ended the run before.

    `days_to_freeze` is null when the bank is full; `repairable_on` is the missed date that a repair would mend.
    """

    timezone = fields.String(required=True)
    day_start_hour = fields.Integer(required=True)
    days_to_freeze = fields.Integer(required=True, allow_none=True)
    repair_from = fields.Date(required=True)
    repairable_on = fields.Date(required=True, allow_none=True)
    days = fields.List(fields.Nested(ExplainedDay), required=True)


def render_streaks(diary: Any) -> dict[str, Any]:
    """Return `StreaksOut` of a `services.progress.streaks.Diary`."""
    return {
        "daily": diary.daily,
        "longest_daily": diary.streak.longest,
        "perfect_quiz": diary.streak.perfect_quizzes,
        "local_date": diary.today.isoformat(),
        "deadline": clock.iso(diary.deadline),
        "keep_by": clock.iso(diary.keep_by),
        "freezes": diary.freezes,
        "frozen": [day.isoformat() for day in diary.frozen],
    }


def render_streak(view: Any, language: str) -> dict[str, Any]:
    """Return `StreakOut` of a `services.progress.StreakView`."""
    diary = view.diary
    return {
        **render_streaks(diary),
        "timezone": diary.days.rule_at(diary.now).timezone,
        "day_start_hour": diary.days.rule_at(diary.now).start_hour,
        "days_to_freeze": view.days_to_freeze,
        "repair_from": view.repair_from.isoformat(),
        "repairable_on": view.repairable_on and view.repairable_on.isoformat(),
        "days": [
            {"on": day.on.isoformat(), "state": day.state, "name": day.names and pick(day.names, language)}
            for day in view.explained
        ],
    }
