"""Badges on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.badges import HOLDERS, JOB_STATES, SEVERITIES, TIERS
from rebootcamp.core.languages import pick
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
from rebootcamp.schemas.challenges import CODE, EvidenceIn
from rebootcamp.schemas.goals import AdvanceOut

VALIDITY = validate.Range(1, 3660)


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
    is_revocable = Boolean(load_default=True)
    valid_days = Integer(load_default=None, allow_none=True, validate=VALIDITY)


class BadgePatch(RequestSchema):
    """Changes to a badge; what is left out stays."""

    tier = String(validate=validate.OneOf(TIERS))
    points = Integer(validate=validate.Range(0, 10_000))
    icon = String(validate=validate.Length(1, 16))
    criteria = fields.Dict(keys=fields.String())
    translations = fields.Nested(BadgeTranslationsIn)
    is_active = Boolean()
    is_revocable = Boolean()
    valid_days = Integer(allow_none=True, validate=VALIDITY)
    holders = String(
        load_default="keep",
        validate=validate.OneOf(HOLDERS),
        metadata={"description": "Whether those who hold the badge keep it, or are judged by the new rule."},
    )


class BadgeTrial(RequestSchema):
    """Criteria to try, as a change of badge `code` or as a new badge."""

    code = String(load_default=None, validate=CODE)
    criteria = fields.Dict(keys=fields.String(), required=True)


class BadgeArguments(PageArguments):
    """Filter of the catalogue."""

    tier = String(load_default=None, validate=validate.OneOf(TIERS))


class ManualAward(RequestSchema):
    """A badge given by hand."""

    code = String(required=True, validate=CODE)
    reason = Text(required=True, validate=validate.Length(1, 500))
    evidence = fields.Nested(EvidenceIn, load_default=None)
    expires_at = Instant(load_default=None)


class AwardRevocation(RequestSchema):
    """Why a badge is taken back."""

    reason = Text(required=True, validate=validate.Length(1, 500))


class BadgeTexts(ma.Schema):
    """Name and description in one language."""

    name = fields.String(required=True)
    description = fields.String(required=True)


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
    rule_version = fields.Integer(
        required=True, metadata={"description": "The version in which the rule last changed."}
    )
    is_active = fields.Boolean(required=True)
    is_revocable = fields.Boolean(
        required=True, metadata={"description": "Whether the badge falls with the facts it rests on."}
    )
    valid_days = fields.Integer(required=True, allow_none=True, metadata={"description": "How long an award lasts."})
    holders = fields.Integer(required=True)
    advance = fields.Nested(AdvanceOut, required=True)
    translations = fields.Dict(keys=fields.String(), values=fields.Nested(BadgeTexts), required=True)


BadgePage = page_of(BadgeOut)


class RuleOut(ma.Schema):
    """One of the rules that a badge had."""

    version = fields.Integer(required=True)
    criteria = fields.Dict(required=True)
    criteria_text = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    created_by = fields.Integer(required=True, allow_none=True)


RulePage = page_of(RuleOut)


class FindingOut(ma.Schema):
    """Something wrong (`error`) or odd (`warning`); `subject` is `badge:…`, `challenge:…` or `level:…`."""

    code = fields.String(required=True)
    severity = fields.String(required=True, validate=validate.OneOf(SEVERITIES))
    subject = fields.String(required=True)
    message = fields.String(required=True)


FindingPage = page_of(FindingOut)


class ChangeOut(ma.Schema):
    """One learner who would gain or lose the badge; `met_on` is the local date on which the rule was first met."""

    user_id = fields.Integer(required=True)
    display_name = fields.String(required=True)
    change = fields.String(required=True, validate=validate.OneOf(("gain", "lose")))
    met_on = fields.Date(required=True, allow_none=True)


class PreviewOut(ma.Schema):
    """Who would gain or lose; `is_complete` is false when the time was up after `examined` of `learners`."""

    criteria_text = fields.String(required=True)
    learners = fields.Integer(required=True)
    examined = fields.Integer(required=True)
    would_gain = fields.Integer(required=True)
    would_lose = fields.Integer(required=True)
    would_keep = fields.Integer(required=True)
    is_complete = fields.Boolean(required=True)
    took_ms = fields.Integer(required=True)
    sample = fields.List(fields.Nested(ChangeOut), required=True)


class BackfillOut(ma.Schema):
    """How far the back-fill of a badge is."""

    badge = fields.String(required=True)
    rule_version = fields.Integer(required=True)
    holders = fields.String(required=True, validate=validate.OneOf(HOLDERS))
    state = fields.String(required=True, validate=validate.OneOf(JOB_STATES))
    learners = fields.Integer(required=True)
    examined = fields.Integer(required=True)
    awarded = fields.Integer(required=True)
    revoked = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


def render_rule(rule: Any, criteria_text: str) -> dict[str, Any]:
    """Return `RuleOut` of a stored rule."""
    return {
        "version": rule.version,
        "criteria": rule.criteria,
        "criteria_text": criteria_text,
        "created_at": clock.iso(rule.created_at),
        "created_by": rule.created_by,
    }


def render_finding(finding: Any, language: str) -> dict[str, Any]:
    """Return `FindingOut` of a finding."""
    return {**vars(finding), "message": finding.message.resolve(language)}


def render_preview(preview: Any, criteria_text: str) -> dict[str, Any]:
    """Return `PreviewOut` of a `services.badges.Preview`."""
    return {**vars(preview), "criteria_text": criteria_text}


def render_backfill(job: Any) -> dict[str, Any]:
    """Return `BackfillOut` of a job."""
    counts = {name: getattr(job, name) for name in ("learners", "examined", "awarded", "revoked")}
    return {
        "badge": job.badge_code,
        "rule_version": job.rule_version,
        "holders": job.holders,
        "state": job.state,
        **counts,
        "created_at": clock.iso(job.created_at),
        "updated_at": clock.iso(job.updated_at),
    }


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
        "rule_version": row["rule_version"],
        "is_revocable": row["is_revocable"],
        "valid_days": row["valid_days"],
        "is_active": row["is_active"],
        "holders": row["holders"],
        "advance": {"value": view.value, "target": view.target},
        "translations": row["translations"],
    }
