"""The catalogue of badges, as each learner sees it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import SimpleNamespace
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.languages import pick
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.models.sql.operations import RULES_VERSION
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.engine import standing_of
from rebootcamp.services.gamification.progression import Standing, situation_of
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, in_transaction

ORDER: Final = "badges"

_CATALOGUE: Final = f"""
    SELECT d.code, d.tier, d.points, d.icon, d.criteria, d.translations, d.version, d.is_active,
        (SELECT count(*) FROM badge_grants g WHERE g.badge_code = d.code AND g.revoked_at IS NULL) AS holders,
        d.is_revocable, d.valid_days, d.rule_version, s.counters, s.held_badges, s.challenge_points, s.badge_points,
        s.xp_total, s.daily_streak, s.longest_daily_streak, s.perfect_quiz_streak, s.last_active_on, s.freezes,
        s.protected_days, s.measured_version,
        {CURVE_VERSION}
    FROM badge_definitions d CROSS JOIN app_meta m LEFT JOIN learner_states s ON s.user_id = %(user_id)s
    WHERE (%(code)s::text IS NULL AND d.is_active OR d.code = %(code)s::text)
        AND (%(after)s::text IS NULL OR d.code > %(after)s::text)
        AND (%(tier)s::text IS NULL OR d.tier = %(tier)s::text)
    ORDER BY d.code LIMIT %(limit)s"""  # noqa: S608


_VERSION: Final = f"SELECT {RULES_VERSION} AS rules_version FROM app_meta m"  # noqa: S608


@dataclass(frozen=True)
class BadgeView:
    """A badge with how many hold it and how far the caller is; `value` equals `target` when the rule holds."""

    row: Row
    value: int
    target: int


@dataclass(frozen=True)
class Labels:
    """How badges are called and drawn, by code, and every rule that they ever had, by code and version."""

    names: Mapping[str, Mapping[str, str]]
    icons: Mapping[str, str]
    rules: Mapping[tuple[str, int], Mapping[str, Any]]

    def names_in(self, language: str) -> Mapping[str, str]:
        """Return the names in one language."""
        return {code: pick(texts, language) for code, texts in self.names.items()}


class _LabelCache:
    """The labels, remembered for one version of the rules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: str | None = None
        self._labels = Labels({}, {}, {})

    def get(self, version: str) -> Labels:
        with self._lock:
            if self._version == version:
                return self._labels
        badges = fetch_all("SELECT code, icon, translations FROM badge_definitions", {})
        rules = fetch_all("SELECT badge_code, version, criteria FROM badge_rules", {})
        labels = Labels(
            {row["code"]: {tongue: texts["name"] for tongue, texts in row["translations"].items()} for row in badges},
            {row["code"]: row["icon"] for row in badges},
            {(row["badge_code"], row["version"]): row["criteria"] for row in rules},
        )
        # What an edit has not committed yet may never come: nobody else must be told of it.
        if not in_transaction():
            with self._lock:
                self._version, self._labels = version, labels
        return labels


_cache = _LabelCache()


def badge_names(rules_version: str) -> Mapping[str, Mapping[str, str]]:
    """Return `{code: {language: name}}` of every badge, as of a version of the rules."""
    return _cache.get(rules_version).names


def badge_icons(rules_version: str) -> Mapping[str, str]:
    """Return `{code: icon}` of every badge, as of a version of the rules."""
    return _cache.get(rules_version).icons


def current_badge_names() -> Mapping[str, Mapping[str, str]]:
    """Return the names as they are now."""
    return current_labels().names


def current_labels() -> Labels:
    """Return names and rules as they are now."""
    return _cache.get(fetch_all(_VERSION, {})[0]["rules_version"])


def list_badges(actor: Actor, page: PageRequest, *, tier: str | None) -> Page[BadgeView]:
    """List the active badges by code."""
    key = page.key(ORDER, (str,))
    rows = _catalogue(actor, code=None, after=key and key[0], tier=tier, limit=page.limit + 1)
    today = actor.days.date_of(clock.now())
    return paginate([_view(row, today) for row in rows], page.limit, ORDER, lambda view: (view.row["code"],))


def get_badge(actor: Actor, code: str) -> BadgeView:
    """Return one badge, active or not; raise `NotFound`."""
    rows = _catalogue(actor, code=code, after=None, tier=None, limit=1)
    if not rows:
        raise NotFound("badge")
    return _view(rows[0], actor.days.date_of(clock.now()))


def _catalogue(actor: Actor, *, code: str | None, after: object, tier: str | None, limit: int) -> list[Row]:
    parameters = {"user_id": actor.user_id, "code": code, "after": after, "tier": tier, "limit": limit}
    return list(fetch_all(_CATALOGUE, parameters))


def _view(row: Row, day: date) -> BadgeView:
    rule = compile_rule(row["criteria"])
    standing = Standing() if row["counters"] is None else standing_of(SimpleNamespace(**row))
    now = situation_of(standing, day, curve_at(row["curve_version"]))
    if row["code"] in standing.held or rule.holds(now):
        # Whoever holds it has arrived, by whatever rule or hand it was given.
        target = rule.advance(now).target
        return BadgeView(row, target, target)
    # A rule remembers the longest streak; a learner on the way wants to see the one that runs.
    way = rule.advance(replace(now, daily=standing.streak.as_of(day)))
    return BadgeView(row, min(way.value, way.target - 1), way.target)
