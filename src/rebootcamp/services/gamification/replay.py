"""Replaying a learner's history from nothing: it must give the state that is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date

from rebootcamp.events.facts import RecordedEvent
from rebootcamp.services.gamification.progression import Standing, Step, advance
from rebootcamp.services.gamification.rulebook import RuleBook
from rebootcamp.services.gamification.streaks import NO_REST_DAYS, RestDays, activity_of


def replay(
    events: Iterable[RecordedEvent],
    rules: RuleBook | None = None,
    measured: int = 0,
    rest_days: RestDays = NO_REST_DAYS,
) -> Standing:
    """Return the standing that a learner's events make, with the counters that `rules` keep up to version `measured`.

    Badges come from their own events, not from today's rules. The calendar is today's: it never changes for a date
    that has begun anywhere.
    """
    standing = Standing(measured=measured)
    for _, step in replayed(events, rules, measured, rest_days):
        standing = step.standing
    return standing


def replayed(
    events: Iterable[RecordedEvent],
    rules: RuleBook | None = None,
    measured: int = 0,
    rest_days: RestDays = NO_REST_DAYS,
) -> Iterator[tuple[RecordedEvent, Step]]:
    """Yield each event with the step that it is, as `replay` takes them."""
    measures = (rules or RuleBook()).without_badges()
    standing = Standing(measured=measured)
    days: Counter[date] = Counter()
    for event in events:
        days[event.local_date] += activity_of(event)
        step = advance(standing, event, measures, lambda: +days, rest_days)
        standing = step.standing
        yield event, step
