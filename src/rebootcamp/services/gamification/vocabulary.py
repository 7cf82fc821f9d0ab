"""What rules can speak of: the events that can be counted, their fields, and how each is said.

A domain that records one of these events feeds the rules without any change here. Those that nobody records yet are
announced: rules may name them, and `flask rules lint` says that nobody can meet them so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rebootcamp.core.challenges import CADENCES, CATEGORIES, DIFFICULTIES
from rebootcamp.core.languages import Text

DIFFERENT: Final = Text("different ", " différents")


@dataclass(frozen=True)
class Countable:
    """What one event type offers: `choices` are fields with closed values, `keys` hold ids, `amounts` can be summed.

    The first key is the thing itself. `undone_by` is the event type that takes one occurrence back; it carries the
    same fields.
    """

    one: Text
    many: Text
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    amounts: Mapping[str, Text] = field(default_factory=dict)
    undone_by: str | None = None
    different: Text = DIFFERENT

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields by which occurrences can be told apart."""
        return (*self.choices, *self.keys)


EVENTS: Final[Mapping[str, Countable]] = {
    "challenge.completed": Countable(
        one=Text("Complete {n} {different}challenge", "Réussir {n} défi{different}"),
        many=Text("Complete {n} {different}challenges", "Réussir {n} défis{different}"),
        choices={"category": CATEGORIES, "difficulty": DIFFICULTIES, "cadence": CADENCES},
        keys=("challenge_id",),
        amounts={
            "points": Text("Earn {n} points with challenges", "Gagner {n} points grâce aux défis"),
            "co2e_grams": Text("Save {n} g of CO2e", "Éviter {n} g de CO2e"),
        },
        undone_by="challenge.revoked",
    ),
    "workshop.attended": Countable(
        one=Text("Attend {n} {different}workshop", "Participer à {n} atelier{different}"),
        many=Text("Attend {n} {different}workshops", "Participer à {n} ateliers{different}"),
        keys=("workshop_id",),
        undone_by="workshop.attendance_revoked",
    ),
    "course.completed": Countable(
        one=Text("Complete {n} {different}course", "Terminer {n} cours{different}"),
        many=Text("Complete {n} {different}courses", "Terminer {n} cours{different}"),
        keys=("course_id",),
        undone_by="course.completion_revoked",
    ),
    "lesson.completed": Countable(
        one=Text("Complete {n} {different}lesson", "Terminer {n} leçon{different}"),
        many=Text("Complete {n} {different}lessons", "Terminer {n} leçons{different}"),
        keys=("lesson_id", "course_id"),
        different=Text("different ", " différentes"),
    ),
    "quiz.completed": Countable(
        one=Text("Finish {n} {different}quiz", "Terminer {n} quiz{different}"),
        many=Text("Finish {n} {different}quizzes", "Terminer {n} quiz{different}"),
        keys=("quiz_id",),
    ),
    "hackathon.submitted": Countable(
        one=Text("Hand in {n} {different}prompt hackathon", "Rendre {n} hackathon{different}"),
        many=Text("Hand in {n} {different}prompt hackathons", "Rendre {n} hackathons{different}"),
        keys=("hackathon_id",),
    ),
    "grain.completed": Countable(
        one=Text("Finish {n} {different}grain", "Terminer {n} grain{different}"),
        many=Text("Finish {n} {different}grains", "Terminer {n} grains{different}"),
        keys=("grain_id",),
    ),
}

UNDOES: Final[Mapping[str, str]] = {
    countable.undone_by: event_type for event_type, countable in EVENTS.items() if countable.undone_by
}

# The seeds' `{"type": …, "value": n}`: what each type is short for, `at_least` to be added.
SHORT_FORMS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "challenge_completion": ("count", {"event": "challenge.completed"}),
    "workshop_attendance": ("count", {"event": "workshop.attended"}),
    "course_completion": ("count", {"event": "course.completed"}),
    "lesson_completion": ("count", {"event": "lesson.completed"}),
    "quiz_completion": ("count", {"event": "quiz.completed"}),
    "grain_completion": ("count", {"event": "grain.completed"}),
    "points": ("points", {}),
    "xp": ("xp", {}),
    "level": ("level", {}),
    "daily_streak": ("streak", {"kind": "daily"}),
    "perfect_quiz_streak": ("streak", {"kind": "perfect_quiz"}),
}

FIELD_WORDS: Final[Mapping[str, Text]] = {
    "category": Text("category", "catégorie"),
    "difficulty": Text("difficulty", "difficulté"),
    "cadence": Text("cadence", "cadence"),
    "challenge_id": Text("challenge no.", "défi n°"),
    "workshop_id": Text("workshop no.", "atelier n°"),
    "course_id": Text("course no.", "cours n°"),
    "lesson_id": Text("lesson no.", "leçon n°"),
    "quiz_id": Text("quiz no.", "quiz n°"),
    "hackathon_id": Text("hackathon no.", "hackathon n°"),
    "grain_id": Text("grain no.", "grain n°"),
}

# Counting different values of a field that is not the thing itself.
DISTINCT_WORDS: Final[Mapping[str, Text]] = {
    "category": Text("in {n} different categories", "dans {n} catégories différentes"),
    "difficulty": Text("of {n} different difficulties", "de {n} difficultés différentes"),
    "cadence": Text("of {n} different cadences", "de {n} cadences différentes"),
    "course_id": Text("in {n} different courses", "dans {n} cours différents"),
    "local_date": Text("on {n} different days", "sur {n} jours différents"),
}

VALUE_WORDS: Final[Mapping[str, Text]] = {
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
