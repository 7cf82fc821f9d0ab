"""Timed challenges as the engine sees them: criteria over a window of local dates, which complete by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

from rebootcamp.core.challenges import period_of
from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text
from rebootcamp.services.gamification.criteria import (
    All,
    Counted,
    Criterion,
    HoldsBadge,
    Not,
    Total,
    measures_of,
    nodes,
    watched,
)
from rebootcamp.services.gamification.measures import Counters, Measure, Window, end_of, start_of
from rebootcamp.services.gamification.rules import compile_rule

GRAIN_OF: Final[Mapping[str, str | None]] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "seasonal": "season",
    "event": None,
}


@dataclass(frozen=True)
class Goal:
    """What must be known of a timed challenge to complete it; `version` is that of the challenge.

    With a `team_target` a group reaches it together, and `rule` is what each member must give at least.
    """

    challenge_id: int
    version: int
    slug: str
    titles: Mapping[str, str]
    category: str
    difficulty: str
    cadence: str
    points: int
    rule: Criterion
    opens_on: date | None = None
    closes_on: date | None = None
    requires_joining: bool = False
    team_target: int | None = None
    reward_badge: str | None = None

    @cached_property
    def done(self) -> Measure:
        """Return what counts its own completions, a period at a time."""
        return Measure("challenge.completed", (("challenge_id", self.challenge_id),), grain=GRAIN_OF[self.cadence])

    @cached_property
    def basis(self) -> Criterion:
        """Return what its completion rests on: what was counted. The rest are conditions on the day it is reached."""
        parts = self.rule.inner if isinstance(self.rule, All) else (self.rule,)
        return All(tuple(part for part in parts if measures_of(part)))

    @property
    def share(self) -> Counted:
        """Return what each member of a team must give at least; only for a team challenge."""
        if not isinstance(self.rule, Counted):
            raise TypeError("not the challenge of a team")
        return self.rule

    @cached_property
    def measures(self) -> frozenset[Measure]:
        """Return every counter that it needs."""
        return frozenset(measures_of(self.rule) | {self.done})

    @cached_property
    def kept_keys(self) -> frozenset[str]:
        """Return the names of the counters that are kept for its sake."""
        return frozenset(measure.key for measure in self.measures if not measure.is_standard)

    @cached_property
    def has_conditions(self) -> bool:
        """Tell whether something else than a counted deed may complete it."""
        return bool(watched(self.rule) - {measure.key for measure in measures_of(self.rule)})

    def window(self, day: date) -> tuple[date | None, date | None] | None:
        """Return the first and last local date that count together with `day` (None: no end), or None when closed."""
        if (self.opens_on and day < self.opens_on) or (self.closes_on and day > self.closes_on):
            return None
        grain = GRAIN_OF[self.cadence]
        if grain is None:
            return self.opens_on, self.closes_on
        first, last = start_of(grain, day), end_of(grain, day)
        return max(first, self.opens_on or first), min(last, self.closes_on or last)

    def is_open(self, day: date, today: date) -> bool:
        """Tell whether a deed of `day` may still complete it today."""
        window = self.window(day)
        return window is not None and window == self.window(today)

    def period(self, day: date) -> str:
        """Return the name of the period of a local date."""
        return period_of(self.cadence, day)

    def is_done(self, counters: Counters, day: date) -> bool:
        """Tell whether it is completed in the period of a local date."""
        return self.done.value(counters, day) > 0

    def barred_key(self, day: date) -> str:
        """Return the counter that keeps a completion taken by hand from coming back in its period."""
        return barred_goal_key(self.challenge_id, self.period(day))


def barred_goal_key(challenge_id: int, period: str) -> str:
    """Return the counter that keeps a completion taken by hand from coming back in its period."""
    return f"barred|challenge={challenge_id}|{period}"


def joined_key(challenge_id: int) -> str:
    """Return the counter that says that a learner takes part."""
    return f"joined|challenge={challenge_id}"


def goal_of(challenge: Any) -> Goal:
    """Return the goal that a stored timed challenge sets. Raises `InvalidField`."""
    bounds = challenge.opens_on, challenge.closes_on
    is_team = challenge.team_target is not None
    return Goal(
        challenge_id=challenge.id,
        version=challenge.version,
        slug=challenge.slug,
        titles={language: texts["title"] for language, texts in challenge.translations.items()},
        category=challenge.category,
        difficulty=challenge.difficulty,
        cadence=challenge.cadence,
        points=challenge.points,
        rule=compile_goal(challenge.criteria, challenge.cadence, *bounds, is_team=is_team),
        opens_on=challenge.opens_on,
        closes_on=challenge.closes_on,
        requires_joining=challenge.requires_joining,
        team_target=challenge.team_target,
        reward_badge=challenge.reward_badge,
    )


def window_of(cadence: str, opens_on: date | None, closes_on: date | None) -> Window:
    """Return the window over which the criteria of a challenge are counted."""
    is_bounded = opens_on is not None or closes_on is not None
    span = (opens_on or date.min, closes_on or date.max) if is_bounded else None
    return Window(GRAIN_OF[cadence], span)


def compile_goal(
    criteria: Mapping[str, Any], cadence: str, opens_on: date | None, closes_on: date | None, *, is_team: bool
) -> Criterion:
    """Compile the criteria of a timed challenge. Raises `InvalidField`.

    Deeds in the window must be counted. Totals and badges are conditions: they stand beside what is counted, in the
    outermost `all`, so that a completion can be judged again by its deeds alone.
    """
    rule = compile_rule(criteria, window=window_of(cadence, opens_on, closes_on))
    if is_team and not (isinstance(rule, Counted) and rule.measure.distinct is None):
        raise _refused(
            "A team challenge has one count or sum, without distinct.",
            "Un défi d'équipe a un seul count ou sum, sans distinct.",
        )
    if not _counts_something(rule):
        raise _refused(
            "A timed challenge counts or sums something.", "Un défi à critères compte ou additionne quelque chose."
        )
    parts = rule.inner if isinstance(rule, All) else (rule,)
    if any(measures_of(part) and any(isinstance(node, Total | HoldsBadge) for node in nodes(part)) for part in parts):
        raise _refused(
            "Points, xp, level, streak and badge are conditions: "
            "put them in the outermost all, beside what is counted.",
            "points, xp, level, streak et badge sont des conditions : "
            "placez-les dans le all extérieur, à côté de ce qui est compté.",
        )
    return rule


def _counts_something(rule: Criterion) -> bool:
    if isinstance(rule, Not):
        return False
    return isinstance(rule, Counted) or any(_counts_something(part) for part in rule.parts())


def _refused(en: str, fr: str) -> InvalidField:
    return InvalidField("/criteria", Text(en, fr), "invalid_criteria")
