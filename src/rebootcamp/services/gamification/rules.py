"""The rule language: JSON criteria in, compiled criteria out; what cannot be understood is refused where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any, Final

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text
from rebootcamp.services.gamification.criteria import All, AnyOf, Between, Counted, Criterion, HoldsBadge, Not, Total
from rebootcamp.services.gamification.measures import GRAINS, Measure, Window
from rebootcamp.services.gamification.vocabulary import EVENTS, SHORT_FORMS, Countable

MAX_THRESHOLD: Final = 1_000_000
MAX_LEVEL: Final = 50
MAX_DAYS: Final = 366
MAX_DEPTH: Final = 5
MAX_PARTS: Final = 20
MAX_CRITERIA: Final = 40

STREAKS: Final = ("daily", "perfect_quiz")
Body = Mapping[str, Any]
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def normalise(criteria: Body) -> Body:
    """Return criteria with the seeds' short forms written out; whatever is not understood stays as it is."""
    if set(criteria) == {"type", "value"} and isinstance(criteria["type"], str) and criteria["type"] in SHORT_FORMS:
        kind, body = SHORT_FORMS[criteria["type"]]
        return {kind: {**body, "at_least": criteria["value"]}}
    return {key: _normalise_inner(key, value) for key, value in criteria.items()}


def _normalise_inner(key: str, value: object) -> object:
    if key == "not" and isinstance(value, dict):
        return normalise(value)
    if key in ("all", "any") and isinstance(value, list):
        return [normalise(part) if isinstance(part, dict) else part for part in value[: MAX_PARTS + 1]]
    return value


def named_badges(criteria: Body, pointer: str = "/criteria") -> Iterator[tuple[str, str]]:
    """Yield where valid criteria name a badge, and which."""
    kind, body = next(iter(criteria.items()))
    if kind == "badge":
        yield f"{pointer}/badge", body
    parts = {f"/{index}": part for index, part in enumerate(body)} if kind in ("all", "any") else {}
    for step, part in ({"": body} if kind == "not" else parts).items():
        yield from named_badges(part, f"{pointer}/{kind}{step}")


def compile_rule(criteria: Body, pointer: str = "/criteria", window: Window | None = None) -> Criterion:
    """Compile normalised criteria; raise `InvalidField` that points at the part which cannot be understood.

    With a `window`, all that is counted is counted in it, and the criteria may not name periods of their own.
    """
    return _Compiler(window).compile(criteria, pointer, 1)


class _Compiler:
    """One compilation: it counts the criteria, so that a rule stays cheap however it is nested."""

    def __init__(self, window: Window | None) -> None:
        self._seen = 0
        self._kinds: Mapping[str, Callable[[Any, str, int], Criterion]] = {
            "all": partial(self._group, All),
            "any": partial(self._group, AnyOf),
            "not": lambda body, pointer, depth: Not(self.compile(body, pointer, depth + 1)),
            "count": lambda body, pointer, _: _compile_count(_object(body, pointer), pointer, window),
            "sum": lambda body, pointer, _: _compile_sum(_object(body, pointer), pointer, window),
            "points": lambda body, pointer, _: _compile_total("points", _object(body, pointer), pointer),
            "xp": lambda body, pointer, _: _compile_total("xp", _object(body, pointer), pointer),
            "level": lambda body, pointer, _: _compile_total("level", _object(body, pointer), pointer, MAX_LEVEL),
            "streak": lambda body, pointer, _: _compile_streak(_object(body, pointer), pointer),
            "badge": lambda body, pointer, _: _compile_badge(body, pointer),
            "between": lambda body, pointer, _: _compile_between(_object(body, pointer), pointer),
        }

    def compile(self, criteria: object, pointer: str, depth: int) -> Criterion:
        """Compile one criterion at a depth of nesting."""
        body = _object(criteria, pointer)
        self._seen += 1
        if depth > MAX_DEPTH or self._seen > MAX_CRITERIA:
            raise _refused(
                pointer, "This rule is too large or too deep.", "Cette règle est trop longue ou trop profonde."
            )
        if len(body) != 1:
            raise _refused(pointer, "A criterion has exactly one key.", "Un critère comporte exactement une clé.")
        kind, inner = next(iter(body.items()))
        if kind not in self._kinds:
            raise _refused(f"{pointer}/{kind}", "This criterion is unknown.", "Ce critère est inconnu.")
        return self._kinds[kind](inner, f"{pointer}/{kind}", depth)

    def _group(
        self, form: Callable[[tuple[Criterion, ...]], Criterion], body: Any, pointer: str, depth: int
    ) -> Criterion:
        if not isinstance(body, list) or not 1 <= len(body) <= MAX_PARTS:
            raise _refused(
                pointer,
                f"This must be a list of 1 to {MAX_PARTS} criteria.",
                f"Ceci doit être une liste de 1 à {MAX_PARTS} critères.",
            )
        return form(tuple(self.compile(part, f"{pointer}/{index}", depth + 1) for index, part in enumerate(body)))


def _compile_count(body: Body, pointer: str, window: Window | None) -> Criterion:
    _only_keys(body, {"event", "where", "at_least", "distinct", "within_days", "per"}, pointer)
    event, countable = _event(body, pointer)
    distinct = body.get("distinct")
    if distinct is not None and distinct not in countable.keys and distinct not in (*countable.choices, "local_date"):
        raise _refused(f"{pointer}/distinct", "This event has no such field.", "Cet événement n'a pas ce champ.")
    if (
        isinstance(distinct, str)
        and distinct in countable.choices
        and _number(body, "at_least", pointer) > len(countable.choices[distinct])
    ):
        raise _refused(f"{pointer}/at_least", "There are not so many values.", "Il n'existe pas autant de valeurs.")
    return _counted(event, countable, body, pointer, window, distinct=distinct)


