"""Badge criteria: what compiles, what is refused and where, and how they are said."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.errors import InvalidField
from rebootcamp.services.gamification.rules import (
    _FIELD_WORDS,
    _VALUE_WORDS,
    COUNTABLE,
    MAX_THRESHOLD,
    Rule,
    compile_rule,
    counter_key,
    in_words,
)

PAIRS = [(field, value) for field, values in COUNTABLE["challenge.completed"].items() for value in values]


def count(**body: Any) -> dict[str, Any]:
    return {"count": {"event": "challenge.completed", "at_least": 3, **body}}


@pytest.mark.parametrize(
    ("criteria", "rule"),
    [
        ({"points": {"at_least": 100}}, Rule("points", 100)),
        (count(), Rule("challenge.completed", 3)),
        (count(where={}), Rule("challenge.completed", 3)),
        (count(where={"category": "water"}), Rule("challenge.completed|category=water", 3)),
        (count(at_least=MAX_THRESHOLD), Rule("challenge.completed", MAX_THRESHOLD)),
    ],
)
def test_valid_criteria_compile(criteria: dict[str, Any], rule: Rule) -> None:
    assert compile_rule(criteria) == rule


@pytest.mark.parametrize(
    ("criteria", "pointer"),
    [
        ({}, "/criteria"),
        ({"points": {"at_least": 1}, "count": {}}, "/criteria"),
        ({"streak": {"days": 3}}, "/criteria/streak"),
        ({"points": 5}, "/criteria/points"),
        ({"points": {}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 0}}, "/criteria/points/at_least"),
        ({"points": {"at_least": True}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 2.0}}, "/criteria/points/at_least"),
        ({"points": {"at_least": MAX_THRESHOLD + 1}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 1, "extra": 1}}, "/criteria/points/extra"),
        (count(event="workshop.attended"), "/criteria/count/event"),
        (count(event=["challenge.completed"]), "/criteria/count/event"),
        (count(where=[]), "/criteria/count/where"),
        (count(where={"category": "water", "cadence": "daily"}), "/criteria/count/where"),
        (count(where={"colour": "blue"}), "/criteria/count/where/colour"),
        (count(where={"category": "lava"}), "/criteria/count/where/category"),
        (count(where={"category": ["water"]}), "/criteria/count/where/category"),
        (count(at_least="3"), "/criteria/count/at_least"),
        (count(within="P7D"), "/criteria/count/within"),
    ],
)
def test_refusal_points_at_the_part_that_is_wrong(criteria: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidField) as refused:
        compile_rule(criteria)
    assert refused.value.pointer == pointer
    assert refused.value.message.en != refused.value.message.fr


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
near_criteria = st.fixed_dictionaries(
    {},
    optional={
        "points": st.one_of(json_values, st.fixed_dictionaries({"at_least": json_values})),
        "count": st.fixed_dictionaries(
            {"event": st.one_of(json_values, st.just("challenge.completed")), "at_least": json_values},
            optional={"where": st.one_of(json_values, st.dictionaries(st.sampled_from(["category"]), json_values))},
        ),
    },
)


@given(st.one_of(near_criteria, st.dictionaries(st.text(max_size=5), json_values, max_size=3)))
def test_any_json_object_compiles_or_is_refused(criteria: dict[str, Any]) -> None:
    with suppress(InvalidField):
        rule = compile_rule(criteria)
        assert in_words(criteria, "fr") != in_words(criteria, "en")
        assert 1 <= rule.target <= MAX_THRESHOLD


@given(st.integers(-5, 200), st.integers(1, 100))
def test_rule_holds_exactly_when_the_progress_reaches_the_target(value: int, target: int) -> None:
    rule = Rule("points", target)
    counters = {"points": value}
    assert rule.holds(counters) == (rule.advance(counters) == target) == (value >= target)
    assert 0 <= rule.advance(counters) <= target
    assert rule.advance({}) == 0


@pytest.mark.parametrize(
    ("criteria", "en", "fr"),
    [
        ({"points": {"at_least": 100}}, "Reach 100 points", "Atteindre 100 points"),
        (count(at_least=1), "Complete 1 challenge", "Réussir 1 défi"),
        (
            count(where={"category": "water"}),
            "Complete 3 challenges (category: water)",
            "Réussir 3 défis (catégorie : eau)",
        ),
        (
            count(where={"difficulty": "hard"}),
            "Complete 3 challenges (difficulty: hard)",
            "Réussir 3 défis (difficulté : difficile)",
        ),
    ],
)
def test_criteria_are_said_in_both_languages(criteria: dict[str, Any], en: str, fr: str) -> None:
    assert (in_words(criteria, "en"), in_words(criteria, "fr")) == (en, fr)


@pytest.mark.parametrize(("field", "value"), PAIRS)
def test_everything_countable_has_a_counter_and_words(field: str, value: str) -> None:
    assert compile_rule(count(where={field: value})).counter == counter_key("challenge.completed", field, value)
    assert _FIELD_WORDS[field].fr in in_words(count(where={field: value}), "fr")
    assert _VALUE_WORDS[value].en in in_words(count(where={field: value}), "en")
