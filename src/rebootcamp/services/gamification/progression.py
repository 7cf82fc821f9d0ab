"""The pure core of the engine: standing + event + rules -> new standing + what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.days import DayRule
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.challenges import (
    ChallengeCompleted,
    ChallengeFact,
    ChallengeJoined,
    ChallengeLeft,
    ChallengeRevoked,
)
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.services.gamification.criteria import (
    DAILY,
    DAY,
    PERFECT_QUIZ,
    POINTS,
    XP,
    Criterion,
    Situation,
    badge_signal,
    first_met,
    levels_of,
    readings_of,
    still_holds,
)
from rebootcamp.services.gamification.goals import barred_goal_key, joined_key
from rebootcamp.services.gamification.levels import ONE_LEVEL, Curve, floors_of, level_of
from rebootcamp.services.gamification.measures import added, counter_key, occurrence, tally
from rebootcamp.services.gamification.rulebook import Badge, RuleBook
from rebootcamp.services.gamification.streaks import NO_REST_DAYS, RestDays, Streak, streak_after

CHALLENGES, CO2E, CATEGORY_POINTS = "challenges", "co2e_grams", "category_points"

CRITERIA_NO_LONGER_MET: Final = "criteria_no_longer_met"
RULE_CHANGED: Final = "rule_changed"
EXPIRED: Final = "expired"
# Whoever loses a badge for one of these reasons may earn it again, by old deeds, too.
AUTOMATIC: Final = (CRITERIA_NO_LONGER_MET, RULE_CHANGED)

ActiveDays = Callable[[], Iterable[date]]


@dataclass(frozen=True)
class Standing:
    """All that the engine remembers of a learner.

    `held` maps a badge code to `{origin, points, tier, rule, on}`: the version of its rule and the local date on which
    that was met; `floors` say where the levels that the rule names began then. `measured` is the version of the rules
    whose counters are complete.
    """

    challenge_points: int = 0
    badge_points: int = 0
    xp_total: int = 0
    streak: Streak = field(default_factory=Streak)
    counters: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measured: int = 0


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
    longest = standing.streak.longest
    standing = replace(standing, streak=streak_after(standing.streak, event, active_days, rest_days))
    is_longer = standing.streak.longest > longest
    if isinstance(fact, BadgeAwarded):
        return _badge_awarded(standing, event, fact, rules)
    if isinstance(fact, BadgeRevoked):
        return _badge_revoked(standing, event, fact, rules)
    if isinstance(fact, ChallengeJoined | ChallengeLeft):
        change = {joined_key(fact.challenge_id): 1 if isinstance(fact, ChallengeJoined) else -1}
        return Step(replace(standing, counters=added(standing.counters, change)))
    counted = occurrence(fact.type)
    if counted is None:
        # A repaired day may lengthen a streak, and so earn a badge.
        return _award_newly_met(Step(standing), {DAILY} if is_longer else (), rules, event)
    return _deed(standing, event, counted[1], rules)


def _deed(standing: Standing, event: RecordedEvent, sign: int, rules: RuleBook) -> Step:
    """Apply something that the learner did (`sign` 1), or that was taken back (-1)."""
    fact = event.fact
    counters, signals = tally(
        standing.counters, fact.type, vars(fact), event.local_date, rules.measures, standing.measured
    )
    moved = replace(
        standing,
        challenge_points=standing.challenge_points + (fact.score_points if isinstance(fact, ChallengeFact) else 0),
        xp_total=standing.xp_total + fact.xp_points,
        counters=added(counters, _challenge_changes(fact, sign)),
    )
    reason = fact.type.partition(".")[0] + ("_revoked" if sign < 0 else "")
    step = Step(moved, (XpGrant(reason, fact.xp_points, getattr(fact, "category", None)),))
    if sign < 0:
        return _revoke_no_longer_met(step, event, rules)
    return _award_newly_met(step, signals | {POINTS, XP, DAILY, PERFECT_QUIZ, DAY}, rules, event)


def _badge_awarded(standing: Standing, event: RecordedEvent, fact: BadgeAwarded, rules: RuleBook) -> Step:
    marks = (barred_key(fact.badge), expired_key(fact.badge))
    moved = replace(
        standing,
        badge_points=standing.badge_points + fact.points,
        xp_total=standing.xp_total + fact.points,
        counters=added(standing.counters, {mark: -standing.counters.get(mark, 0) for mark in marks}),
        held={**standing.held, fact.badge: _holding(fact, event.local_date)},
    )
    step = Step(moved, (XpGrant("badge", fact.points),))
    return _award_newly_met(step, {POINTS, XP, badge_signal(fact.badge)}, rules, event)


def _badge_revoked(standing: Standing, event: RecordedEvent, fact: BadgeRevoked, rules: RuleBook) -> Step:
    moved = replace(
        standing,
        badge_points=standing.badge_points - fact.points,
        xp_total=standing.xp_total - fact.points,
        counters=added(standing.counters, _marks(fact)),
        held={code: held for code, held in standing.held.items() if code != fact.badge},
    )
    step = Step(moved, (XpGrant("badge_revoked", -fact.points),))
    return _revoke_no_longer_met(step, event, rules)


def _marks(fact: BadgeRevoked) -> dict[str, int]:
    """Return what is remembered of a loss."""
    if fact.reason == EXPIRED:
        return {expired_key(fact.badge): 1}
    return {} if fact.reason in AUTOMATIC else {barred_key(fact.badge): 1}


def barred_key(code: str) -> str:
    """Return the counter that keeps a badge taken by hand from coming back by its rule."""
    return f"barred|badge={code}"


def expired_key(code: str) -> str:
    """Return the counter that keeps an expired badge from being given back for what was done before."""
    return f"expired|badge={code}"


def reward_key(code: str) -> str:
    """Return the counter of the completed challenges that give a badge: with the last of them it falls."""
    return f"reward|badge={code}"


def _challenge_changes(fact: Fact, sign: int) -> dict[str, int]:
    """Return the counters that the progress page shows."""
    if not isinstance(fact, ChallengeCompleted | ChallengeRevoked):
        return {}
    changes = {
        CO2E: sign * fact.co2e_grams,
        counter_key(CATEGORY_POINTS, "category", fact.category): sign * fact.points,
    }
    if fact.is_first if isinstance(fact, ChallengeCompleted) else fact.is_last:
        changes |= {CHALLENGES: sign, counter_key(CHALLENGES, "category", fact.category): sign}
        if fact.reward_badge is not None:
            changes[reward_key(fact.reward_badge)] = sign
    if isinstance(fact, ChallengeRevoked) and fact.is_goal and fact.reason not in AUTOMATIC:
        changes[barred_goal_key(fact.challenge_id, fact.period)] = 1
    return changes


def situation_of(standing: Standing, day: date, curve: Curve = ONE_LEVEL) -> Situation:
    """Return what criteria are judged on; a streak that was reached once stays reached."""
    return Situation(
        counters=standing.counters,
        points=standing.challenge_points + standing.badge_points,
        xp=standing.xp_total,
        level=level_of(standing.xp_total, curve).number,
        daily=standing.streak.longest,
        perfect_quiz=standing.streak.perfect_quizzes,
        held=standing.held,
        day=day,
    )


def award_of(
    badge: Badge,
    learner_id: int,
    situation: Situation,
    evidence: Mapping[str, Any],
    at: datetime,
    curve: Curve,
) -> BadgeAwarded:
    """Return the award of a badge by its rule, with what the rule saw, and where its levels began."""
    seen: dict[str, Any] = {"readings": [asdict(reading) for reading in readings_of(badge.rule, situation)]}
    if levels := levels_of(badge.rule):
        seen["floors"] = floors_of(levels, curve)
    return BadgeAwarded(
        learner_id=learner_id,
        badge=badge.code,
        tier=badge.tier,
        points=badge.points,
        origin="rule",
        rule_version=badge.version,
        evidence={**evidence, **seen},
        expires_at=expiry_of(badge.valid_days, at),
    )


def expiry_of(valid_days: int | None, at: datetime) -> str | None:
    """Return when an award made at an instant ends, in ISO 8601; None for never."""
    return None if valid_days is None else clock.iso(at + timedelta(days=valid_days))


def _award_newly_met(step: Step, signals: Iterable[str], rules: RuleBook, event: RecordedEvent) -> Step:
    """Decide the badges that a change earns; a decided badge counts as held, so none is decided twice."""
    standing = step.standing
    now = situation_of(standing, event.local_date, rules.curve)
    rewards = _rewards(standing, event, rules)
    decided = {fact.badge for fact in rewards}
    watching = (badge for badge in rules.watching(signals, standing.measured) if badge.code not in decided)
    candidates = (badge for badge in watching if may_earn(standing, badge.code))
    is_late = event.local_date < _today(event)
    met = ((badge, first_met(badge.rule, now, is_late=is_late)) for badge in candidates)
    facts = tuple(
        award_of(badge, event.user_id, then, _evidence(event, then), event.occurred_at, rules.curve)
        for badge, then in met
        if then
    )
    facts = rewards + facts
    if not facts:
        return step
    held = dict(standing.held) | {fact.badge: _holding(fact, event.local_date) for fact in facts}
    return replace(step, standing=replace(standing, held=held), facts=facts)


def _rewards(standing: Standing, event: RecordedEvent, rules: RuleBook) -> tuple[BadgeAwarded, ...]:
    """Return the award of the badge that the completed challenge gives, if the learner may have it."""
    fact = event.fact
    badge = rules.badges.get(fact.reward_badge or "") if isinstance(fact, ChallengeCompleted) else None
    if badge is None or not isinstance(fact, ChallengeCompleted) or not may_earn(standing, badge.code):
        return ()
    award = BadgeAwarded(
        learner_id=event.user_id,
        badge=badge.code,
        tier=badge.tier,
        points=badge.points,
        origin="challenge",
        rule_version=badge.version,
        evidence={"event_id": str(event.event_id), "challenge_id": fact.challenge_id, "titles": dict(fact.titles)},
        expires_at=expiry_of(badge.valid_days, event.occurred_at),
    )
    return (award,)


def _today(event: RecordedEvent) -> date:
    return DayRule(event.timezone).date_of(event.occurred_at)


def _evidence(event: RecordedEvent, met: Situation) -> dict[str, Any]:
    evidence = {"event_id": str(event.event_id)}
    return evidence if met.day == event.local_date else {**evidence, "met_on": met.day.isoformat()}


def may_earn(standing: Standing, code: str) -> bool:
    """Tell whether a badge is neither held nor barred."""
    return code not in standing.held and not standing.counters.get(barred_key(code))


def _revoke_no_longer_met(step: Step, event: RecordedEvent, rules: RuleBook) -> Step:
    """Decide which badges fall with the facts they rested on; badges given by hand stay."""
    standing = step.standing
    lost = unsupported(standing, rules, _today(event))
    if not lost:
        return step
    held = {code: holding for code, holding in standing.held.items() if code not in lost}
    facts = tuple(
        revocation_of(event.user_id, code, holding, CRITERIA_NO_LONGER_MET) for code, holding in sorted(lost.items())
    )
    return replace(step, standing=replace(standing, held=held), facts=facts)


def revocation_of(learner_id: int, code: str, holding: Mapping[str, Any], reason: str) -> BadgeRevoked:
    """Return the fact that a held badge is taken back, with the points that it gave."""
    return BadgeRevoked(
        learner_id=learner_id, badge=code, tier=holding["tier"], points=holding["points"], reason=reason
    )


def without_badges(standing: Standing, held: Mapping[str, Mapping[str, Any]]) -> Standing:
    """Return a standing as if it had never had some of its badges, their points included."""
    points = sum(holding["points"] for holding in held.values())
    return replace(
        standing,
        badge_points=standing.badge_points - points,
        xp_total=standing.xp_total - points,
        held={code: holding for code, holding in standing.held.items() if code not in held},
    )


def unsupported(standing: Standing, rules: RuleBook, today: date) -> dict[str, Mapping[str, Any]]:
    """Return the held badges that only their own points, or each other's, still earn.

    Each is judged by the rule of its award; a completed challenge that gives it is reason enough.
    """
    judged = {
        code: (holding, badge.rule)
        for code, holding in standing.held.items()
        if not standing.counters.get(reward_key(code))
        and (badge := _judged(code, holding, rules, standing.measured)) is not None
        and badge.is_revocable
    }
    lost = {code: holding for code, (holding, _) in judged.items()}
    while lost:
        rest = without_badges(standing, lost)
        earned = [code for code in lost if _stays(rest, *judged[code], today, rules.curve)]
        if not earned:
            break
        for code in earned:
            del lost[code]
    return lost


def _judged(code: str, holding: Mapping[str, Any], rules: RuleBook, measured: int) -> Badge | None:
    """Return the badge by whose rule a holding is judged, None for what nobody can judge."""
    if holding["origin"] == "rule":
        return rules.judging(code, holding["rule"], measured)
    return rules.known(code, holding["rule"]) if holding["origin"] == "challenge" else None


def _stays(standing: Standing, holding: Mapping[str, Any], rule: Criterion, today: date, curve: Curve) -> bool:
    situation = situation_of(standing, date.fromisoformat(holding["on"]), curve)
    # Staff who move a level must not take anybody's badge: whoever has what it asked for then keeps it.
    then = [int(number) for number, floor in holding.get("floors", {}).items() if standing.xp_total >= floor]
    return still_holds(rule, replace(situation, level=max([situation.level, *then])), today)


def _holding(fact: BadgeAwarded, day: date) -> dict[str, Any]:
    has_floors = fact.origin == "rule" and "floors" in fact.evidence
    return {
        "origin": fact.origin,
        "points": fact.points,
        "tier": fact.tier,
        "rule": fact.rule_version,
        # A back-fill or a late approval finds out today what was met before.
        "on": fact.evidence.get("met_on", day.isoformat()),
        **({"floors": fact.evidence["floors"]} if has_floors else {}),
    }
