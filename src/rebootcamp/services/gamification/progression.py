"""The pure core of the engine: standing + event + rules -> new standing + what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.services.gamification.rules import COUNTABLE, POINTS_COUNTER, Rule, counter_key
from rebootcamp.services.gamification.streaks import NO_REST_DAYS, RestDays, Streak, streak_after

CHALLENGES, CO2E, CATEGORY_POINTS = "challenges", "co2e_grams", "category_points"

CRITERIA_NO_LONGER_MET: Final = "criteria_no_longer_met"

ActiveDays = Callable[[], Iterable[date]]


@dataclass(frozen=True)
class Badge:
    """What the engine must know of a badge definition."""

    code: str
    tier: str
    points: int
    version: int
    rule: Rule


class RuleBook:
    """The active badges, found by the counter that they watch: rules that an event does not touch cost nothing."""

    def __init__(self, badges: Iterable[Badge]) -> None:
        self.badges: dict[str, Badge] = {badge.code: badge for badge in badges}
        self._by_counter: dict[str, list[Badge]] = {}
        for badge in sorted(self.badges.values(), key=lambda b: (b.rule.target, b.code)):
            self._by_counter.setdefault(badge.rule.counter, []).append(badge)

    def watching(self, counters: Iterable[str]) -> Iterable[Badge]:
        """Yield the badges whose rule reads one of the counters, in a fixed order."""
        for counter in counters:
            yield from self._by_counter.get(counter, ())


@dataclass(frozen=True)
class Standing:
    """All that the engine remembers of a learner. `held` maps a badge code to `{origin, points, tier}`."""

    challenge_points: int = 0
    badge_points: int = 0
    xp_total: int = 0
    streak: Streak = field(default_factory=Streak)
    counters: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class XpGrant:
    """Experience points with their reason; negative ones take back."""

    reason: str
    points: int
    category: str | None = None


@dataclass(frozen=True)
class Step:
    """The result of one event."""

    standing: Standing
    xp: tuple[XpGrant, ...] = ()
    facts: tuple[Fact, ...] = ()


def advance(
    standing: Standing,
    event: RecordedEvent,
    rules: RuleBook,
    active_days: ActiveDays,
    rest_days: RestDays = NO_REST_DAYS,
) -> Step:
    """Apply one event. `active_days` gives the days on which valid completions remain, for the rare recount."""
    fact = event.fact
    standing = replace(standing, streak=streak_after(standing.streak, event, active_days, rest_days))
    if isinstance(fact, ChallengeCompleted):
        return _completed(standing, event, fact, rules)
    if isinstance(fact, ChallengeRevoked):
        return _revoked(standing, fact, rules)
    if isinstance(fact, BadgeAwarded):
        return _badge_awarded(standing, event, fact, rules)
    if isinstance(fact, BadgeRevoked):
        return _badge_revoked(standing, fact, rules)
    return Step(standing)


def _completed(standing: Standing, event: RecordedEvent, fact: ChallengeCompleted, rules: RuleBook) -> Step:
    changes = _challenge_changes(fact, +1, distinct=fact.is_first)
    moved = replace(
        standing,
        challenge_points=standing.challenge_points + fact.points,
        xp_total=standing.xp_total + fact.points,
        counters=_add(standing.counters, changes),
    )
    step = Step(moved, (XpGrant("challenge", fact.points, fact.category),))
    return _award_newly_met(step, changes, rules, event)


def _revoked(standing: Standing, fact: ChallengeRevoked, rules: RuleBook) -> Step:
    changes = _challenge_changes(fact, -1, distinct=fact.is_last)
    moved = replace(
        standing,
        challenge_points=standing.challenge_points - fact.points,
        xp_total=standing.xp_total - fact.points,
        counters=_add(standing.counters, changes),
    )
    step = Step(moved, (XpGrant("challenge_revoked", -fact.points, fact.category),))
    return _revoke_no_longer_met(step, fact.learner_id, rules)


def _badge_awarded(standing: Standing, event: RecordedEvent, fact: BadgeAwarded, rules: RuleBook) -> Step:
    barred = barred_key(fact.badge)
    changes = {POINTS_COUNTER: fact.points, barred: -standing.counters.get(barred, 0)}
    held = {**standing.held, fact.badge: _holding(fact.origin, fact.points, fact.tier)}
    moved = replace(
        standing,
        badge_points=standing.badge_points + fact.points,
        xp_total=standing.xp_total + fact.points,
        counters=_add(standing.counters, changes),
        held=held,
    )
    step = Step(moved, (XpGrant("badge", fact.points),))
    return _award_newly_met(step, changes, rules, event)


def _badge_revoked(standing: Standing, fact: BadgeRevoked, rules: RuleBook) -> Step:
    changes = {POINTS_COUNTER: -fact.points}
    if fact.reason != CRITERIA_NO_LONGER_MET:
        changes[barred_key(fact.badge)] = 1
    moved = replace(
        standing,
        badge_points=standing.badge_points - fact.points,
        xp_total=standing.xp_total - fact.points,
        counters=_add(standing.counters, changes),
        held={code: held for code, held in standing.held.items() if code != fact.badge},
    )
    step = Step(moved, (XpGrant("badge_revoked", -fact.points),))
    return _revoke_no_longer_met(step, fact.learner_id, rules)


def barred_key(code: str) -> str:
    """Return the counter that keeps a badge taken by hand from coming back by its rule."""
    return f"barred|badge={code}"


def _challenge_changes(fact: ChallengeCompleted | ChallengeRevoked, sign: int, *, distinct: bool) -> dict[str, int]:
    event_type = ChallengeCompleted.type
    changes = {
        counter_key(event_type): sign,
        POINTS_COUNTER: sign * fact.points,
        CO2E: sign * fact.co2e_grams,
        counter_key(CATEGORY_POINTS, "category", fact.category): sign * fact.points,
    }
    changes |= {counter_key(event_type, name, getattr(fact, name)): sign for name in COUNTABLE[event_type]}
    if distinct:
        changes |= {CHALLENGES: sign, counter_key(CHALLENGES, "category", fact.category): sign}
    return changes


def _add(counters: Mapping[str, int], changes: Mapping[str, int]) -> dict[str, int]:
    total = dict(counters)
    for key, change in changes.items():
        total[key] = total.get(key, 0) + change
    return {key: value for key, value in total.items() if value}


def _award_newly_met(step: Step, changed: Iterable[str], rules: RuleBook, event: RecordedEvent) -> Step:
    """Decide the badges that the changed counters earn; a decided badge counts as held, so none is decided twice."""
    standing = step.standing
    earned = [
        badge
        for badge in rules.watching(changed)
        if badge.code not in standing.held
        and not standing.counters.get(barred_key(badge.code))
        and badge.rule.holds(standing.counters)
    ]
    if not earned:
        return step
    held = dict(standing.held) | {badge.code: _holding("rule", badge.points, badge.tier) for badge in earned}
    facts = tuple(
        BadgeAwarded(
            learner_id=event.user_id,
            badge=badge.code,
            tier=badge.tier,
            points=badge.points,
            origin="rule",
            rule_version=badge.version,
            evidence={
                "event_id": str(event.event_id),
                "counter": badge.rule.counter,
                "value": standing.counters[badge.rule.counter],
                "target": badge.rule.target,
            },
        )
        for badge in earned
    )
    return replace(step, standing=replace(standing, held=held), facts=facts)


def _revoke_no_longer_met(step: Step, learner_id: int, rules: RuleBook) -> Step:
    """Decide which badges fall with the facts they rested on; badges given by hand stay."""
    standing = step.standing
    lost = _unsupported(standing, rules)
    if not lost:
        return step
    held = {code: holding for code, holding in standing.held.items() if code not in lost}
    facts = tuple(
        BadgeRevoked(
            learner_id=learner_id,
            badge=code,
            tier=holding["tier"],
            points=holding["points"],
            reason=CRITERIA_NO_LONGER_MET,
        )
        for code, holding in sorted(lost.items())
    )
    return replace(step, standing=replace(standing, held=held), facts=facts)


def _unsupported(standing: Standing, rules: RuleBook) -> dict[str, Mapping[str, Any]]:
    """Return the held badges that only their own points, or each other's, still earn."""
    lost = {
        code: holding for code, holding in standing.held.items() if holding["origin"] == "rule" and code in rules.badges
    }
    points = standing.counters.get(POINTS_COUNTER, 0) - sum(holding["points"] for holding in lost.values())
    while True:
        counters = {**standing.counters, POINTS_COUNTER: points}
        earned = [code for code in lost if rules.badges[code].rule.holds(counters)]
        if not earned:
            return lost
        points += sum(lost.pop(code)["points"] for code in earned)


def _holding(origin: str, points: int, tier: str) -> dict[str, Any]:
    return {"origin": origin, "points": points, "tier": tier}
