"""The one engine that applies the pure core to the stores, inside the command's transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.journal import LearnerLine
from rebootcamp.models.sql.badges import BadgeDefinition, BadgeGrant
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.models.sql.progress import LearnerState, XpEntry
from rebootcamp.services.gamification.progression import Badge, RuleBook, Standing, advance
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.services.gamification.streaks import Streak


class _RuleCache:
    """The compiled rules of one version; a command that meets another version loads them again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: int | None = None
        self._rules = RuleBook(())

    def get(self, session: Session, version: int) -> RuleBook:
        with self._lock:
            if self._version == version:
                return self._rules
        rules = load_rules(session)
        with self._lock:
            self._version, self._rules = version, rules
        return rules


_cache = _RuleCache()


def load_rules(session: Session) -> RuleBook:
    """Read and compile the active badge rules."""
    rows = session.scalars(sa.select(BadgeDefinition).where(BadgeDefinition.is_active))
    return RuleBook(Badge(b.code, b.tier, b.points, b.version, compile_rule(b.criteria)) for b in rows)


def react(session: Session, line: LearnerLine, event: RecordedEvent) -> Sequence[Fact]:
    """Apply one event to the learner's state and ledgers; return the facts that follow from it."""
    rules = _cache.get(session, line.rules_version)
    step = advance(standing_of(line.state), event, rules, lambda: _active_days(session, event.user_id))
    _store(line.state, step.standing)
    for grant in step.xp:
        session.add(
            XpEntry(
                user_id=event.user_id,
                event_id=event.event_id,
                reason=grant.reason,
                points=grant.points,
                category=grant.category,
                local_date=event.local_date,
            )
        )
    _apply_badge_fact(session, event)
    return step.facts


def standing_of(state: LearnerState) -> Standing:
    """Return the pure form of a stored state."""
    return Standing(
        challenge_points=state.challenge_points,
        badge_points=state.badge_points,
        xp_total=state.xp_total,
        streak=Streak(state.daily_streak, state.longest_daily_streak, state.last_active_on),
        counters=state.counters,
        held=state.held_badges,
    )


def _store(state: LearnerState, standing: Standing) -> None:
    state.challenge_points = standing.challenge_points
    state.badge_points = standing.badge_points
    state.xp_total = standing.xp_total
    state.daily_streak = standing.streak.current
    state.longest_daily_streak = standing.streak.longest
    state.last_active_on = standing.streak.last_active_on
    state.counters = dict(standing.counters)
    state.held_badges = {code: dict(holding) for code, holding in standing.held.items()}


def _active_days(session: Session, user_id: int) -> Iterable[date]:
    session.flush()
    valid = ChallengeCompletion.status == "validated"
    statement = sa.select(ChallengeCompletion.local_date).where(ChallengeCompletion.user_id == user_id, valid)
    return session.scalars(statement.distinct())


def _apply_badge_fact(session: Session, event: RecordedEvent) -> None:
    fact = event.fact
    if isinstance(fact, BadgeAwarded):
        _grant(session, event, fact)
    elif isinstance(fact, BadgeRevoked):
        session.flush()
        session.execute(
            sa.update(BadgeGrant)
            .where(BadgeGrant.user_id == event.user_id, BadgeGrant.badge_code == fact.badge)
            .values(revoked_at=event.occurred_at, revoke_reason=fact.reason)
        )


def _grant(session: Session, event: RecordedEvent, fact: BadgeAwarded) -> None:
    session.flush()
    values = {
        "event_id": event.event_id,
        "seq": event.seq,
        "points": fact.points,
        "origin": fact.origin,
        "rule_version": fact.rule_version,
        "evidence": fact.evidence,
        "awarded_at": event.occurred_at,
        "revoked_at": None,
        "revoke_reason": None,
    }
    statement = insert(BadgeGrant).values(user_id=event.user_id, badge_code=fact.badge, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["user_id", "badge_code"], set_=values))
