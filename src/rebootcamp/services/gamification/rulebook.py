"""The rules in force, arranged so that a deed meets only those that it can concern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rebootcamp.services.gamification.criteria import Criterion, measures_of, watched
from rebootcamp.services.gamification.levels import ONE_LEVEL, Curve
from rebootcamp.services.gamification.measures import MeasureIndex


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

    `past_rules`, by code and version, are those on which somebody's badge still rests.
    """

    badges: Mapping[str, Badge] = field(default_factory=dict)
    measures: MeasureIndex = field(default_factory=lambda: MeasureIndex({}))
    past_rules: Mapping[tuple[str, int], Badge] = field(default_factory=dict)
    version: int = 0
    curve: Curve = field(default_factory=lambda: ONE_LEVEL)

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

    def judging(self, code: str, version: int, measured: int) -> Badge | None:
        """Return the badge with the rule by which an award was made, or None when nobody can judge by it any more.

        So it is when the rule is no longer known, or when counters that it reads are not complete for the learner.
        """
        badge = self.badges.get(code)
        if badge is None or badge.version != version:
            badge = self.past_rules.get((code, version))
        return badge if badge is not None and self._is_counted(badge, measured) else None

    def _is_counted(self, badge: Badge, measured: int) -> bool:
        return self._needs[badge.code, badge.version] <= measured

    def without_badges(self) -> RuleBook:
        """Return the measures alone: what a replay needs, for badges come from their own events."""
        return RuleBook(measures=self.measures, version=self.version)


def rule_book(badges: Iterable[Badge], measures: Mapping[str, int] | None = None) -> RuleBook:
    """Return the book of some badges; `measures` says since which version each counter is kept (by default always)."""
    by_code = {badge.code: badge for badge in badges}
    needed = {measure for badge in by_code.values() for measure in measures_of(badge.rule)}
    return RuleBook(by_code, MeasureIndex({m: (measures or {}).get(m.key, 0) for m in needed}))
