"""Challenges on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.challenges import CADENCES, CATEGORIES, DIFFICULTIES, MAX_TEAM_TARGET, STATUSES, VALIDATIONS
from rebootcamp.core.clock import iso
from rebootcamp.core.languages import LANGUAGES, pick
from rebootcamp.schemas.base import (
    Boolean,
    Instant,
    Integer,
    Message,
    PageArguments,
    RequestSchema,
    String,
    Text,
    page_of,
    refuse,
)
from rebootcamp.schemas.goals import AdvanceOut, MyTeamOut, Say, WindowOut, render_pursuit

NOT_A_SLUG = Message("Must be lower-case words joined by hyphens.", "Mots en minuscules reliés par des traits d'union.")
SLUG = validate.Regexp(r"^[a-z0-9]+(-[a-z0-9]+)*$", error=NOT_A_SLUG)
NOT_A_CODE = Message("Must be lower-case words joined by underscores.", "Mots en minuscules reliés par des tirets bas.")
CODE = validate.And(validate.Length(1, 60), validate.Regexp(r"^[a-z][a-z0-9_]*$", error=NOT_A_CODE))
REWARD = {"description": "Code of the badge that completing it gives.", "example": "night_watch"}

MAX_REASON = 500
TEAM_TARGET = validate.Range(1, MAX_TEAM_TARGET)


class TranslationIn(RequestSchema):
    """The texts of a challenge in one language."""

    title = String(required=True, validate=validate.Length(1, 120))
    description = Text(required=True, validate=validate.Length(1, 4000))


class SourceIn(RequestSchema):
    """Where the CO2e figure comes from, in both languages."""

    en = Text(validate=validate.Length(1, 1000))
    fr = Text(validate=validate.Length(1, 1000))


class TranslationsIn(RequestSchema):
    """Texts by language; at least one."""

    en = fields.Nested(TranslationIn)
    fr = fields.Nested(TranslationIn)

    @ma.validates_schema
    def has_one(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a challenge without any text."""
        if not data:
            raise refuse("Give the texts in at least one language.", "Donnez les textes dans au moins une langue.")


