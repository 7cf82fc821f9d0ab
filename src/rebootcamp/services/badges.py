"""Badges: the catalogue, its edits, and awards by hand."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, Kind, NotFound, StaleEdit
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.journal import Recorded, lock_line, record
from rebootcamp.models.sql.badges import BadgeDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all
from rebootcamp.storage.transactions import transaction, translating

ORDER: Final = "badges"

_CATALOGUE: Final = """
    SELECT d.code, d.tier, d.points, d.icon, d.criteria, d.translations, d.version, d.is_active,
        (SELECT count(*) FROM badge_grants g WHERE g.badge_code = d.code AND g.revoked_at IS NULL) AS holders,
        s.counters, s.held_badges ? d.code AS is_held
    FROM badge_definitions d LEFT JOIN learner_states s ON s.user_id = %(user_id)s
    WHERE (%(code)s::text IS NULL AND d.is_active OR d.code = %(code)s::text)
        AND (%(after)s::text IS NULL OR d.code > %(after)s::text)
        AND (%(tier)s::text IS NULL OR d.tier = %(tier)s::text)
    ORDER BY d.code LIMIT %(limit)s"""


class CodeTaken(DomainError):
    """Two badges cannot share a code."""

    kind = Kind.CONFLICT
    code = "code_taken"
    title = Text("Code already used", "Code déjà utilisé")
    detail = Text(
        "Another badge has this code; choose another one.", "Un autre badge porte ce code ; choisissez-en un autre."
    )


class AlreadyHeld(DomainError):
    """A badge is held once."""

    kind = Kind.CONFLICT
    code = "already_held"
    title = Text("Already held", "Badge déjà obtenu")
    detail = Text("This learner already holds this badge.", "Cette personne détient déjà ce badge.")


class NotHeld(DomainError):
    """Only a held badge can be revoked."""

    kind = Kind.CONFLICT
    code = "not_held"
    title = Text("Not held", "Badge non détenu")
    detail = Text("This learner does not hold this badge.", "Cette personne ne détient pas ce badge.")


@dataclass(frozen=True)
class BadgeView:
    """A badge with how many hold it and how far the caller is; `value` equals `target` when the rule holds."""

    row: Row
    value: int
    target: int


@dataclass(frozen=True)
class _Signs:
    """How every badge is called and drawn."""

    names: dict[str, dict[str, str]]
    icons: dict[str, str]


class _RememberedSigns:
    """The names and icons of all badges, remembered for one version of the rules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = -1
        self._signs = _Signs({}, {})

    def get(self, version: int) -> _Signs:
        with self._lock:
            if self._version == version:
                return self._signs
        rows = fetch_all("SELECT code, icon, translations FROM badge_definitions", {})
        names = {
            row["code"]: {language: texts["name"] for language, texts in row["translations"].items()} for row in rows
        }
        signs = _Signs(names, {row["code"]: row["icon"] for row in rows})
        with self._lock:
            self._version, self._signs = version, signs
        return signs


_signs = _RememberedSigns()


def badge_names(rules_version: int) -> Mapping[str, Mapping[str, str]]:
    """Return `{code: {language: name}}` of every badge, as of a version of the rules."""
    return _signs.get(rules_version).names


def badge_icons(rules_version: int) -> Mapping[str, str]:
    """Return `{code: icon}` of every badge, as of a version of the rules."""
    return _signs.get(rules_version).icons


def current_badge_names() -> Mapping[str, Mapping[str, str]]:
    """Return the names as they are now."""
    return badge_names(int(fetch_all("SELECT rules_version FROM app_meta", {})[0]["rules_version"]))


def list_badges(actor: Actor, page: PageRequest, *, tier: str | None) -> Page[BadgeView]:
    """List the active badges by code."""
    key = page.key(ORDER, (str,))
    rows = _catalogue(actor, code=None, after=key and key[0], tier=tier, limit=page.limit + 1)
    return paginate([_view(row) for row in rows], page.limit, ORDER, lambda view: (view.row["code"],))


def get_badge(actor: Actor, code: str) -> BadgeView:
    """Return one badge, active or not; raise `NotFound`."""
    rows = _catalogue(actor, code=code, after=None, tier=None, limit=1)
    if not rows:
        raise NotFound("badge")
    return _view(rows[0])


def create_badge(actor: Actor, fields: Mapping[str, Any]) -> BadgeDefinition:
    """Add a badge; who already meets its rule gets it at the next event. Raises `CodeTaken`, `InvalidField`."""
    actor.require("badge:write")
    compile_rule(fields["criteria"])
    now = clock.now()
    badge = BadgeDefinition(**fields, created_at=now, updated_at=now)
    with transaction() as session, translating({"pk_badge_definitions": CodeTaken()}):
        session.add(badge)
        _touch_rules(session)
    return badge


def update_badge(actor: Actor, code: str, changes: Mapping[str, Any], version: int | None) -> BadgeDefinition:
    """Change a badge; those who hold it keep it as it was. Raises `NotFound`, `StaleEdit`, `InvalidField`."""
    actor.require("badge:write")
    if "criteria" in changes:
        compile_rule(changes["criteria"])
    with transaction() as session:
        badge = session.get(BadgeDefinition, code, with_for_update=True, populate_existing=True)
        if badge is None:
            raise NotFound("badge")
        if version is not None and version != badge.version:
            raise StaleEdit
        for name, value in changes.items():
            setattr(badge, name, value)
        badge.version += 1
        badge.updated_at = clock.now()
        _touch_rules(session)
    return badge


def award_badge(actor: Actor, user_id: int, code: str, *, reason: str) -> Recorded:
    """Give a badge by hand. Raises `NotFound`, `AlreadyHeld`."""
    actor.require("badge:write")
    with transaction() as session:
        line = lock_line(user_id)
        badge = session.get(BadgeDefinition, code)
        if badge is None or not badge.is_active:
            raise NotFound("badge")
        if code in line.held_badges:
            raise AlreadyHeld
        fact = BadgeAwarded(
            learner_id=user_id,
            badge=code,
            tier=badge.tier,
            points=badge.points,
            origin="manual",
            rule_version=badge.version,
            evidence={"awarded_by": actor.user_id, "reason": reason},
        )
        return record(fact)


def revoke_badge(actor: Actor, user_id: int, code: str, *, reason: str) -> Recorded:
    """Take a badge back, with the points it gave. Raises `NotFound`, `NotHeld`."""
    actor.require("badge:write")
    with transaction():
        held = lock_line(user_id).held_badges.get(code)
        if held is None:
            raise NotHeld
        fact = BadgeRevoked(learner_id=user_id, badge=code, tier=held["tier"], points=held["points"], reason=reason)
        return record(fact)


def _catalogue(actor: Actor, *, code: str | None, after: object, tier: str | None, limit: int) -> list[Row]:
    parameters = {"user_id": actor.user_id, "code": code, "after": after, "tier": tier, "limit": limit}
    return list(fetch_all(_CATALOGUE, parameters))


def _view(row: Row) -> BadgeView:
    rule = compile_rule(row["criteria"])
    value = rule.target if row["is_held"] else rule.advance(row["counters"] or {})
    return BadgeView(row, value, rule.target)


def _touch_rules(session: Session) -> None:
    session.execute(
        sa.update(AppMeta).values(
            rules_version=AppMeta.rules_version + 1, catalogue_version=AppMeta.catalogue_version + 1
        )
    )
