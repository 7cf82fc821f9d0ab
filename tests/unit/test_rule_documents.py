"""The documents for staff: each example is a rule, its words and a story, and all three are true."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from rebootcamp.services.gamification import rules
from rebootcamp.services.gamification.levels import Step, curve_of
from rebootcamp.services.gamification.measures import KEPT
from rebootcamp.services.gamification.rulebook import rule_book
from rebootcamp.services.gamification.rules import normalise
from rebootcamp.services.gamification.vocabulary import SHORT_FORMS, VALUE_WORDS
from rebootcamp.services.gamification.words import in_words
from tests.factories.events import PureLine, rule
from tests.stores import FIRST_CURVE

SHIPPED: Final = curve_of(Step(level["xp_floor"], level["translations"]) for level in FIRST_CURVE)
DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES: Final = {"en": "rules.md", "fr": "rules.fr.md"}
HELPER: Final = {"en": "Helper", "fr": "Main tendue"}
YES: Final = {"yes": True, "no": False, "oui": True, "non": False}
_EXAMPLE = re.compile(r"### \d+\..*?```json\n(.*?)```\n\n> (.*?)\n\n\|.*?\n\|[-|]*\n(.*?)\n\n", re.DOTALL)
_DONE = re.compile(r"(?:completes challenge|réussit le défi) (\d+) \((.+), (.+), (\d+) points, (\d+) g\)")
_LOST = re.compile(r"(?:loses challenge|perd le défi) (\d+) ?:")
_GIVEN = re.compile(r"(?:receives the badge|reçoit le badge) (\w+) ")


@dataclass(frozen=True)
class Example:
    criteria: dict[str, Any]
    words: str
    story: list[tuple[str, str, str, str]]


def document(language: str) -> str:
    return (DOCS / FILES[language]).read_text(encoding="utf-8")


def examples(language: str) -> list[Example]:
    found = []
    for criteria, words, table in _EXAMPLE.findall(document(language)):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        found.append(Example(json.loads(criteria), words, [(day, who, act, held) for day, who, act, held in rows]))
    return found


def value_of(word: str, language: str) -> str:
    (value,) = [value for value, text in VALUE_WORDS.items() if text.resolve(language) == word]
    return value


def act(line: PureLine, day: date, text: str, language: str) -> None:
    """Do what a line of a story tells."""
    if done := _DONE.fullmatch(text):
        number, category, difficulty, points, grams = done.groups()
        values = {"category": value_of(category, language), "difficulty": value_of(difficulty, language)}
        line.complete(int(number), day, points=int(points), co2e_grams=int(grams), **values)
    elif lost := _LOST.match(text):
        (index,) = [i for i, (fact, _) in enumerate(line.valid) if fact.challenge_id == int(lost[1])]
        line.revoke(index)
    else:
        given = _GIVEN.match(text)
        assert given, text
        line.award(given[1], 0, day)


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("language", FILES)
def test_the_story_of_an_example_comes_true(language: str, number: int) -> None:
    example = examples(language)[number]
    book = replace(rule_book([rule("example", example.criteria)]), curve=SHIPPED)
    lines: dict[str, PureLine] = {}
    outcomes = set()
    for day, who, text, held in example.story:
        line = lines.setdefault(who, PureLine(book))
        act(line, date.fromisoformat(day), text, language)
        assert ("example" in line.standing.held) is YES[held], (day, who, text)
        outcomes.add(YES[held])
    assert True in outcomes


@pytest.mark.parametrize("language", FILES)
def test_the_words_of_an_example_are_those_of_the_service(language: str) -> None:
    for example in examples(language):
        assert in_words(normalise(example.criteria), language, {"helper": HELPER[language]}) == example.words


def test_both_documents_tell_the_same() -> None:
    english, french = examples("en"), examples("fr")
    assert len(english) == len(french) == 10
    for one, other in zip(english, french, strict=True):
        assert one.criteria == other.criteria
        outcomes = [[(day, who, YES[held]) for day, who, _, held in example.story] for example in (one, other)]
        assert outcomes[0] == outcomes[1]
    together = json.dumps([example.criteria for example in english])
    for kind in ("all", "any", "not", "count", "sum", "points", "level", "streak", "badge", "between", "type"):
        assert f'"{kind}": ' in together


@pytest.mark.parametrize("language", FILES)
def test_the_limits_are_those_that_hold(language: str) -> None:
    text, separator = document(language), "," if language == "en" else " "
    limits = [line for line in text.splitlines() if line.startswith("- ")]
    for number in (rules.MAX_LEVEL, rules.MAX_DAYS, rules.MAX_CRITERIA, rules.MAX_PARTS, rules.MAX_DEPTH, KEPT.days):
        assert any(re.search(rf"\b{number}\b", line) for line in limits), number
    assert f"{rules.MAX_THRESHOLD:,}".replace(",", separator) in text
    assert all(f"`{name}`" in text for name in SHORT_FORMS)
