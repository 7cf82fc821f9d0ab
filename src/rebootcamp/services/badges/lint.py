"""The catalogue as it is, under the eyes of the lint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.services.gamification.curves import load_curve
from rebootcamp.services.gamification.goals import compile_goal
from rebootcamp.services.gamification.lint import Finding, LintedBadge, LintedChallenge, lint, reach_on_offer
from rebootcamp.services.gamification.obstacles import Task
from rebootcamp.services.gamification.reach import Reach
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all

ORDER: Final = "findings"

_BADGES: Final = "SELECT code, tier, points, criteria, is_active FROM badge_definitions"
_CHALLENGES: Final = """
    SELECT id, slug, category, difficulty, cadence, points, co2e_grams, criteria, opens_on, closes_on, reward_badge,
        team_target IS NOT NULL AS is_team, coalesce(starts_at, created_at) AS opens_at, ends_at AS closes_at
    FROM challenges WHERE is_published AND archived_at IS NULL"""


def lint_rules(actor: Actor, page: PageRequest) -> Page[Finding]:
    """List what is wrong or odd with badges, levels and challenges, errors first."""
    actor.require("badge:write")
    findings, key = lint_catalogue(), page.key(ORDER, (str, str, str, str))
    rest = [finding for finding in findings if key is None or finding.order > key]
    return paginate(rest[: page.limit + 1], page.limit, ORDER, lambda finding: finding.order)


def lint_catalogue() -> list[Finding]:
    """Do as `lint_rules`, for operators."""
    _, curve = load_curve()
    return lint(_badges(), _challenges(), [level.xp_floor for level in curve], clock.now())


def get_reach(floors: Sequence[int]) -> Reach:
    """Return the XP that can be reached with what is on offer now; `floors` are those of the levels."""
    return reach_on_offer(_badges(), _challenges(), floors, clock.now())


def _badges() -> list[LintedBadge]:
    return [
        LintedBadge(row["code"], row["tier"], row["points"], compile_rule(row["criteria"]), row["is_active"])
        for row in fetch_all(_BADGES, {})
    ]


def _challenges() -> list[LintedChallenge]:
    return [_challenge(row) for row in fetch_all(_CHALLENGES, {})]


def _challenge(row: Row) -> LintedChallenge:
    task = Task(row["id"], row["category"], row["difficulty"], row["cadence"], row["points"], row["co2e_grams"])
    rule = None
    if row["criteria"] is not None:
        rule = compile_goal(row["criteria"], row["cadence"], row["opens_on"], row["closes_on"], is_team=row["is_team"])
    return LintedChallenge(row["slug"], task, row["opens_at"], row["closes_at"], rule, row["reward_badge"])
