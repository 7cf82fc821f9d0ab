"""Rules in words: every criterion, in both languages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given

from rebootcamp.services.gamification.rules import compile_rule, named_badges, normalise
from rebootcamp.services.gamification.vocabulary import DISTINCT_WORDS, EVENTS, FIELD_WORDS, SHORT_FORMS, VALUE_WORDS
from rebootcamp.services.gamification.words import in_words, names_a_badge
from tests.factories.rules import criteria


def count(at_least: int = 3, event: str = "challenge.completed", **body: Any) -> dict[str, Any]:
    return {"count": {"event": event, "at_least": at_least, **body}}


def total(field: str, at_least: int, **body: Any) -> dict[str, Any]:
    return {"sum": {"event": "challenge.completed", "field": field, "at_least": at_least, **body}}


WORDS: list[tuple[dict[str, Any], str, str]] = [
    (count(1), "Complete 1 challenge", "Réussir 1 défi"),
    (count(12_345), "Complete 12,345 challenges", "Réussir 12\u202f345 défis"),
    (
        count(where={"category": "food", "difficulty": "hard"}),
        "Complete 3 challenges (category: food, difficulty: hard)",
        "Réussir 3 défis (catégorie : alimentation, difficulté : difficile)",
    ),
    (count(where={"challenge_id": 7}), "Complete 3 challenges (challenge no.: 7)", "Réussir 3 défis (défi n° : 7)"),
    (count(distinct="challenge_id"), "Complete 3 different challenges", "Réussir 3 défis différents"),
    (count(1, distinct="challenge_id"), "Complete 1 challenge", "Réussir 1 défi"),
    (
        count(5, distinct="category"),
        "Complete challenges in 5 different categories",
        "Réussir des défis dans 5 catégories différentes",
    ),
    (count(1, distinct="category"), "Complete 1 challenge", "Réussir 1 défi"),
    (
        count(2, distinct="difficulty"),
        "Complete challenges of 2 different difficulties",
        "Réussir des défis de 2 difficultés différentes",
    ),
    (
        count(2, distinct="cadence"),
        "Complete challenges of 2 different cadences",
        "Réussir des défis de 2 cadences différentes",
    ),
    (
        count(1000, distinct="local_date"),
        "Complete challenges on 1,000 different days",
        "Réussir des défis sur 1\u202f000 jours différents",
    ),
    (count(within_days=30), "Complete 3 challenges within 30 days", "Réussir 3 défis en 30 jours"),
    (count(within_days=1), "Complete 3 challenges within 1 day", "Réussir 3 défis en 1 jour"),
    (count(per="day"), "Complete 3 challenges in one day", "Réussir 3 défis en une journée"),
    (count(per="week"), "Complete 3 challenges in one week", "Réussir 3 défis en une semaine"),
    (count(per="month"), "Complete 3 challenges in one month", "Réussir 3 défis en un mois"),
    (count(per="season"), "Complete 3 challenges in one season", "Réussir 3 défis en une saison"),
    (count(per="year"), "Complete 3 challenges in one year", "Réussir 3 défis en une année"),
    (total("co2e_grams", 10_000), "Save 10,000 g of CO2e", "Éviter 10\u202f000 g de CO2e"),
    (
        total("points", 50, per="week", where={"cadence": "daily"}),
        "Earn 50 points with challenges (cadence: daily) in one week",
        "Gagner 50 points grâce aux défis (cadence : quotidien) en une semaine",
    ),
    (count(2, "workshop.attended"), "Attend 2 workshops", "Participer à 2 ateliers"),
    (count(2, "course.completed"), "Complete 2 courses", "Terminer 2 cours"),
    (
        count(2, "lesson.completed", distinct="lesson_id"),
        "Complete 2 different lessons",
        "Terminer 2 leçons différentes",
    ),
    (
        count(2, "lesson.completed", distinct="course_id"),
        "Complete lessons in 2 different courses",
        "Terminer des leçons dans 2 cours différents",
    ),
    (count(2, "quiz.completed"), "Finish 2 quizzes", "Terminer 2 quiz"),
    (count(1, "hackathon.submitted"), "Hand in 1 prompt hackathon", "Rendre 1 hackathon"),
    (count(2, "grain.completed"), "Finish 2 grains", "Terminer 2 grains"),
    ({"points": {"at_least": 1}}, "Reach 1 point", "Atteindre 1 point"),
    ({"points": {"at_least": 1000}}, "Reach 1,000 points", "Atteindre 1\u202f000 points"),
    ({"xp": {"at_least": 250}}, "Reach 250 XP", "Atteindre 250 XP"),
    ({"level": {"at_least": 5}}, "Reach level 5", "Atteindre le niveau 5"),
    ({"streak": {"kind": "daily", "at_least": 1}}, "Be active on 1 day", "Être actif 1 jour"),
    ({"streak": {"kind": "daily", "at_least": 7}}, "Be active 7 days in a row", "Être actif 7 jours de suite"),
    (
        {"streak": {"kind": "perfect_quiz", "at_least": 3}},
        "Finish 3 quizzes in a row without a mistake",
        "Réussir 3 quiz de suite sans faute",
    ),
    (
        {"streak": {"kind": "perfect_quiz", "at_least": 1}},
        "Finish 1 quiz without a mistake",
        "Réussir 1 quiz sans faute",
    ),
    ({"badge": "first"}, "Hold the badge “First”", "Détenir le badge « First »"),
    ({"badge": "other"}, "Hold the badge “other”", "Détenir le badge « other »"),
    (
        {"between": {"from": "2026-06-01", "to": "2026-08-31"}},
        "From 2026-06-01 to 2026-08-31",
        "Du 2026-06-01 au 2026-08-31",
    ),
    ({"not": {"badge": "first"}}, "Not: Hold the badge “First”", "Sauf : Détenir le badge « First »"),
    (
        {"all": [{"points": {"at_least": 5}}, {"any": [{"xp": {"at_least": 9}}, {"level": {"at_least": 2}}]}]},
        "Reach 5 points; and (Reach 9 XP; or Reach level 2)",
        "Atteindre 5 points ; et (Atteindre 9 XP ; ou Atteindre le niveau 2)",
    ),
    ({"all": [{"any": [{"xp": {"at_least": 9}}]}]}, "Reach 9 XP", "Atteindre 9 XP"),
]


@pytest.mark.parametrize(("criterion", "en", "fr"), WORDS)
def test_every_criterion_is_said_in_both_languages(criterion: dict[str, Any], en: str, fr: str) -> None:
    compile_rule(criterion)
    names = {"first": "First"}
    assert in_words(criterion, "en", names) == en
    assert in_words(criterion, "fr", names) == fr


@pytest.mark.parametrize("kind", sorted(SHORT_FORMS))
def test_every_short_form_is_said(kind: str) -> None:
    normal = normalise({"type": kind, "value": 2})
    compile_rule(normal)
    assert "2" in in_words(normal, "en")
    assert in_words(normal, "en") != in_words(normal, "fr")


@given(criteria)
def test_whatever_compiles_can_be_said(criterion: dict[str, Any]) -> None:
    compile_rule(criterion)
    sayings = {language: in_words(criterion, language) for language in ("en", "fr")}
    for words in sayings.values():
        assert not re.search(r"[{}]|  |^ | $", words), words
    assert sayings["en"] != sayings["fr"]
    assert names_a_badge(criterion) == bool(list(named_badges(criterion)))


def test_everything_that_rules_can_name_has_words() -> None:
    for countable in EVENTS.values():
        assert set(countable.fields) <= set(FIELD_WORDS)
        assert {value for values in countable.choices.values() for value in values} <= set(VALUE_WORDS)
        assert {*countable.choices, *countable.keys[1:], "local_date"} <= set(DISTINCT_WORDS)


def test_badges_are_found_wherever_a_rule_names_them() -> None:
    criterion = {"all": [{"points": {"at_least": 1}}, {"any": [{"badge": "a"}, {"not": {"badge": "b"}}]}]}
    assert dict(named_badges(criterion)) == {"/criteria/all/1/any/0/badge": "a", "/criteria/all/1/any/1/not/badge": "b"}