class ChallengeCreate(RequestSchema):
    """A new challenge."""

    slug = String(load_default="", validate=validate.And(validate.Length(1, 80), SLUG))
    translations = fields.Nested(TranslationsIn)
    title = String(validate=validate.Length(1, 120), metadata={"description": "Short for `translations`."})
    description = Text(validate=validate.Length(1, 4000), metadata={"description": "Goes with `title`."})
    category = String(required=True, validate=validate.OneOf(CATEGORIES))
    difficulty = String(required=True, validate=validate.OneOf(DIFFICULTIES))
    points = Integer(required=True, validate=validate.Range(0, 10_000))
    co2e_grams = Integer(load_default=0, validate=validate.Range(0, 100_000_000))
    co2e_source = fields.Nested(SourceIn, load_default=dict)
    cadence = String(load_default="once", validate=validate.OneOf(CADENCES))
    validation = String(load_default="self", validate=validate.OneOf(VALIDATIONS))
    answers = fields.List(String(validate=validate.Length(1, 200)), load_default=list, validate=validate.Length(0, 20))
    is_published = Boolean(load_default=True)
    starts_at = Instant(load_default=None, allow_none=True)
    ends_at = Instant(load_default=None, allow_none=True)
    criteria = fields.Dict(
        keys=fields.String(),
        load_default=None,
        allow_none=True,
        metadata={"description": "With validation `criteria`: what completes it, in the rule language of badges."},
    )
    requires_joining = Boolean(load_default=False)
    team_target = Integer(
        load_default=None,
        allow_none=True,
        validate=TEAM_TARGET,
        metadata={"description": "What a group must reach together; `criteria` then say what each must give."},
    )
    reward_badge = String(load_default=None, allow_none=True, validate=CODE, metadata=REWARD)

    @ma.post_load
    def gather_texts(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take the plain `title` and `description` as both languages where no translation says otherwise."""
        title, description = data.pop("title", None), data.pop("description", None)
        if "translations" not in data:
            if title is None:
                raise refuse("Missing data for required field.", "Champ obligatoire.", "required", "translations")
            texts = {"title": title, "description": description or title}
            data["translations"] = dict.fromkeys(LANGUAGES, texts)
        return data


class ChallengePatch(RequestSchema):
    """Changes to a challenge; what is left out stays."""

    slug = String(validate=validate.And(validate.Length(1, 80), SLUG))
    translations = fields.Nested(TranslationsIn)
    category = String(validate=validate.OneOf(CATEGORIES))
    difficulty = String(validate=validate.OneOf(DIFFICULTIES))
    points = Integer(validate=validate.Range(0, 10_000))
    co2e_grams = Integer(validate=validate.Range(0, 100_000_000))
    co2e_source = fields.Nested(SourceIn)
    cadence = String(validate=validate.OneOf(CADENCES))
    validation = String(validate=validate.OneOf(VALIDATIONS))
    answers = fields.List(String(validate=validate.Length(1, 200)), validate=validate.Length(0, 20))
    is_published = Boolean()
    starts_at = Instant(allow_none=True)
    ends_at = Instant(allow_none=True)
    criteria = fields.Dict(keys=fields.String(), allow_none=True)
    requires_joining = Boolean()
    team_target = Integer(allow_none=True, validate=TEAM_TARGET)
    reward_badge = String(allow_none=True, validate=CODE, metadata=REWARD)


class ChallengeArguments(PageArguments):
    """Filters of the catalogue."""

    category = String(validate=validate.OneOf(CATEGORIES))
    difficulty = String(validate=validate.OneOf(DIFFICULTIES))
    cadence = String(validate=validate.OneOf(CADENCES))
    q = String(load_default=None, validate=validate.Length(1, 100))


class SubmissionArguments(PageArguments):
    """Paging of the submissions."""


class EvidenceIn(RequestSchema):
    """What the learner shows."""

    text = Text(validate=validate.Length(1, 2000))
    url = fields.Url(schemes={"http", "https"}, validate=validate.Length(1, 2000))


class Completion(RequestSchema):
    """A completion; all parts depend on the challenge's validation."""

    answer = String(load_default=None, validate=validate.Length(1, 200))
    evidence = fields.Nested(EvidenceIn, load_default=None)


class Reason(RequestSchema):
    """Why staff decided so."""

    reason = Text(required=True, validate=validate.Length(1, MAX_REASON))


class Texts(ma.Schema):
    """Title and description in one language."""

    title = fields.String(required=True)
    description = fields.String(required=True)


class ChallengeOut(ma.Schema):
    """A challenge in the caller's language, with both translations."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES))
    difficulty = fields.String(required=True, validate=validate.OneOf(DIFFICULTIES))
    points = fields.Integer(required=True)
    co2e_grams = fields.Integer(required=True, metadata={"description": "Grams of CO2e that one completion saves."})
    co2e_source = fields.String(required=True, allow_none=True)
    cadence = fields.String(required=True, validate=validate.OneOf(CADENCES))
    validation = fields.String(required=True, validate=validate.OneOf(VALIDATIONS))
    is_published = fields.Boolean(required=True)
    starts_at = fields.DateTime(required=True, allow_none=True)
    ends_at = fields.DateTime(required=True, allow_none=True)
    completed = fields.Boolean(required=True, metadata={"description": "Validly, by the caller, in this period."})
    criteria = fields.Dict(required=True, allow_none=True, metadata={"description": "What completes a timed one."})
    criteria_text = fields.String(required=True, allow_none=True)
    requires_joining = fields.Boolean(required=True)
    team_target = fields.Integer(required=True, allow_none=True)
    reward_badge = fields.String(required=True, allow_none=True, metadata=REWARD)
    joined = fields.Boolean(required=True, metadata={"description": "Whether the caller takes part."})
    advance = fields.Nested(AdvanceOut, required=True, allow_none=True, metadata={"description": "Of a timed one."})
    window = fields.Nested(
        WindowOut,
        required=True,
        allow_none=True,
        metadata={"description": "The dates that count now; null while closed, and when nothing is timed."},
    )
    is_counting = fields.Boolean(
        required=True, metadata={"description": "Whether what was done before is still being counted (a timed one)."}
    )
    translations = fields.Dict(keys=fields.String(), values=fields.Nested(Texts), required=True)
    version = fields.Integer(required=True)
    answers = fields.List(fields.String(), metadata={"description": "For those who may edit it."})
    archived_at = fields.DateTime(allow_none=True, metadata={"description": "For those who may edit it."})


class ChallengeDetail(ChallengeOut):
    """One challenge: with the badges that it gives or whose rules name it, and the caller's teams."""

    reward_badges = fields.List(fields.String(), required=True)
    teams = fields.List(fields.Nested(MyTeamOut), required=True)


class StaffChallengeOut(ChallengeOut):
    """A challenge as staff see it: with the accepted answers."""

    answers = fields.List(fields.String(), required=True)
    archived_at = fields.DateTime(required=True, allow_none=True)


ChallengePage = page_of(ChallengeOut)


class CompletionOut(ma.Schema):
    """One completion."""

    id = fields.Integer(required=True)
    challenge_id = fields.Integer(required=True)
    user_id = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    points = fields.Integer(required=True)
    completed_at = fields.DateTime(required=True)
    period = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)


