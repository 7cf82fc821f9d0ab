"""Maintenance on the wire: jobs with their last run, and the daily figures of use."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.schemas.base import Day, Instant, PageArguments, page_of

STATES = ("done", "failed", "running", "interrupted", "never")
STATE = {"description": "How the last run went; `interrupted`: its process died."}
CRON = {"description": "Advice: the five fields of a crontab, UTC.", "example": "10 3 * * *"}


class JobRunOut(ma.Schema):
    """One run; without an end it runs now, or died."""

    started_at = Instant(required=True)
    finished_at = Instant(required=True, allow_none=True)
    seconds = fields.Float(required=True, allow_none=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    error = fields.String(required=True, allow_none=True)


class JobOut(ma.Schema):
    """A maintenance job."""

    name = fields.String(required=True, metadata={"example": "expired-tokens"})
    purpose = fields.String(required=True)
    schedule = fields.String(required=True, metadata=CRON)
    state = fields.String(required=True, validate=validate.OneOf(STATES), metadata=STATE)
    last_run = fields.Nested(JobRunOut, required=True, allow_none=True)


class UsageArguments(PageArguments):
    """Which days to list."""

    since = Day(data_key="from", load_default=None, metadata={"description": "The first day."})
    until = Day(data_key="to", load_default=None, metadata={"description": "The last day."})


class UsageDayOut(ma.Schema):
    """What happened on one day, UTC; it never changes afterwards."""

    day = fields.Date(required=True)
    learners = fields.Integer(required=True, metadata={"description": "Learners who did something themselves."})
    events = fields.Integer(required=True, metadata={"description": "Facts recorded, automatic ones included."})
    completions = fields.Integer(required=True, metadata={"description": "Completions that became valid."})
    xp = fields.Integer(required=True, metadata={"description": "Experience given, less what was taken back."})


JobPage = page_of(JobOut)
UsageDayPage = page_of(UsageDayOut)


def render_job(status: Any, language: str) -> dict[str, Any]:
    """Return `JobOut` of a `services.jobs.JobStatus`."""
    return {
        "name": status.job.name,
        "purpose": status.job.purpose.resolve(language),
        "schedule": status.job.schedule,
        "state": status.state,
        "last_run": status.last and _render_run(status.last, status.seconds),
    }


def render_usage(day: Any) -> dict[str, Any]:
    """Return `UsageDayOut` of a counted day."""
    return {name: getattr(day, name) for name in ("day", "learners", "events", "completions", "xp")}


def _render_run(run: Any, seconds: float | None) -> dict[str, Any]:
    names = ("started_at", "finished_at", "counts", "error")
    return {**{name: getattr(run, name) for name in names}, "seconds": seconds}
