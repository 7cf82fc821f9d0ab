"""Random rules and deeds, and a plain reading of the rule language that shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from rebootcamp.core.challenges import CATEGORIES, period_of
from rebootcamp.services.gamification.backfill import Deed

FIRST = date(2025, 11, 20)
COMPLETED, REVOKED = "challenge.completed", "challenge.revoked"
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "category": ("energy", "water"),
    "difficulty": ("easy", "hard"),
    "cadence": ("once", "daily"),
    "challenge_id": (1, 2, 3, 4),
}
PERIODS = {"day": "daily", "week": "weekly", "month": "monthly", "season": "seasonal"}

# Category and difficulty of a challenge never change once somebody completed it.
payloads = st.builds(
    lambda number, cadence, points, co2e: {
        "challenge_id": number,
        "category": CHOICES["category"][number % 2],
        "difficulty": CHOICES["difficulty"][number // 2 % 2],
        "cadence": cadence,
        "points": points,
        "co2e_grams": co2e,
    },
    st.sampled_from(CHOICES["challenge_id"]),
    st.sampled_from(CHOICES["cadence"]),
    st.integers(0, 20),
    st.integers(0, 50),
)
# Two months around a new year: weeks, months, seasons and years all change in them.
days = st.integers(0, 60).map(lambda number: FIRST + timedelta(days=number))
deeds = st.builds(Deed, st.just(COMPLETED), payloads, days)

wheres = st.dictionaries(st.sampled_from(list(CHOICES)), st.none(), max_size=2).flatmap(
    lambda chosen: st.fixed_dictionaries({name: st.sampled_from(CHOICES[name]) for name in chosen})
)
windows = st.one_of(
    st.just({}),
    st.sampled_from([*PERIODS, "year"]).map(lambda period: {"per": period}),
    st.integers(1, 30).map(lambda number: {"within_days": number}),
)
counts = st.builds(
    lambda where, window, distinct, at_least: {
        "count": {"event": COMPLETED, "where": where, "at_least": min(at_least, 2) if distinct else at_least}
        | window
        | ({"distinct": distinct} if distinct else {})
    },
    wheres,
    windows,
    st.sampled_from([None, None, "challenge_id", "category", "local_date"]),
    st.integers(1, 4),
)
sums = st.builds(
    lambda where, window, field, at_least: {
        "sum": {"event": COMPLETED, "field": field, "where": where, "at_least": at_least} | window
    },
    wheres,
    windows,
    st.sampled_from(["points", "co2e_grams"]),
    st.integers(1, 60),
)
totals = st.one_of(
    st.builds(
        lambda kind, n: {kind: {"at_least": n}}, st.sampled_from(["points", "xp", "level"]), st.sampled_from([1, 2, 50])
    ),
    st.integers(1, 4).map(lambda n: {"streak": {"kind": "daily", "at_least": n}}),
)
betweens = st.builds(
    lambda start, length: {"between": {"from": start.isoformat(), "to": (start + timedelta(days=length)).isoformat()}},
    days,
    st.integers(0, 30),
)
badges = st.sampled_from([{"badge": "first"}, {"badge": "gift"}])
leaves = st.one_of(counts, counts, sums, totals, betweens, badges)
criteria = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)


@dataclass(frozen=True)
class Seen:
    """All that a rule may know of a learner, as plain values."""

    deeds: Sequence[Deed]
    day: date
    totals: Mapping[str, int]
    held: Collection[str]


def naively_holds(criterion: Mapping[str, Any], seen: Seen) -> bool:
    """Read criteria as API.md does."""
    ((kind, body),) = criterion.items()
    if kind == "all":
        return all(naively_holds(part, seen) for part in body)
    if kind == "any":
        return any(naively_holds(part, seen) for part in body)
    if kind == "not":
        return not naively_holds(body, seen)
    if kind == "badge":
        return body in seen.held
    if kind == "between":
        return date.fromisoformat(body["from"]) <= seen.day <= date.fromisoformat(body["to"])
    if kind in ("count", "sum"):
        return naive_value(body, seen.deeds, seen.day) >= body["at_least"]
    return seen.totals[body.get("kind", kind)] >= body["at_least"]


def naive_value(body: Mapping[str, Any], done: Sequence[Deed], day: date) -> int:
    """Count or sum over a list of deeds on a day."""
    found = [
        deed
        for deed in done
        if all(deed.payload[name] == value for name, value in body.get("where", {}).items())
        and _is_inside(body, deed.local_date, day)
    ]
    if "field" in body:
        return sum(deed.payload[body["field"]] for deed in found)
    if "distinct" not in body:
        return len(found)
    return len({deed.payload.get(body["distinct"], deed.local_date) for deed in found})


def _is_inside(body: Mapping[str, Any], done: date, day: date) -> bool:
    if "within_days" in body:
        return 0 <= (day - done).days < body["within_days"]
    if "per" not in body:
        return True
    if body["per"] == "year":
        return done.year == day.year
    return period_of(PERIODS[body["per"]], done) == period_of(PERIODS[body["per"]], day)


def rule_of(number: int) -> dict[str, Any]:
    """Return one of many rules that nobody meets, of every kind."""
    where = {"category": CATEGORIES[number // 8 % len(CATEGORIES)]}
    body = {"event": COMPLETED, "at_least": 900 + number}
    kinds: list[dict[str, Any]] = [
        {"count": {**body, "where": where}},
        {"count": {**body, "where": where, "per": "week"}},
        {"count": {**body, "where": where, "within_days": 30}},
        {"count": {**body, "where": {**where, "difficulty": "hard"}, "distinct": "challenge_id"}},
        {"sum": {**body, "field": "co2e_grams", "where": where, "at_least": 900_000, "per": "month"}},
        {"points": {"at_least": 100_000 + number}},
        {"all": [{"count": {**body, "where": where}}, {"not": {"count": {**body, "per": "year"}}}]},
        {"count": {"event": "quiz.completed", "at_least": 5 + number}},
    ]
    return kinds[number % len(kinds)]
