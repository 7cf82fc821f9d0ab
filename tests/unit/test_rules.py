"""Badge criteria: what compiles, what is refused and where, and how they are said."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.errors import InvalidField
from rebootcamp.services.gamification.criteria import Advance, Counted, Criterion, Situation, Total
from rebootcamp.services.gamification.measures import Measure
from rebootcamp.services.gamification.rules import MAX_THRESHOLD, compile_rule, normalise
from rebootcamp.services.gamification.vocabulary import EVENTS, FIELD_WORDS, VALUE_WORDS
from rebootcamp.services.gamification.words import in_words

COMPLETED = "challenge.completed"
PAIRS = [(field, value) for field, values in EVENTS[COMPLETED].choices.items() for value in values]


def count(**body: Any) -> dict[str, Any]:
    return {"count": {"event": "challenge.completed", "at_least": 3, **body}}


@pytest.mark.parametrize(
    ("criteria", "rule"),
    [
        ({"points": {"at_least": 100}}, Total("points", 100)),
        (count(), Counted(Measure(COMPLETED), 3)),
        (count(where={}), Counted(Measure(COMPLETED), 3)),
        (count(where={"category": "water"}), Counted(Measure(COMPLETED, (("category", "water"),)), 3)),
        (count(at_least=MAX_THRESHOLD), Counted(Measure(COMPLETED), MAX_THRESHOLD)),
        (count(within_days=30), Counted(Measure(COMPLETED, grain="day"), 3, 30)),
        (
            count(per="week", distinct="challenge_id"),
            Counted(Measure(COMPLETED, distinct="challenge_id", grain="week"), 3),
        ),
        ({"type": "course_completion", "value": 1}, Counted(Measure("course.completed"), 1)),
    ],
)
def test_valid_criteria_compile(criteria: dict[str, Any], rule: Criterion) -> None:
    assert compile_rule(normalise(criteria)) == rule


@pytest.mark.parametrize(
    ("criteria", "pointer"),
    [
        ({}, "/criteria"),
        ({"points": {"at_least": 1}, "count": {}}, "/criteria"),
        ({"jump": {"at_least": 3}}, "/criteria/jump"),
        ({"streak": {"days": 3}}, "/criteria/streak/days"),
        ({"points": 5}, "/criteria/points"),
        ({"points": {}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 0}}, "/criteria/points/at_least"),
        ({"points": {"at_least": True}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 2.0}}, "/criteria/points/at_least"),
        ({"points": {"at_least": MAX_THRESHOLD + 1}}, "/criteria/points/at_least"),
        ({"points": {"at_least": 1, "extra": 1}}, "/criteria/points/extra"),
        (count(event="workshop.burnt"), "/criteria/count/event"),
        (count(event=["challenge.completed"]), "/criteria/count/event"),
        (count(where=[]), "/criteria/count/where"),
        (count(where={"challenge_id": "7"}), "/criteria/count/where/challenge_id"),
        (count(distinct="colour"), "/criteria/count/distinct"),
        (count(distinct="difficulty", at_least=4), "/criteria/count/at_least"),
        (count(per="decade"), "/criteria/count/per"),
        (count(per="week", within_days=3), "/criteria/count/per"),
        (count(within_days=0), "/criteria/count/within_days"),
        ({"all": []}, "/criteria/all"),
        ({"all": [{"points": {"at_least": 1}}, {"any": [{"xp": {}}]}]}, "/criteria/all/1/any/0/xp/at_least"),
        ({"not": 3}, "/criteria/not"),
        ({"badge": "No Code"}, "/criteria/badge"),
        ({"between": {"from": "2026-06-01", "to": "2026-05-31"}}, "/criteria/between/to"),
        ({"between": {"from": "2026-6-1", "to": "2026-05-31"}}, "/criteria/between/from"),
        ({"type": "course_completion", "value": 0}, "/criteria/count/at_least"),
        ({"type": "dance", "value": 1}, "/criteria"),
        (count(where={"colour": "blue"}), "/criteria/count/where/colour"),
        (count(where={"category": "lava"}), "/criteria/count/where/category"),
        (count(where={"category": ["water"]}), "/criteria/count/where/category"),
        (count(at_least="3"), "/criteria/count/at_least"),
        (count(within="P7D"), "/criteria/count/within"),
    ],
)
def test_refusal_points_at_the_part_that_is_wrong(criteria: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidField) as refused:
        compile_rule(normalise(criteria))
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
        normal = normalise(criteria)
        way = compile_rule(normal).advance(situation())
        assert in_words(normal, "fr") != in_words(normal, "en")
        assert 0 <= way.value <= way.target <= MAX_THRESHOLD


def situation(**totals: int) -> Situation:
    values: dict[str, Any] = {"points": 0, "xp": 0, "level": 1, "daily": 0, "perfect_quiz": 0, **totals}
    return Situation(counters={}, held=(), day=date(2026, 5, 1), **values)


@given(st.integers(-5, 200), st.integers(1, 100))
def test_rule_holds_exactly_when_the_progress_reaches_the_target(value: int, target: int) -> None:
    rule, now = Total("points", target), situation(points=value)
    assert rule.holds(now) == (rule.advance(now) == Advance(target, target)) == (value >= target)
    assert 0 <= rule.advance(now).value <= target
    assert rule.advance(situation()).value == 0


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
    rule = compile_rule(count(where={field: value}))
    assert isinstance(rule, Counted)
    assert rule.measure.is_standard
    assert FIELD_WORDS[field].fr in in_words(count(where={field: value}), "fr")
    assert VALUE_WORDS[value].en in in_words(count(where={field: value}), "en")
