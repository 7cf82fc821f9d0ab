"""Levels: computed from XP by one function, never stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# {language: {"name": …}}
Translations = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Step:
    """What staff decide of a level: where it begins and how it is called."""

    xp_floor: int
    translations: Translations


@dataclass(frozen=True)
class Level:
    """A level of a curve: `xp_next` is where the next one begins, None on the last."""

    number: int
    translations: Translations
    xp_floor: int
    xp_next: int | None


Curve = Sequence[Level]


def curve_of(steps: Iterable[Step]) -> Curve:
    """Return the levels that steps in order make."""
    given = list(steps)
    nexts = [step.xp_floor for step in given[1:]] + [None]
    return [
        Level(number, step.translations, step.xp_floor, xp_next)
        for number, (step, xp_next) in enumerate(zip(given, nexts, strict=True), start=1)
    ]


def level_of(xp: int, curve: Curve) -> Level:
    """Return the level that an XP total reaches; a negative total is on the first level."""
    return curve[max(bisect_right(curve, xp, key=lambda level: level.xp_floor) - 1, 0)]


def floors_of(numbers: Iterable[int], curve: Curve) -> dict[str, int]:
    """Return where some levels begin, by number, as a JSON object; those that a curve does not have are left out."""
    return {str(number): curve[number - 1].xp_floor for number in sorted(numbers) if number <= len(curve)}


def first_fault(floors: Sequence[int]) -> int | None:
    """Return the index of the first floor out of order: the first is 0, each next one is higher."""
    if floors[0] != 0:
        return 0
    return next((index for index, (low, high) in enumerate(pairwise(floors), start=1) if high <= low), None)


def unreachable(curve: Curve, reach: int | None) -> list[int]:
    """Return the numbers of the levels that begin above the XP one can reach; None: without limit."""
    return [] if reach is None else [level.number for level in curve if level.xp_floor > reach]


# For whoever asks nothing of levels.
ONE_LEVEL: Final = curve_of([Step(0, {})])
