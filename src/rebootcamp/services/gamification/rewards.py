"""What a command's answer tells the learner about its rewards."""

from __future__ import annotations

from dataclasses import dataclass

from rebootcamp.core import clock
from rebootcamp.events.badges import BadgeAwarded
from rebootcamp.events.challenges import ChallengeCompleted
from rebootcamp.events.journal import Recorded, Totals
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.engine import standing_of
from rebootcamp.services.gamification.levels import level_of
from rebootcamp.services.gamification.rest_days import calendar_of
from rebootcamp.services.gamification.streaks import off_days


@dataclass(frozen=True)
class Rewards:
    """Points and XP of the deed itself, what it brought beside (each with its own points), and where it leads.

    `goals` are the timed challenges that it completed.
    """

    points: int
    xp: int
    badges: tuple[BadgeAwarded, ...]
    level_before: int
    level_after: int
    daily_streak: int
    totals: Totals
    goals: tuple[ChallengeCompleted, ...] = ()


def rewards_of(recorded: Recorded) -> Rewards:
    """Summarise one recorded deed."""
    first, after = recorded.events[0], recorded.after
    deed, curve = first.fact, curve_at(recorded.line.curve_version)
    line = recorded.line
    streak = standing_of(line).streak
    off = off_days(streak, calendar_of(line.calendar_version), line.days.rule.timezone)
    return Rewards(
        points=deed.score_points,
        xp=deed.score_points,
        badges=tuple(event.fact for event in recorded.events if isinstance(event.fact, BadgeAwarded)),
        level_before=level_of(recorded.before.xp_total, curve).number,
        level_after=level_of(after.xp_total, curve).number,
        # An old deed that was approved only now may have joined a run that is over.
        daily_streak=streak.as_of(line.days.date_of(clock.now()), off),
        totals=after,
        goals=tuple(fact for event in recorded.events[1:] if isinstance(fact := event.fact, ChallengeCompleted)),
    )
