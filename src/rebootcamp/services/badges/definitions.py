"""Writing badges and their rules: every version is kept, and no edit takes a badge away unless an admin says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound, StaleEdit
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.badges import BadgeDefinition, BadgeGrant, BadgeRule, RuleMeasure
from rebootcamp.models.sql.challenges import Challenge, ChallengeCompletion
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.badges.errors import CodeTaken
from rebootcamp.services.gamification.criteria import measures_of
from rebootcamp.services.gamification.goals import goal_of
from rebootcamp.services.gamification.jobs import enqueue, supersede
from rebootcamp.services.gamification.measures import KEPT, Measure
from rebootcamp.services.gamification.rules import compile_rule, named_badges, normalise
from rebootcamp.storage.transactions import transaction, translating, unsettle

RULES_ORDER: Final = "rules"
_RULE_FIELDS: Final = ("criteria", "is_active")


def create_badge(actor: Actor, fields: Mapping[str, Any]) -> BadgeDefinition:
    """Add a badge and have all past learners judged by its rule. Raises `CodeTaken`, `InvalidField`."""
    actor.require("badge:write")
    criteria = dict(normalise(fields["criteria"]))
    compile_rule(criteria)
    now = clock.now()
    badge = BadgeDefinition(**{**fields, "criteria": criteria}, created_at=now, updated_at=now)
    with transaction() as session, translating({"pk_badge_definitions": CodeTaken()}):
        refuse_unknown_badges(session, criteria, badge.code)
        session.add(badge)
        session.flush()
        _keep_rule(session, actor, badge)
        touch_rules(session)
        if badge.is_active:
            enqueue(session, badge_code=badge.code, version=badge.rule_version, holders="keep")
    return badge


def update_badge(
    actor: Actor, code: str, changes: Mapping[str, Any], version: int | None, *, holders: str = "keep"
) -> BadgeDefinition:
    """Change a badge. Those who hold it keep it, unless `holders` is `reevaluate` and the new rule refuses them.

    Raises `NotFound`, `StaleEdit`, `InvalidField`.
    """
    actor.require("badge:write")
    if "criteria" in changes:
        changes = {**changes, "criteria": dict(normalise(changes["criteria"]))}
        compile_rule(changes["criteria"])
    with transaction() as session:
        badge = session.get(BadgeDefinition, code, with_for_update=True, populate_existing=True)
        if badge is None:
            raise NotFound("badge")
        if version is not None and version != badge.version:
            raise StaleEdit
        before = [getattr(badge, name) for name in _RULE_FIELDS]
        for name, value in changes.items():
            setattr(badge, name, value)
        badge.version += 1
        badge.updated_at = clock.now()
        if badge.criteria != before[0]:
            refuse_unknown_badges(session, badge.criteria, code)
            badge.rule_version = badge.version
            _keep_rule(session, actor, badge)
        session.flush()
        touch_rules(session)
        is_judged_anew = before != [getattr(badge, name) for name in _RULE_FIELDS] or holders == "reevaluate"
        if is_judged_anew:
            supersede(session, badge_code=badge.code)
        if badge.is_active and is_judged_anew:
            enqueue(session, badge_code=badge.code, version=badge.rule_version, holders=holders)
    return badge


def list_rules(actor: Actor, code: str, page: PageRequest) -> Page[BadgeRule]:
    """List every rule that a badge had, newest first. Raises `NotFound`."""
    actor.require("badge:write")
    statement = sa.select(BadgeRule).where(BadgeRule.badge_code == code).order_by(BadgeRule.version.desc())
    if (key := page.key(RULES_ORDER, (int,))) is not None:
        statement = statement.where(BadgeRule.version < key[0])
    with transaction() as session:
        if session.get(BadgeDefinition, code) is None:
            raise NotFound("badge")
        rules = session.scalars(statement.limit(page.limit + 1)).all()
    return paginate(rules, page.limit, RULES_ORDER, lambda rule: (rule.version,))


def refuse_unknown_badges(session: Session, criteria: Mapping[str, Any], code: str | None) -> None:
    """Raise `InvalidField` where valid criteria name a badge that does not exist, or their own."""
    named = dict(named_badges(criteria))
    statement = sa.select(BadgeDefinition.code).where(BadgeDefinition.code.in_(named.values()))
    known = set(session.scalars(statement)) - {code}
    for pointer, other in named.items():
        if other not in known:
            message = Text(f"There is no other badge “{other}”.", f"Il n'existe pas d'autre badge « {other} ».")
            raise InvalidField(pointer, message, "invalid_criteria")


def refuse_unknown_reward(session: Session, code: str | None) -> None:
    """Raise `InvalidField` for a badge that no challenge can give: unknown, or not active."""
    if code is None:
        return
    badge = session.get(BadgeDefinition, code, populate_existing=True)
    if badge is None or not badge.is_active:
        message = Text(f"There is no active badge “{code}”.", f"Il n'existe pas de badge actif « {code} ».")
        raise InvalidField("/reward_badge", message, "unknown_badge")


def touch_rules(session: Session) -> None:
    """Begin a new version of the rules, with exactly the counters that they need.

    A counter that comes anew is complete for nobody until the back-fill has been there.
    """
    unsettle()
    version = session.scalar(
        sa.update(AppMeta)
        .values(rules_version=AppMeta.rules_version + 1, catalogue_version=AppMeta.catalogue_version + 1)
        .returning(AppMeta.rules_version)
    )
    needed = {measure.key for measure in _measures_in_use(session) if not measure.is_standard}
    known = set(session.scalars(sa.select(RuleMeasure.key)))
    session.execute(sa.delete(RuleMeasure).where(RuleMeasure.key.in_(known - needed)))
    session.add_all(RuleMeasure(key=key, since=version) for key in sorted(needed - known))
    session.flush()


def _measures_in_use(session: Session) -> Iterable[Measure]:
    for criteria in _rules_in_use(session):
        yield from measures_of(compile_rule(criteria))
    for challenge in session.scalars(sa.select(Challenge).where(Challenge.criteria.is_not(None), _is_counted())):
        yield from goal_of(challenge).measures


def _is_counted() -> sa.ColumnElement[bool]:
    """Return the test whether a timed challenge is in force, or was not long ago, and somebody completed it."""
    is_in_force = sa.and_(Challenge.is_published, Challenge.archived_at.is_(None))
    withdrawn_at = sa.func.coalesce(Challenge.archived_at, Challenge.updated_at)
    done = sa.exists().where(
        ChallengeCompletion.challenge_id == Challenge.id, ChallengeCompletion.co2e_grams == sa.literal_column("0")
    )
    return sa.or_(is_in_force, sa.and_(withdrawn_at > clock.now() - KEPT, done))


def _rules_in_use(session: Session) -> Iterable[Mapping[str, Any]]:
    """Return the rules in force, and those on which somebody's badge still rests."""
    is_current = sa.and_(BadgeDefinition.is_active, BadgeRule.version == BadgeDefinition.rule_version)
    is_held = sa.exists().where(
        BadgeGrant.badge_code == BadgeRule.badge_code,
        BadgeGrant.rule_version == BadgeRule.version,
        BadgeGrant.origin != "manual",
        BadgeGrant.revoked_at.is_(None),
    )
    statement = sa.select(BadgeRule.criteria).join(BadgeDefinition, BadgeDefinition.code == BadgeRule.badge_code)
    return session.scalars(statement.where(sa.or_(is_current, is_held)))


def _keep_rule(session: Session, actor: Actor, badge: BadgeDefinition) -> None:
    session.add(
        BadgeRule(
            badge_code=badge.code,
            version=badge.rule_version or 1,
            criteria=badge.criteria,
            created_at=badge.updated_at,
            created_by=actor.user_id,
        )
    )
    session.flush()
