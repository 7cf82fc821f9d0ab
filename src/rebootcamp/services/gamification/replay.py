"""Replaying a learner's history from nothing: it must give the state that is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.services.gamification.progression import RuleBook, Standing, advance
from rebootcamp.services.gamification.streaks import NO_REST_DAYS, RestDays

NO_RULES = RuleBook(())


def replay(events: Iterable[RecordedEvent], rest_days: RestDays = NO_REST_DAYS) -> Standing:
    """Return the standing that a learner's events make; badges come from their own events, not from today's rules.

    The calendar is today's: it never changes for a date that has begun anywhere.
    """
    standing = Standing()
    days: Counter[date] = Counter()
    for event in events:
        if isinstance(event.fact, ChallengeCompleted):
            days[event.local_date] += 1
        elif isinstance(event.fact, ChallengeRevoked):
            days[event.local_date] -= 1
        standing = advance(standing, event, NO_RULES, lambda: +days, rest_days).standing
    return standing
