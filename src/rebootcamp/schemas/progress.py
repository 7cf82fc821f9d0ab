"""Progress, history, awards and score on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.badges import ORIGINS, TIERS
from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.core.languages import pick
from rebootcamp.schemas.base import PageArguments, String, page_of
from rebootcamp.schemas.challenges import ScoreOut, render_completion
from rebootcamp.schemas.streaks import StreaksOut, render_streaks
from rebootcamp.schemas.summaries import Names, badge_name, summarise

AWARD_STATES = ("held", "revoked")


class HistoryArguments(PageArguments):
    """Filter and paging of the history."""

    type = String(load_default=None, validate=validate.Length(1, 80))


class AwardArguments(PageArguments):
    """Filter and paging of the awards."""

    state = String(load_default="held", validate=validate.OneOf(AWARD_STATES))


class ScoreArguments(PageArguments):
    """Paging of the score."""


class LearnerOut(ma.Schema):
    """Who."""

    id = fields.Integer(required=True)
    display_name = fields.String(required=True)


class LevelOut(ma.Schema):
    """Where the XP total stands; `xp_next` is null on the last level."""

    number = fields.Integer(required=True)
    name = fields.String(required=True)
    xp = fields.Integer(required=True)
    xp_floor = fields.Integer(required=True)
    xp_next = fields.Integer(required=True, allow_none=True)


class CategoryOut(ma.Schema):
    """One category's share."""

    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES))
    completed = fields.Integer(required=True)
    points = fields.Integer(required=True)


class ChallengesOut(ma.Schema):
    """`completed`: different challenges ever completed; `completion_rate`: of those open now, from 0 to 1."""

    completed = fields.Integer(required=True)
    published = fields.Integer(required=True)
    completion_rate = fields.Float(required=True, validate=validate.Range(0, 1))
    by_category = fields.List(fields.Nested(CategoryOut), required=True)


class EcoOut(ma.Schema):
    """Estimated savings."""

    co2e_grams_saved = fields.Integer(required=True)


class HeldBadge(ma.Schema):
    """A badge that the learner holds."""

    code = fields.String(required=True)
    name = fields.String(required=True)
    tier = fields.String(required=True, validate=validate.OneOf(TIERS))
    points = fields.Integer(required=True)
    awarded_at = fields.DateTime(required=True)


class EventOut(ma.Schema):
    """Something that happened, said in a sentence and as data."""

    id = fields.UUID(required=True)
    seq = fields.Integer(required=True)
    type = fields.String(required=True)
    at = fields.DateTime(required=True)
    summary = fields.String(required=True)
    data = fields.Dict(required=True)


class ConsistencyOut(ma.Schema):
    """How far MongoDB was; the figures are never behind. Degraded: MongoDB was away."""

    seq = fields.Integer(required=True)
    projected_seq = fields.Integer(required=True)
    degraded = fields.Boolean(required=True)


class ProgressOut(ma.Schema):
    """A learner's progress, joined from both stores."""

    user = fields.Nested(LearnerOut, required=True)
    score = fields.Nested(ScoreOut, required=True)
    level = fields.Nested(LevelOut, required=True)
    challenges = fields.Nested(ChallengesOut, required=True)
    streaks = fields.Nested(StreaksOut, required=True)
    eco = fields.Nested(EcoOut, required=True)
    badges = fields.List(fields.Nested(HeldBadge), required=True)
    recent = fields.List(fields.Nested(EventOut), required=True)
    consistency = fields.Nested(ConsistencyOut, required=True)


class AwardOut(HeldBadge):
    """An award with its reasons."""

    state = fields.String(required=True, validate=validate.OneOf(AWARD_STATES))
    origin = fields.String(required=True, allow_none=True, validate=validate.OneOf(ORIGINS))
    rule_version = fields.Integer(required=True, allow_none=True)
    evidence = fields.Dict(required=True)
    event_id = fields.UUID(required=True, allow_none=True)
    seq = fields.Integer(required=True)
    revoked_at = fields.DateTime(required=True, allow_none=True)
    revoke_reason = fields.String(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, allow_none=True)
    why = fields.String(required=True, metadata={"description": "The rule as it was then, in words, and what it saw."})


class ScoreItemOut(ma.Schema):
    """Points that one event gave or took back."""

    points = fields.Integer(required=True)
    source = fields.String(required=True, validate=validate.OneOf(("challenge", "badge")))
    event_id = fields.UUID(required=True)
    type = fields.String(required=True)
    reason = fields.String(required=True)
    at = fields.DateTime(required=True)
    local_date = fields.Date(required=True)
    seq = fields.Integer(required=True)
    data = fields.Dict(required=True)


HistoryPage, AwardPage, ScorePage = page_of(EventOut), page_of(AwardOut), page_of(ScoreItemOut)