def _compile_sum(body: Body, pointer: str, window: Window | None) -> Criterion:
    _only_keys(body, {"event", "field", "where", "at_least", "within_days", "per"}, pointer)
    event, countable = _event(body, pointer)
    amount = body.get("field")
    if not isinstance(amount, str) or amount not in countable.amounts:
        raise _refused(f"{pointer}/field", "No such field can be summed.", "Ce champ ne peut pas être additionné.")
    return _counted(event, countable, body, pointer, window, amount=amount)


def _counted(
    event: str,
    countable: Countable,
    body: Body,
    pointer: str,
    window: Window | None,
    *,
    amount: str | None = None,
    distinct: str | None = None,
) -> Criterion:
    at_least, where = _number(body, "at_least", pointer), _where(body, countable, pointer)
    if window is not None:
        _refuse_own_period(body, pointer)
        return Counted(Measure(event, where, amount, distinct, window.grain, window.span, is_deed=True), at_least)
    within, grain = None, _optional_choice(body, "per", GRAINS, pointer)
    if "within_days" in body:
        if grain is not None:
            raise _refused(
                f"{pointer}/per", "Give within_days or per, not both.", "Indiquez within_days ou per, pas les deux."
            )
        within, grain = _number(body, "within_days", pointer, MAX_DAYS), "day"
    return Counted(Measure(event, where, amount, distinct, grain), at_least, within)


def _refuse_own_period(body: Body, pointer: str) -> None:
    for key in ("within_days", "per"):
        if key in body:
            raise _refused(
                f"{pointer}/{key}",
                "A timed challenge counts over its own window.",
                "Un défi à critères compte sur sa propre période.",
            )


def _event(body: Body, pointer: str) -> tuple[str, Countable]:
    event = body.get("event")
    if not isinstance(event, str) or event not in EVENTS:
        raise _refused(f"{pointer}/event", "No such event can be counted.", "Cet événement ne peut pas être compté.")
    return event, EVENTS[event]


def _where(body: Body, countable: Countable, pointer: str) -> tuple[tuple[str, str | int], ...]:
    where = _object(body.get("where", {}), f"{pointer}/where")
    for name, value in where.items():
        if name not in countable.fields:
            raise _refused(
                f"{pointer}/where/{name}", "This event has no such field.", "Cet événement n'a pas ce champ."
            )
        is_id = type(value) is int and 1 <= value < 2**63
        if not (is_id if name in countable.keys else isinstance(value, str) and value in countable.choices[name]):
            raise _refused(f"{pointer}/where/{name}", "No event has this value.", "Aucun événement n'a cette valeur.")
    return tuple(sorted(where.items()))


def _compile_total(kind: str, body: Body, pointer: str, highest: int = MAX_THRESHOLD) -> Criterion:
    _only_keys(body, {"at_least"}, pointer)
    return Total(kind, _number(body, "at_least", pointer, highest))


def _compile_streak(body: Body, pointer: str) -> Criterion:
    _only_keys(body, {"kind", "at_least"}, pointer)
    kind = _optional_choice(body, "kind", STREAKS, pointer)
    if kind is None:
        raise _not_one_of(f"{pointer}/kind", STREAKS)
    return Total(kind, _number(body, "at_least", pointer))


def _compile_badge(body: object, pointer: str) -> Criterion:
    if not isinstance(body, str) or not _CODE.fullmatch(body):
        raise _refused(pointer, "This must be the code of a badge.", "Ceci doit être le code d'un badge.")
    return HoldsBadge(body)


def _compile_between(body: Body, pointer: str) -> Criterion:
    _only_keys(body, {"from", "to"}, pointer)
    start, end = _date(body, "from", pointer), _date(body, "to", pointer)
    if end < start:
        raise _refused(f"{pointer}/to", "The window ends before it begins.", "La période finit avant de commencer.")
    return Between(start, end)


def _date(body: Body, name: str, pointer: str) -> date:
    value = body.get(name)
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise _refused(f"{pointer}/{name}", "This must be a date, YYYY-MM-DD.", "Ceci doit être une date, AAAA-MM-JJ.")


def _number(body: Body, name: str, pointer: str, highest: int = MAX_THRESHOLD) -> int:
    value = body.get(name)
    if type(value) is not int or not 1 <= value <= highest:
        raise _refused(
            f"{pointer}/{name}",
            f"This must be a whole number from 1 to {highest}.",
            f"Ceci doit être un nombre entier de 1 à {highest}.",
        )
    return value


def _optional_choice(body: Body, name: str, choices: Collection[str], pointer: str) -> str | None:
    value = body.get(name)
    if name in body and not (isinstance(value, str) and value in choices):
        raise _not_one_of(f"{pointer}/{name}", choices)
    return value


def _object(body: object, pointer: str) -> Body:
    if not isinstance(body, dict):
        raise _refused(pointer, "This must be an object.", "Ceci doit être un objet.")
    return body


def _only_keys(body: Body, allowed: Collection[str], pointer: str) -> None:
    for key in body:
        if key not in allowed:
            raise _refused(f"{pointer}/{key}", "This key is unknown here.", "Cette clé est inconnue ici.")


def _not_one_of(pointer: str, choices: Collection[str]) -> InvalidField:
    listed = ", ".join(choices)
    return _refused(pointer, f"This must be one of: {listed}.", f"Ceci doit être l'un de : {listed}.")


def _refused(pointer: str, en: str, fr: str) -> InvalidField:
    return InvalidField(pointer, Text(en, fr), "invalid_criteria")
