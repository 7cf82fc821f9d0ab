"""Levels follow from XP alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.services.gamification.levels import CURVE, level_of

totals = st.integers(-1000, 10_000)


@given(totals, totals)
def test_more_experience_never_means_a_lower_level(one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert level_of(low).number <= level_of(high).number


@given(totals)
def test_total_lies_between_the_floor_of_its_level_and_the_next(xp: int) -> None:
    level = level_of(xp)
    assert level.xp_floor <= max(xp, 0)
    assert level.xp_next is None or xp < level.xp_next
    assert CURVE[level.number - 1] == (level.xp_floor, level.name)


def test_each_floor_opens_its_level_and_the_point_before_does_not() -> None:
    for number, (floor, _) in enumerate(CURVE, start=1):
        assert level_of(floor).number == number
        assert level_of(floor - 1).number == max(number - 1, 1)
    assert level_of(10**9).xp_next is None
