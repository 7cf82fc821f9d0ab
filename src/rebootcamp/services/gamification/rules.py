"""Badge criteria: a small typed language in JSON, evaluated on running counters, said in words.

This version knows two leaves: `count` (events of a type, optionally with one field value) and `points`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rebootcamp.core.challenges import CADENCES, CATEGORIES, DIFFICULTIES
from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text

MAX_THRESHOLD: Final = 1_000_000

# What can be counted: event type -> field -> allowed values. One counter is kept for each pair.
COUNTABLE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "challenge.completed": {"category": CATEGORIES, "difficulty": DIFFICULTIES, "cadence": CADENCES},
}
POINTS_COUNTER: Final = "points"


def counter_key(event_type: str, field: str | None = None, value: str | None = None) -> str:
    """Return the key of a running counter: `challenge.completed` or `challenge.completed|category=water`."""
    return event_type if field is None else f"{event_type}|{field}={value}"


@dataclass(frozen=True)
class Rule:
    """A criterion, compiled: it holds when the counter reaches the target."""

    counter: str
    target: int

    def advance(self, counters: Mapping[str, int]) -> int:
        """Return how far the learner is, at most the target."""
        return max(0, min(counters.get(self.counter, 0), self.target))

    def holds(self, counters: Mapping[str, int]) -> bool:
        """Tell whether the learner meets the criterion."""
        return counters.get(self.counter, 0) >= self.target


def compile_rule(criteria: Mapping[str, Any], pointer: str = "/criteria") -> Rule:
    """Compile criteria; raise `InvalidField` that points at the part which cannot be understood."""
    if len(criteria) != 1:
        raise _refused(pointer, "A criterion has exactly one key.", "Un critère comporte exactement une clé.")
    kind, body = next(iter(criteria.items()))
    compilers = {"count": _compile_count, "points": _compile_points}
    if kind not in compilers:
        raise _refused(f"{pointer}/{kind}", "This criterion is unknown.", "Ce critère est inconnu.")
    if not isinstance(body, dict):
        raise _refused(f"{pointer}/{kind}", "This must be an object.", "Ceci doit être un objet.")
    return compilers[kind](body, f"{pointer}/{kind}")


def _compile_points(body: Mapping[str, Any], pointer: str) -> Rule:
    _only_keys(body, {"at_least"}, pointer)
    return Rule(POINTS_COUNTER, _threshold(body, pointer))


def _compile_count(body: Mapping[str, Any], pointer: str) -> Rule:
    _only_keys(body, {"event", "where", "at_least"}, pointer)
    event = body.get("event")
    if not isinstance(event, str) or event not in COUNTABLE:
        raise _refused(f"{pointer}/event", "No such event can be counted.", "Cet événement ne peut pas être compté.")
    where = body.get("where", {})
    if not isinstance(where, dict) or len(where) > 1:
        raise _refused(f"{pointer}/where", "Give one field with one value.", "Indiquez un seul champ et sa valeur.")
    for field, value in where.items():
        if value not in COUNTABLE[event].get(field, ()):
            raise _refused(f"{pointer}/where/{field}", "No event has this value.", "Aucun événement n'a cette valeur.")
        return Rule(counter_key(event, field, value), _threshold(body, pointer))
    return Rule(counter_key(event), _threshold(body, pointer))


def _threshold(body: Mapping[str, Any], pointer: str) -> int:
    value = body.get("at_least")
    if type(value) is not int or not 1 <= value <= MAX_THRESHOLD:
        raise _refused(
            f"{pointer}/at_least",
            f"This must be a whole number from 1 to {MAX_THRESHOLD}.",
            f"Ceci doit être un nombre entier de 1 à {MAX_THRESHOLD}.",
        )
    return value


def _only_keys(body: Mapping[str, Any], allowed: set[str], pointer: str) -> None:
    for key in body:
        if key not in allowed:
            raise _refused(f"{pointer}/{key}", "This key is unknown here.", "Cette clé est inconnue ici.")


def _refused(pointer: str, en: str, fr: str) -> InvalidField:
    return InvalidField(pointer, Text(en, fr), "invalid_criteria")


_VALUE_WORDS: Final[Mapping[str, Text]] = {
    "energy": Text("energy", "énergie"),
    "mobility": Text("mobility", "mobilité"),
    "food": Text("food", "alimentation"),
    "waste": Text("waste", "déchets"),
    "water": Text("water", "eau"),
    "digital": Text("digital", "numérique"),
    "biodiversity": Text("biodiversity", "biodiversité"),
    "community": Text("community", "vie collective"),
    "easy": Text("easy", "facile"),
    "medium": Text("medium", "moyen"),
    "hard": Text("hard", "difficile"),
    "once": Text("one-off", "ponctuel"),
    "daily": Text("daily", "quotidien"),
    "weekly": Text("weekly", "hebdomadaire"),
    "monthly": Text("monthly", "mensuel"),
    "seasonal": Text("seasonal", "saisonnier"),
    "event": Text("event", "événement"),
}
_FIELD_WORDS: Final[Mapping[str, Text]] = {
    "category": Text("category", "catégorie"),
    "difficulty": Text("difficulty", "difficulté"),
    "cadence": Text("cadence", "cadence"),
}


def in_words(criteria: Mapping[str, Any], language: str) -> str:
    """Say valid criteria as a sentence."""
    if "points" in criteria:
        return Text("Reach {n} points", "Atteindre {n} points").resolve(language, n=criteria["points"]["at_least"])
    count = criteria["count"]
    n = count["at_least"]
    noun = Text("challenge", "défi") if n == 1 else Text("challenges", "défis")
    words = Text("Complete {n} {noun}", "Réussir {n} {noun}").resolve(language, n=n, noun=noun.resolve(language))
    for field, value in count.get("where", {}).items():
        label, named = _FIELD_WORDS[field].resolve(language), _VALUE_WORDS[value].resolve(language)
        words += Text(" ({label}: {named})", " ({label} : {named})").resolve(language, label=label, named=named)
    return words
