"""Who the demo learners are and what they set out to do: pure plans from a seeded generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.challenges import CATEGORIES, period_of

MONTHS_OF_HISTORY: Final = timedelta(days=184)
ONE_DAY: Final = timedelta(days=1)

# How often people are awake and minded to act, hour by hour of their own day.
HOURS: Final = (0, 0, 0, 0, 0, 1, 3, 8, 9, 5, 3, 3, 9, 7, 3, 3, 4, 6, 9, 11, 12, 9, 5, 1)
HOURS_OF_WORDS: Final = {"night": (21, 22), "evening": (20, 21, 22), "morning": (7, 8), "lunch": (12, 13)}
LIKING: Final = {"easy": 1.0, "medium": 0.6, "hard": 0.35}
OCCASION: Final = {"daily": 1.0, "weekly": 0.8, "monthly": 0.45, "seasonal": 1.5, "event": 0.15, "once": 0.25}


@dataclass(frozen=True)
class Persona:
    """Habits: the chance to act after an idle and after an active day, and the weights of 1, 2 or 3 deeds a day."""

    begins: float
    goes_on: float
    deeds: tuple[int, int, int]
    arrives_before_end: tuple[int, int]
    breaks: int


PERSONAS: Final = {
    "keen": Persona(0.5, 0.92, (32, 38, 30), (160, 182), 1),
    "steady": Persona(0.28, 0.55, (60, 30, 10), (90, 180), 2),
    "occasional": Persona(0.09, 0.28, (80, 18, 2), (60, 178), 1),
    "newcomer": Persona(0.4, 0.6, (55, 33, 12), (4, 26), 0),
}


@dataclass(frozen=True)
class Deed:
    """One challenge that a learner takes on, at an instant."""

    at: datetime
    challenge: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """When a learner joins, and everything they will do."""

    learner: Mapping[str, Any]
    joins_at: datetime
    deeds: tuple[Deed, ...]


def plan_learner(
    learner: Mapping[str, Any], challenges: Sequence[Mapping[str, Any]], rng: Random, last_day: date
) -> Plan:
    """Return the plan of one learner; the same generator state gives the same plan."""
    persona = PERSONAS[learner["persona"]]
    first_day = last_day - timedelta(days=rng.randint(*persona.arrives_before_end))
    joins_at = _instant(rng, first_day, learner["timezone"], range(8, 19))
    chooser = _Chooser(rng, challenges)
    deeds = [
        Deed(at, challenge)
        for day in _active_days(rng, persona, first_day, last_day)
        for at, challenge in chooser.deeds_of(day, learner["timezone"], persona.deeds)
    ]
    return Plan(learner, joins_at, tuple(sorted((d for d in deeds if d.at > joins_at), key=lambda deed: deed.at)))


class _Chooser:
    """Picks challenges to somebody's taste, each at most once in its period."""

    def __init__(self, rng: Random, challenges: Sequence[Mapping[str, Any]]) -> None:
        self._rng = rng
        self._challenges = challenges
        taste = {category: rng.uniform(0.3, 1.7) for category in CATEGORIES}
        self._weights = [taste[c["category"]] * LIKING[c["difficulty"]] * OCCASION[c["cadence"]] for c in challenges]
        self._taken: set[tuple[str, str]] = set()

    def deeds_of(
        self, day: date, timezone: str, weights: Sequence[int]
    ) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
        """Yield what is done on a day."""
        wanted = self._rng.choices((1, 2, 3), weights)[0]
        # More wishes than deeds: some are done already in their period.
        for challenge in self._rng.choices(self._challenges, self._weights, k=2 * wanted):
            slot = (challenge["slug"], period_of(challenge["cadence"], day))
            if wanted and slot not in self._taken:
                wanted -= 1
                self._taken.add(slot)
                yield _instant(self._rng, day, timezone, _hours_of(challenge["slug"])), challenge


def _active_days(rng: Random, persona: Persona, first_day: date, last_day: date) -> Iterator[date]:
    length = (last_day - first_day).days + 1
    away: set[date] = set()
    for _ in range(persona.breaks):
        start = first_day + timedelta(days=rng.randrange(3, max(4, length)))
        away |= {start + timedelta(days=offset) for offset in range(rng.randint(5, 14))}
    was_active = True
    for day in (first_day + timedelta(days=offset) for offset in range(length)):
        was_active = day not in away and rng.random() < (persona.goes_on if was_active else persona.begins)
        if was_active:
            yield day


def _hours_of(slug: str) -> Sequence[int]:
    for word, hours in HOURS_OF_WORDS.items():
        if word in slug:
            return hours
    return range(24)


def _instant(rng: Random, day: date, timezone: str, hours: Sequence[int]) -> datetime:
    hour = rng.choices(hours, [HOURS[hour] for hour in hours])[0]
    wall = time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(1000) * 1000)
    return datetime.combine(day, wall, tzinfo=clock.zone(timezone)).astimezone(UTC)
