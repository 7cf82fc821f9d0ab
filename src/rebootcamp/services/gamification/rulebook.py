"""The rules in force, arranged so that a deed meets only those that it can concern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rebootcamp.services.gamification.criteria import Criterion, measures_of, watched
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.levels import ONE_LEVEL, Curve
from rebootcamp.services.gamification.measures import Measure, MeasureIndex


@dataclass(frozen=True)
class Badge:
    """What the engine must know of a badge definition.

    `version` is that of its rule; `is_revocable`: the badge falls with the facts it rests on; `valid_days`: how long
    an award lasts, None without end.
    """

    code: str
    tier: str
    points: int
    version: int
    rule: Criterion
    is_revocable: bool = True
    valid_days: int | None = None

    @cached_property
    def watched(self) -> set[str]:
        """Return the signals that its rule watches."""
        return watched(self.rule)


@dataclass(frozen=True)
class RuleBook:
    """The active badges, with the curve of levels that rules may ask for.

    `past_rules`, by code and version, are those on which somebody's badge still rests. `goals` are the timed
    challenges in force, by id; `withdrawn_goals` are in force no more, and can only be taken back; `team_goals` are
    those of teams, archived ones too: what was given to them stays known.
    """

    badges: Mapping[str, Badge] = field(default_factory=dict)
    measures: MeasureIndex = field(default_factory=lambda: MeasureIndex({}))
    past_rules: Mapping[tuple[str, int], Badge] = field(default_factory=dict)
    version: int = 0
    curve: Curve = field(default_factory=lambda: ONE_LEVEL)
    goals: Mapping[int, Goal] = field(default_factory=dict)
    withdrawn_goals: Sequence[Goal] = ()
    team_goals: Sequence[Goal] = ()

    @cached_property
    def _by_signal(self) -> Mapping[str, list[Badge]]:
        by_signal: dict[str, list[Badge]] = {}
        for badge in self.badges.values():
            for signal in badge.watched:
                by_signal.setdefault(signal, []).append(badge)
        return by_signal

    @cached_property
    def _needs(self) -> Mapping[tuple[str, int], int]:
        since = self.measures.since
        return {
            (badge.code, badge.version): max((since.get(m, 0) for m in measures_of(badge.rule)), default=0)
            for badge in (*self.badges.values(), *self.past_rules.values())
        }

    def watching(self, signals: Iterable[str], measured: int) -> list[Badge]:
        """Return the badges that a change of the signals may earn, by code; `measured`: as far as one is measured."""
        found = {badge.code: badge for signal in signals for badge in self._by_signal.get(signal, ())}
        return [badge for _, badge in sorted(found.items()) if self._is_counted(badge, measured)]

    def known_goals(self, measured: int) -> list[Goal]:
        """Return the goals whose counters a learner has, by id; `measured`: as far as one is measured."""
        return [goal for goal, since in self._goals if since <= measured]

    def goals_counting(self, measures: Iterable[Measure], measured: int) -> list[Goal]:
        """Return the goals in force that count one of the measures, of those whose counters a learner has."""
        return [goal for goal in self.goals_resting_on(measures, measured) if goal.challenge_id in self.goals]

    def goals_resting_on(self, measures: Iterable[Measure], measured: int) -> list[Goal]:
        """Return the same with those that were withdrawn: what they gave falls with its deeds."""
        found = {goal.challenge_id: goal for measure in measures for goal in self._goals_by_measure.get(measure, ())}
        return [goal for number, goal in sorted(found.items()) if self._since(goal) <= measured]

    def rewards(self, challenge_id: int) -> list[str]:
        """Return the badges whose rules name a challenge."""
        named = ("challenge_id", challenge_id)
        return sorted(
            code for code, badge in self.badges.items() if any(named in m.where for m in measures_of(badge.rule))
        )

    @cached_property
    def _goals(self) -> list[tuple[Goal, int]]:
        return [(goal, self._since(goal)) for _, goal in sorted(self.goals.items())]

    @cached_property
    def _goals_by_measure(self) -> Mapping[Measure, list[Goal]]:
        by_measure: dict[Measure, list[Goal]] = {}
        for goal in (*self.goals.values(), *self.withdrawn_goals):
            for measure in measures_of(goal.rule):
                by_measure.setdefault(measure, []).append(goal)
        return by_measure

    def _since(self, goal: Goal) -> int:
        return max(self.measures.since.get(measure, 0) for measure in goal.measures)

    def judging(self, code: str, version: int, measured: int) -> Badge | None:
        """Return the badge with the rule by which an award was made, or None when nobody can judge by it any more.

        So it is when the rule is no longer known, or when counters that it reads are not complete for the learner.
        """
        badge = self.known(code, version)
        return badge if badge is not None and self._is_counted(badge, measured) else None

    def known(self, code: str, version: int) -> Badge | None:
        """Return the badge with the rule that it had in a version, or None when that is no longer known."""
        badge = self.badges.get(code)
        return badge if badge is not None and badge.version == version else self.past_rules.get((code, version))

    def _is_counted(self, badge: Badge, measured: int) -> bool:
        return self._needs[badge.code, badge.version] <= measured

    def without_badges(self) -> RuleBook:
        """Return the measures alone: what a replay needs, for badges come from their own events."""
        return RuleBook(measures=self.measures, version=self.version)


def rule_book(
    badges: Iterable[Badge], measures: Mapping[str, int] | None = None, goals: Iterable[Goal] = ()
) -> RuleBook:
    """Return the book of some badges and goals; `measures` says since when each counter is kept (by default always)."""
    by_code, by_id = {badge.code: badge for badge in badges}, {goal.challenge_id: goal for goal in goals}
    needed = {measure for badge in by_code.values() for measure in measures_of(badge.rule)}
    needed |= {measure for goal in by_id.values() for measure in goal.measures}
    return RuleBook(by_code, MeasureIndex({m: (measures or {}).get(m.key, 0) for m in needed}), goals=by_id)