class RewardBadge(ma.Schema):
    """A badge that a deed brought."""

    code = fields.String(required=True)
    name = fields.String(required=True)
    tier = fields.String(required=True)
    points = fields.Integer(required=True)


class RewardGoal(ma.Schema):
    """A timed challenge that a deed completed."""

    challenge_id = fields.Integer(required=True)
    title = fields.String(required=True)
    points = fields.Integer(required=True)


class LevelChange(ma.Schema):
    """Level numbers around a deed."""

    before = fields.Integer(required=True)
    after = fields.Integer(required=True)


class StreakNow(ma.Schema):
    """Streaks after a deed."""

    daily = fields.Integer(required=True)


class RewardsOut(ma.Schema):
    """Points and XP of the deed itself; each badge tells its own points."""

    points = fields.Integer(required=True)
    xp = fields.Integer(required=True)
    badges = fields.List(fields.Nested(RewardBadge), required=True)
    goals = fields.List(fields.Nested(RewardGoal), required=True)
    level = fields.Nested(LevelChange, required=True)
    streak = fields.Nested(StreakNow, required=True)


class ScoreOut(ma.Schema):
    """A score and its two parts."""

    total = fields.Integer(required=True)
    challenge_points = fields.Integer(required=True)
    badge_points = fields.Integer(required=True)


class CompletedOut(ma.Schema):
    """A completion with all that followed from it in the same transaction."""

    completion = fields.Nested(CompletionOut, required=True)
    rewards = fields.Nested(RewardsOut, required=True)
    score = fields.Nested(ScoreOut, required=True)


class SubmissionOut(CompletionOut):
    """A completion that waits for approval."""

    display_name = fields.String(required=True)
    challenge_title = fields.String(required=True)
    evidence = fields.Dict(required=True)


SubmissionPage = page_of(SubmissionOut)


def render_detail(view: Any, language: str, say: Say, *, for_staff: bool) -> dict[str, Any]:
    """Return `ChallengeDetail` of a `services.challenges.ChallengeView`."""
    return {
        **render_challenge(view, language, say, for_staff=for_staff),
        "reward_badges": list(view.reward_badges),
        "teams": [vars(team) for team in view.teams],
    }


def render_challenge(view: Any, language: str, say: Say, *, for_staff: bool) -> dict[str, Any]:
    """Return `ChallengeOut`, or `StaffChallengeOut`, of a `services.challenges.ChallengeView`."""
    challenge = view.challenge
    texts = pick(challenge.translations, language)
    source = pick(challenge.co2e_source, language) if challenge.co2e_source else None
    rendered = {
        "id": challenge.id,
        "slug": challenge.slug,
        "title": texts["title"],
        "description": texts["description"],
        "category": challenge.category,
        "difficulty": challenge.difficulty,
        "points": challenge.points,
        "co2e_grams": challenge.co2e_grams,
        "co2e_source": source,
        "cadence": challenge.cadence,
        "validation": challenge.validation,
        "is_published": challenge.is_published,
        "starts_at": challenge.starts_at and iso(challenge.starts_at),
        "ends_at": challenge.ends_at and iso(challenge.ends_at),
        "completed": view.completed,
        **render_pursuit(challenge, view.pursuit, say),
        "is_counting": view.is_counting,
        "reward_badge": challenge.reward_badge,
        "translations": challenge.translations,
        "version": challenge.version,
    }
    if for_staff:
        rendered["answers"] = challenge.answers
        rendered["archived_at"] = challenge.archived_at and iso(challenge.archived_at)
    return rendered


def render_completion(completion: Any) -> dict[str, Any]:
    """Return `CompletionOut` of an entity."""
    return {
        "id": completion.id,
        "challenge_id": completion.challenge_id,
        "user_id": completion.user_id,
        "status": completion.status,
        "points": completion.points,
        "completed_at": iso(completion.completed_at),
        "period": completion.period,
        "reason": completion.review_reason,
    }


def render_submission(completion: Any, challenge: Any, display_name: str, language: str) -> dict[str, Any]:
    """Return `SubmissionOut`."""
    return {
        **render_completion(completion),
        "display_name": display_name,
        "challenge_title": pick(challenge.translations, language)["title"],
        "evidence": completion.evidence,
    }
