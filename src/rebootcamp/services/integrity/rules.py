"""Badges judged again: by the rule that gave them, and by the rules in force.

Rules change, and no edit judges anybody by itself; so this speaks only where nothing but a fault explains a difference.
"""

from __future__ import annotations

from datetime import timedelta

from rebootcamp.core.days import ONE_DAY
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.services.gamification.criteria import Criterion, Not, Total, is_dated, nodes
from rebootcamp.services.gamification.measures import KEPT, occurrence
from rebootcamp.services.gamification.progression import (
    Standing,
    expired_key,
    may_earn,
    situation_of,
    unsupported,
)
from rebootcamp.services.integrity.report import Notes
from rebootcamp.services.integrity.sources import Learner
from rebootcamp.services.integrity.world import World


def check_rules(notes: Notes, learner: Learner, world: World, standing: Standing) -> None:
    """Judge the badges of a learner whose journal makes this standing."""
    # No calendar on earth is further: what must be forgiven is forgiven a day too early rather than too late.
    lost = unsupported(standing, world.rules, world.now.date() + ONE_DAY)
    # They may rest on each other: where one is uncertain, all are.
    if all(_is_certain(learner.events, world, code, _rule(world, standing, code)) for code in lost):
        for code in sorted(lost):
            notes.add("badge rules", "held, and its rule is not met", code)
    for code in sorted(missed(learner, world, standing)):
        notes.add("badge rules", "not held, and its rule is met", code)


def missed(learner: Learner, world: World, standing: Standing) -> set[str]:
    """Return the badges that the learner must have been given, and never was.

    Only those by whose present rule all learners were judged, and which stay met once they are.
    """
    situation, known = situation_of(standing, world.now.date()), {grant["badge_code"] for grant in learner.grants}
    return {
        code
        for code in world.judged - known
        if (badge := world.rules.judging(code, world.rules.badges[code].version, standing.measured)) is not None
        and may_earn(standing, code)
        and not standing.counters.get(expired_key(code))
        and _stays_met(badge.rule)
        and badge.rule.holds(situation)
    }


def _rule(world: World, standing: Standing, code: str) -> Criterion:
    # What a challenge gave is judged before its rule has counted everybody.
    badge = world.rules.known(code, standing.held[code]["rule"])
    if badge is None:
        raise LookupError(code)
    return badge.rule


def _is_certain(events: list[RecordedEvent], world: World, code: str, rule: Criterion) -> bool:
    """Tell whether the engine must have judged a held badge by the present terms when something was last taken back."""
    if _asks_for_a_level(rule):
        return False
    awarded = max((e.seq for e in events if isinstance(e.fact, BadgeAwarded) and e.fact.badge == code), default=0)
    undoing = [e for e in events if e.seq > awarded and _takes_back(e)]
    if not undoing:
        return True
    # Whether a badge may fall at all is an edit, too; and days that are forgotten support nothing any more.
    is_forgotten = is_dated(rule) and _span(events) > KEPT
    return world.edited_at[code] <= undoing[-1].occurred_at and not is_forgotten


def _span(events: list[RecordedEvent]) -> timedelta:
    days = [event.local_date for event in events]
    return max(days) - min(days)


def _takes_back(event: RecordedEvent) -> bool:
    counted = occurrence(event.fact.type)
    return isinstance(event.fact, BadgeRevoked) or (counted is not None and counted[1] < 0)


def _asks_for_a_level(rule: Criterion) -> bool:
    """Tell whether an edit of the curve may move what the rule asks for."""
    return any(isinstance(node, Total) and node.kind == "level" for node in nodes(rule))


def _stays_met(rule: Criterion) -> bool:
    """Tell whether what meets the rule goes on meeting it until something is taken back."""
    passing = any(
        isinstance(node, Not) or (isinstance(node, Total) and node.kind == "perfect_quiz") for node in nodes(rule)
    )
    return not (passing or is_dated(rule) or _asks_for_a_level(rule))
