"""Awards by hand: given with evidence, taken back with a reason; and awards whose time is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.core.turns import IsOver, never
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.journal import Recorded, lock_line, record
from rebootcamp.models.sql.badges import BadgeDefinition, BadgeGrant
from rebootcamp.services.badges.errors import AlreadyHeld, NotHeld
from rebootcamp.services.gamification.progression import EXPIRED, expiry_of, revocation_of
from rebootcamp.services.gamification.reasons import refuse_reserved
from rebootcamp.storage.transactions import transaction

EXPIRED_A_TURN: Final = 100


def award_badge(
    actor: Actor,
    user_id: int,
    code: str,
    *,
    reason: str,
    evidence: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
) -> Recorded:
    """Give a badge by hand, until `expires_at` or as long as its awards last.

    Raises `NotFound`, `AlreadyHeld`, `InvalidField` for an end in the past.
    """
    actor.require("badge:write")
    now = clock.now()
    if expires_at is not None and expires_at <= now:
        message = Text("This lies in the past.", "Cette date est passée.")
        raise InvalidField("/expires_at", message, "in_the_past")
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
            rule_version=badge.rule_version,
            evidence={"awarded_by": actor.user_id, "reason": reason, **(evidence or {})},
            expires_at=clock.iso(expires_at) if expires_at else expiry_of(badge.valid_days, now),
        )
        return record(fact, occurred_at=now)


def revoke_badge(actor: Actor, user_id: int, code: str, *, reason: str) -> Recorded:
    """Take a badge back, with the points it gave. Raises `NotFound`, `NotHeld`, `InvalidField`."""
    actor.require("badge:write")
    refuse_reserved(reason)
    with transaction():
        held = lock_line(user_id).held_badges.get(code)
        if held is None:
            raise NotHeld
        fact = BadgeRevoked(learner_id=user_id, badge=code, tier=held["tier"], points=held["points"], reason=reason)
        return record(fact)


def expire_awards(is_over: IsOver = never) -> int:
    """End awards whose time is over, each in its own transaction; return how many there were."""
    now, ended = clock.now(), 0
    is_past = BadgeGrant.revoked_at.is_(None), BadgeGrant.expires_at <= now
    statement = sa.select(BadgeGrant.user_id, BadgeGrant.badge_code).where(*is_past)
    with transaction() as session:
        due = session.execute(statement.order_by(BadgeGrant.expires_at).limit(EXPIRED_A_TURN)).all()
    for user_id, code in due:
        with transaction() as session:
            held = lock_line(user_id).held_badges.get(code)
            # Another process may have been faster, or the badge was given anew meanwhile.
            is_due = sa.exists().where(BadgeGrant.user_id == user_id, BadgeGrant.badge_code == code, *is_past)
            if held is not None and session.scalar(sa.select(is_due)):
                record(revocation_of(user_id, code, held, EXPIRED), occurred_at=now)
                ended += 1
        if is_over():
            break
    return ended
