"""Which timed challenges an event completes, and which it takes back: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Final

from rebootcamp.events.badges import BadgeAwarded
from rebootcamp.events.challenges import ChallengeJoined
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.services.gamification.criteria import Situation
from rebootcamp.services.gamification.goals import Goal, joined_key
from rebootcamp.services.gamification.measures import Measure, occurrence
from rebootcamp.services.gamification.progression import Standing, situation_of
from rebootcamp.services.gamification.rulebook import RuleBook

_NOTHING: Final[tuple[Goal, ...]] = ()


def reached(standing: Standing, event: RecordedEvent, rules: RuleBook, today: date) -> list[Goal]:
    """Return the goals that a learner has reached with an event already counted in `standing`."""
    situation = situation_of(standing, event.local_date, rules.curve)
    return [goal for goal in _furthered(standing, event, rules) if may_complete(goal, standing, situation, today)]


def may_complete(goal: Goal, standing: Standing, situation: Situation, today: date) -> bool:
    """Tell whether a goal is open, not done in this period, and met. A team's target is not one learner's to reach."""
    return (
        goal.team_target is None and may_take_part(goal, standing, situation.day, today) and goal.rule.holds(situation)
    )


def may_take_part(goal: Goal, standing: Standing, day: date, today: date) -> bool:
    """Tell whether a goal can still be completed in the period of `day`: open, joined, not done, not barred."""
    counters = standing.counters
    return (
        goal.is_open(day, today)
        and not goal.is_done(counters, day)
        and not counters.get(goal.barred_key(day))
        and (not goal.requires_joining or bool(counters.get(joined_key(goal.challenge_id))))
    )


def lost(standing: Standing, event: RecordedEvent, rules: RuleBook, today: date) -> list[Goal]:
    """Return the goals completed in the period of a deed that was taken back, and which the rest does not reach."""
    counted = occurrence(event.fact.type)
    if counted is None or counted[1] > 0:
        return []
    day = event.local_date
    situation = replace(situation_of(standing, day, rules.curve), reviewed_on=today)
    return [
        goal
        for goal in rules.goals_resting_on(_changed(standing, event, rules), standing.measured)
        if goal.is_done(standing.counters, day) and not goal.basis.holds(situation)
    ]


def _furthered(standing: Standing, event: RecordedEvent, rules: RuleBook) -> Iterable[Goal]:
    fact = event.fact
    if isinstance(fact, ChallengeJoined):
        return [goal for goal in rules.known_goals(standing.measured) if goal.challenge_id == fact.challenge_id]
    counted = occurrence(fact.type)
    is_gain = isinstance(fact, BadgeAwarded) or (counted is not None and counted[1] > 0)
    if not is_gain:
        return _NOTHING
    conditioned = [goal for goal in rules.known_goals(standing.measured) if goal.has_conditions]
    touched = rules.goals_counting(_changed(standing, event, rules), standing.measured)
    found = {goal.challenge_id: goal for goal in (*conditioned, *touched)}
    return [goal for _, goal in sorted(found.items())]


def _changed(standing: Standing, event: RecordedEvent, rules: RuleBook) -> Iterable[Measure]:
    """Return the counters that the event changes, as far as they may say how far one is with a goal."""
    counted = occurrence(event.fact.type)
    if counted is None or event.fact.is_goal:
        return ()
    return rules.measures.touched(counted[0], vars(event.fact), event.local_date, standing.measured)
