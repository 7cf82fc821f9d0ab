"""Savings of CO2e on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.core.eco import EQUIVALENTS, equivalents_of
from rebootcamp.core.languages import pick

GRAMS = {
    "description": "Grams of CO2 equivalent that valid completions avoided, each with the figure of its day; "
    "sources and method: docs/eco-figures.md."
}
MONTH = {"description": "`YYYY-MM`, by the local date of the deed.", "example": "2026-11"}
GREATEST_FIRST = {"description": "From the greatest saving to the smallest."}


class SavingOut(ma.Schema):
    """Grams of CO2e and how many valid completions saved them."""

    co2e_grams = fields.Integer(required=True, metadata=GRAMS)
    completions = fields.Integer(required=True)


class CategorySavingOut(SavingOut):
    """One category's share; categories without completions are left out."""

    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES))


class MonthSavingOut(SavingOut):
    """One month's share; months without completions are left out."""

    month = fields.String(required=True, metadata=MONTH)


class SavingSourceOut(SavingOut):
    """One challenge's share, with the origin of its figure."""

    challenge_id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES))
    co2e_source = fields.String(required=True, allow_none=True)


class EquivalentOut(ma.Schema):
    """The saving in everyday words, rounded down to whole things; one that does not fit in it is left out."""

    kind = fields.String(required=True, validate=validate.OneOf([equivalent.kind for equivalent in EQUIVALENTS]))
    amount = fields.Integer(required=True, validate=validate.Range(1))
    text = fields.String(required=True, metadata={"example": "12 km in a combustion car"})
    co2e_grams_each = fields.Integer(required=True, metadata={"description": "Grams of CO2e that one of it emits."})
    source = fields.String(required=True)


class SavingsOut(SavingOut):
    """A total, its shares and what it is worth."""

    by_category = fields.List(fields.Nested(CategorySavingOut), required=True)
    equivalents = fields.List(fields.Nested(EquivalentOut), required=True)


class LearnerSavingsOut(SavingsOut):
    """A learner's savings; `by_category`, `by_month` and `sources` each sum to the total."""

    by_month = fields.List(fields.Nested(MonthSavingOut), required=True)
    sources = fields.List(fields.Nested(SavingSourceOut), required=True, metadata=GREATEST_FIRST)


class GroupSavingsOut(SavingsOut):
    """What people saved while they belonged to a group: from the instant of joining up to that of leaving.

    What members saved before stays their own; what people saved before they left stays with the group.
    """

    group_id = fields.Integer(required=True)
    members = fields.Integer(required=True, metadata={"description": "Current members."})


class PlatformSavingsOut(SavingsOut):
    """What everybody saved."""

    learners = fields.Integer(required=True, metadata={"description": "Learners who saved more than 0 g."})


def render_learner_savings(found: Any, language: str) -> dict[str, Any]:
    """Return `LearnerSavingsOut` of a `services.eco.LearnerSavings`."""
    return {
        **_savings(found.savings, language),
        "by_month": [{"month": month, **_saving(saving)} for month, saving in found.by_month],
        "sources": [_source(source, language) for source in found.sources],
    }


def render_group_savings(found: Any, language: str) -> dict[str, Any]:
    """Return `GroupSavingsOut` of a `services.eco.GroupSavings`."""
    group = found.view.group
    return {"group_id": group.id, "members": group.members, **_savings(found.savings, language)}


def render_platform_savings(found: Any, language: str) -> dict[str, Any]:
    """Return `PlatformSavingsOut` of a `services.eco.PlatformSavings`."""
    return {**_savings(found.savings, language), "learners": found.learners}


def _savings(savings: Any, language: str) -> dict[str, Any]:
    return {
        **_saving(savings.total),
        "by_category": [{"category": category, **_saving(saving)} for category, saving in savings.by_category],
        "equivalents": [
            {
                "kind": equivalent.kind,
                "amount": amount,
                "text": (equivalent.one if amount == 1 else equivalent.many).resolve(
                    language, amount=_number(amount, language)
                ),
                "co2e_grams_each": equivalent.grams,
                "source": equivalent.source.resolve(language),
            }
            for equivalent, amount in equivalents_of(savings.total.co2e_grams)
        ],
    }


def _saving(saving: Any) -> dict[str, int]:
    return {"co2e_grams": saving.co2e_grams, "completions": saving.completions}


def _source(source: Any, language: str) -> dict[str, Any]:
    row = source.row
    return {
        "challenge_id": row["challenge_id"],
        "slug": row["slug"],
        "title": pick(row["translations"], language)["title"],
        "category": row["category"],
        "co2e_source": pick(row["co2e_source"], language) if row["co2e_source"] else None,
        **_saving(source.saving),
    }


def _number(amount: int, language: str) -> str:
    grouped = f"{amount:,}"
    # French groups digits by a narrow space that does not break.
    return grouped.replace(",", "\u202f") if language == "fr" else grouped
