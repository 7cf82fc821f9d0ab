"""Rules in words, for people who earn the badge and for those who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rebootcamp.core.languages import Text
from rebootcamp.services.gamification.vocabulary import DISTINCT_WORDS, EVENTS, FIELD_WORDS, VALUE_WORDS

_NOBODY: Final[Mapping[str, str]] = {}
_TOTALS: Final[Mapping[str, Text]] = {
    "points": Text("Reach {n} points", "Atteindre {n} points"),
    "xp": Text("Reach {n} XP", "Atteindre {n} XP"),
    "level": Text("Reach level {n}", "Atteindre le niveau {n}"),
    "daily": Text("Be active {n} days in a row", "Être actif {n} jours de suite"),
    "perfect_quiz": Text("Finish {n} quizzes in a row without a mistake", "Réussir {n} quiz de suite sans faute"),
}
_ONE: Final[Mapping[str, Text]] = {
    "points": Text("Reach {n} point", "Atteindre {n} point"),
    "daily": Text("Be active on {n} day", "Être actif {n} jour"),
    "perfect_quiz": Text("Finish {n} quiz without a mistake", "Réussir {n} quiz sans faute"),
}
_PERIODS: Final[Mapping[str, Text]] = {
    "day": Text(" in one day", " en une journée"),
    "week": Text(" in one week", " en une semaine"),
    "month": Text(" in one month", " en un mois"),
    "season": Text(" in one season", " en une saison"),
    "year": Text(" in one year", " en une année"),
}
_WITHIN: Final = Text(" within {n} days", " en {n} jours")
_WITHIN_ONE: Final = Text(" within {n} day", " en {n} jour")
_SOME: Final = Text("", "des")
_WHERE: Final = Text("{label}: {named}", "{label} : {named}")
_JOINTS: Final[Mapping[str, Text]] = {"all": Text("; and ", " ; et "), "any": Text("; or ", " ; ou ")}
_NOT: Final = Text("Not: {part}", "Sauf : {part}")
_BADGE: Final = Text("Hold the badge “{name}”", "Détenir le badge « {name} »")
_BETWEEN: Final = Text("From {start} to {end}", "Du {start} au {end}")


def in_words(criteria: Mapping[str, Any], language: str, names: Mapping[str, str] = _NOBODY) -> str:
    """Say valid criteria as a sentence; `names` gives the names of badges by code."""
    kind, body = next(iter(criteria.items()))
    if kind in _JOINTS:
        parts = [_inner(part, language, names) for part in body]
        return _JOINTS[kind].resolve(language).join(parts)
    if kind == "not":
        return _NOT.resolve(language, part=_inner(body, language, names))
    if kind in ("count", "sum"):
        return _counted(kind, body, language)
    if kind == "badge":
        return _BADGE.resolve(language, name=names.get(body, body))
    if kind == "between":
        return _BETWEEN.resolve(language, start=body["from"], end=body["to"])
    template = {**_TOTALS, **(_ONE if body["at_least"] == 1 else {})}[body.get("kind", kind)]
    return template.resolve(language, n=_grouped(body["at_least"], language))


def names_a_badge(criteria: Mapping[str, Any]) -> bool:
    """Tell whether saying valid criteria takes the name of a badge."""
    kind, body = next(iter(criteria.items()))
    if kind in _JOINTS:
        return any(names_a_badge(part) for part in body)
    return kind == "badge" or (kind == "not" and names_a_badge(body))


def _inner(criteria: Mapping[str, Any], language: str, names: Mapping[str, str]) -> str:
    words = in_words(criteria, language, names)
    is_group = next(iter(criteria)) in _JOINTS and len(next(iter(criteria.values()))) > 1
    return f"({words})" if is_group else words


def _counted(kind: str, body: Mapping[str, Any], language: str) -> str:
    words = _amount(body, language) if kind == "sum" else _number(body, language)
    where = [
        _WHERE.resolve(language, label=FIELD_WORDS[name].resolve(language), named=_value(value, language))
        for name, value in sorted(body.get("where", {}).items())
    ]
    if where:
        words += f" ({', '.join(where)})"
    if "within_days" in body:
        within = _WITHIN_ONE if body["within_days"] == 1 else _WITHIN
        words += within.resolve(language, n=body["within_days"])
    if "per" in body:
        words += _PERIODS[body["per"]].resolve(language)
    return words


def _amount(body: Mapping[str, Any], language: str) -> str:
    template = EVENTS[body["event"]].amounts[body["field"]]
    return template.resolve(language, n=_grouped(body["at_least"], language))


def _number(body: Mapping[str, Any], language: str) -> str:
    countable, distinct, n = EVENTS[body["event"]], body.get("distinct"), body["at_least"]
    if distinct and distinct != countable.keys[0] and n > 1:
        # "Complete challenges in 5 different categories": the number belongs to the field, not to the thing.
        thing = countable.many.resolve(language, n=_SOME.resolve(language), different="")
        return f"{' '.join(thing.split())} {DISTINCT_WORDS[distinct].resolve(language, n=_grouped(n, language))}"
    different = countable.different.resolve(language) if distinct and n > 1 else ""
    template = countable.one if n == 1 else countable.many
    return template.resolve(language, n=_grouped(n, language), different=different)


def _value(value: str | int, language: str) -> str:
    return VALUE_WORDS[value].resolve(language) if isinstance(value, str) else str(value)


def _grouped(number: int, language: str) -> str:
    """Group thousands as each language does; a narrow no-break space in French."""
    return f"{number:,}" if language != "fr" else f"{number:,}".replace(",", "\u202f")
