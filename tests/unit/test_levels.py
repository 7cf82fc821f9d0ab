"""Levels follow from XP and the curve alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.services.gamification.levels import Curve, Step, curve_of, first_fault, level_of, unreachable

NAMES = {"en": {"name": "Level"}, "fr": {"name": "Niveau"}}


def curve(*floors: int) -> Curve:
    return curve_of(Step(floor, NAMES) for floor in floors)


totals = st.integers(-1000, 10_000)
rises = st.sets(st.integers(1, 9000), min_size=1, max_size=49)
curves = rises.map(lambda floors: curve(0, *sorted(floors)))


@given(curves, totals, totals)
def test_more_experience_never_means_a_lower_level(levels: Curve, one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert level_of(low, levels).number <= level_of(high, levels).number


@given(curves, totals)
def test_total_lies_between_the_floor_of_its_level_and_the_next(levels: Curve, xp: int) -> None:
    level = level_of(xp, levels)
    assert levels[level.number - 1] == level
    assert level.xp_floor <= max(xp, 0)
    assert level.xp_next is None or xp < level.xp_next


@given(curves)
def test_each_floor_opens_its_level_and_the_point_before_does_not(levels: Curve) -> None:
    for number, level in enumerate(levels, start=1):
        assert level_of(level.xp_floor, levels).number == number
        assert level_of(level.xp_floor - 1, levels).number == max(number - 1, 1)
    assert level_of(10**9, levels).xp_next is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_the_first_fault_is_where_a_curve_stops_rising(floors: list[int]) -> None:
    fault = first_fault(floors)
    assert (fault is None) == (floors[0] == 0 and floors == sorted(set(floors)))
    if fault is not None:
        assert first_fault(floors[:fault] or [0]) is None
        assert floors[fault] <= floors[fault - 1] if fault else floors[0] != 0


def test_levels_above_the_reach_are_unreachable() -> None:
    levels = curve(0, 100, 250)
    assert unreachable(levels, 249) == [3]
    assert unreachable(levels, 250) == []
    assert unreachable(levels, 0) == [2, 3]
    assert unreachable(levels, None) == []