def render_progress(progress: Any, names: Names, language: str) -> dict[str, Any]:
    """Return `ProgressOut` of a `services.progress.Progress`."""
    row, summary = progress.row, progress.summary
    challenge_points, badge_points = row["challenge_points"], summary.totals["badge_points"]
    return {
        "user": {"id": row["user_id"], "display_name": row["display_name"]},
        "score": _score(challenge_points, badge_points),
        "level": render_level(progress.level, row["xp_total"], language),
        "challenges": _challenges(progress),
        "streaks": render_streaks(progress.diary),
        "eco": {"co2e_grams_saved": progress.co2e_grams},
        "badges": [_held_badge(badge, names, language) for badge in summary.badges],
        "recent": [render_event(event, event["id"], names, language) for event in summary.recent],
        "consistency": {
            "seq": row["last_seq"],
            "projected_seq": progress.projected_seq,
            "degraded": progress.is_degraded,
        },
    }


def render_level(level: Any, xp: int, language: str) -> dict[str, Any]:
    """Return `LevelOut` of a `services.gamification.levels.Level`."""
    return {
        "number": level.number,
        "name": pick(level.translations, language)["name"],
        "xp": xp,
        "xp_floor": level.xp_floor,
        "xp_next": level.xp_next,
    }


def render_event(event: Mapping[str, Any], event_id: str, names: Names, language: str) -> dict[str, Any]:
    """Return `EventOut` of a stored event."""
    return {
        "id": event_id,
        "seq": event["seq"],
        "type": event["type"],
        "at": clock.iso(event["at"]),
        "summary": summarise(event["type"], event["data"], names, language),
        "data": event["data"],
    }


def render_award(award: Mapping[str, Any], names: Names, why: str, language: str) -> dict[str, Any]:
    """Return `AwardOut` of an `awards` document."""
    expires_at = award.get("expires_at")
    return {
        "code": award["badge"],
        "name": badge_name(award["badge"], names, language),
        "tier": award["tier"],
        "points": award["points"],
        "awarded_at": clock.iso(award["awarded_at"]),
        "state": award["state"],
        "origin": award["origin"],
        "rule_version": award["rule_version"],
        "evidence": award["evidence"],
        "event_id": award["event_id"],
        "seq": award["seq"],
        "revoked_at": award["revoked_at"] and clock.iso(award["revoked_at"]),
        "revoke_reason": award["revoke_reason"],
        "expires_at": expires_at and clock.iso(expires_at),
        "why": why,
    }


def render_score_item(item: Any, names: Names, language: str) -> dict[str, Any]:
    """Return `ScoreItemOut` of a `services.progress.ScoreItem`."""
    event = item.event
    data = event.fact.payload()
    return {
        "points": item.points,
        "source": item.source,
        "event_id": str(event.event_id),
        "type": event.fact.type,
        "reason": summarise(event.fact.type, data, names, language),
        "at": clock.iso(event.occurred_at),
        "local_date": event.local_date.isoformat(),
        "seq": event.seq,
        "data": data,
    }


def render_completed(completion: Any, rewards: Any, names: Names, language: str) -> dict[str, Any]:
    """Return `CompletedOut` of a completion and the `Rewards` it brought."""
    badges = [
        {"code": b.badge, "name": badge_name(b.badge, names, language), "tier": b.tier, "points": b.points}
        for b in rewards.badges
    ]
    return {
        "completion": render_completion(completion),
        "rewards": {
            "points": rewards.points,
            "xp": rewards.xp,
            "badges": badges,
            "goals": [
                {"challenge_id": goal.challenge_id, "title": pick(goal.titles, language), "points": goal.points}
                for goal in rewards.goals
            ],
            "level": {"before": rewards.level_before, "after": rewards.level_after},
            "streak": {"daily": rewards.daily_streak},
        },
        "score": _score(rewards.totals.challenge_points, rewards.totals.badge_points),
    }


def _score(challenge_points: int, badge_points: int) -> dict[str, int]:
    return {
        "total": challenge_points + badge_points,
        "challenge_points": challenge_points,
        "badge_points": badge_points,
    }


def _challenges(progress: Any) -> dict[str, Any]:
    published = progress.row["published"]
    rate = progress.row["published_completed"] / published if published else 0.0
    return {
        "completed": progress.completed,
        "published": published,
        "completion_rate": round(rate, 4),
        "by_category": [
            {"category": category, "completed": completed, "points": points}
            for category, completed, points in progress.by_category
        ],
    }


def _held_badge(badge: Mapping[str, Any], names: Names, language: str) -> dict[str, Any]:
    return {
        "code": badge["code"],
        "name": badge_name(badge["code"], names, language),
        "tier": badge["tier"],
        "points": badge["points"],
        "awarded_at": clock.iso(badge["awarded_at"]),
    }
