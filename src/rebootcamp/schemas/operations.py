"""Answers about the service itself."""

from __future__ import annotations

import marshmallow as ma
from marshmallow import fields


class Liveness(ma.Schema):
    """The process answers."""

    status = fields.Constant("alive")


class StoreCheck(ma.Schema):
    """One store."""

    status = fields.String(required=True, metadata={"enum": ["up", "down"]})
    latency_ms = fields.Float(required=True, allow_none=True)


class OutboxCheck(ma.Schema):
    """What waits to be shown in MongoDB."""

    pending = fields.Integer(required=True)
    oldest_seconds = fields.Float(required=True)
    dead_letters = fields.Integer(required=True)


class MailsCheck(ma.Schema):
    """What waits to be sent by mail."""

    waiting = fields.Integer(required=True)
    oldest_seconds = fields.Float(required=True)
    dead = fields.Integer(required=True, metadata={"description": "Given up: `flask mails redrive` tries again."})


class JobsCheck(ma.Schema):
    """How maintenance goes."""

    troubled = fields.List(
        fields.String(), required=True, metadata={"description": "Jobs whose last run failed or died."}
    )


class Checks(ma.Schema):
    """Everything a request needs."""

    postgresql = fields.Nested(StoreCheck, required=True)
    mongodb = fields.Nested(StoreCheck, required=True)
    outbox = fields.Nested(OutboxCheck, required=True, allow_none=True)
    mails = fields.Nested(MailsCheck, required=True, allow_none=True)
    jobs = fields.Nested(JobsCheck, required=True, allow_none=True)


class ReadinessOut(ma.Schema):
    """Whether requests can be served, and why."""

    status = fields.String(required=True, metadata={"enum": ["ready", "degraded"]})
    checks = fields.Nested(Checks, required=True)
