"""Lint for designers: each mistake is named, and the catalogue that is shipped has none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rebootcamp.services.gamification.goals import compile_goal
from rebootcamp.services.gamification.lint import Finding, LintedBadge, LintedChallenge, lint, reach_on_offer
from rebootcamp.services.gamification.obstacles import Task
from rebootcamp.services.gamification.rules import compile_rule, normalise
from tests.stores import FIRST_CURVE

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CATALOGUE = Path(__file__).resolve().parents[2] / "data" / "catalogue"
FLOORS = [0, 50, 100]


def badge(criterion: dict[str, Any], code: str = "badge", tier: str = "bronze", **fields: Any) -> LintedBadge:
    return LintedBadge(code, tier, fields.pop("points", 10), compile_rule(normalise(criterion)), **fields)


def challenge(number: int = 1, cadence: str = "daily", *, opens: Any = None, closes: Any = None, **fields: Any) -> Any:
    values = {"category": "energy", "difficulty": "easy", "points": 10, "co2e_grams": 5, **fields}
    return LintedChallenge(f"c{number}", Task(number, cadence=cadence, **values), opens or NOW - DAY, closes)


def count(at_least: int = 1, **body: Any) -> dict[str, Any]:
    return {"count": {"event": "challenge.completed", "at_least": at_least, **body}}


def between(start: str, end: str) -> dict[str, Any]:
    return {"between": {"from": start, "to": end}}


def found(badges: Any, challenges: Any = (), floors: Any = FLOORS) -> list[tuple[str, str, str]]:
    offered = list(challenges) or [challenge(1), challenge(2, "once", category="water")]
    return [_plain(finding) for finding in lint(badges, offered, floors, NOW)]


def _plain(finding: Finding) -> tuple[str, str, str]:
    assert finding.message.en != finding.message.fr
    return finding.severity, finding.subject, finding.code


POINTS, STREAK = {"points": {"at_least": 1}}, {"streak": {"kind": "daily", "at_least": 2}}
ONCE = [challenge(1, "once"), challenge(2, "once"), challenge(3, "event", category="water", points=0)]
WITHOUT_END: list[Any] = []

IMPOSSIBLE: list[tuple[str, dict[str, Any], Any]] = [
    ("announced_event", {"type": "grain_completion", "value": 1}, WITHOUT_END),
    ("announced_event", {"streak": {"kind": "perfect_quiz", "at_least": 3}}, WITHOUT_END),
    ("no_matching_challenge", count(where={"category": "food"}), WITHOUT_END),
    ("no_matching_challenge", count(where={"category": "energy", "cadence": "once"}), WITHOUT_END),
    ("no_such_challenge", count(where={"challenge_id": 7}), WITHOUT_END),
    ("threshold_too_high", count(4), ONCE),
    ("threshold_too_high", count(3, distinct="challenge_id"), WITHOUT_END),
    ("threshold_too_high", count(3, distinct="category"), WITHOUT_END),
    ("threshold_too_high", count(2, where={"category": "water"}), WITHOUT_END),
    ("threshold_too_high", count(9, per="week"), WITHOUT_END),
    ("threshold_too_high", count(3, per="day"), WITHOUT_END),
    ("threshold_too_high", count(5, within_days=3), WITHOUT_END),
    ("threshold_too_high", count(4, distinct="local_date"), ONCE),
    (
        "threshold_too_high",
        {"sum": {"event": "challenge.completed", "field": "co2e_grams", "at_least": 16}},
        ONCE,
    ),
    ("window_over", between("2026-01-01", "2026-04-30"), WITHOUT_END),
    ("disjoint_windows", {"all": [between("2026-06-01", "2026-06-30"), between("2026-07-01", "2026-07-31")]}, []),
    ("contradiction", {"all": [{"badge": "other"}, {"not": {"badge": "other"}}]}, WITHOUT_END),
    ("contradiction", {"all": [count(5), {"all": [{"not": count(3)}]}]}, WITHOUT_END),
    ("contradiction", {"not": {"level": {"at_least": 1}}}, WITHOUT_END),
    ("level_too_high", {"level": {"at_least": 4}}, WITHOUT_END),
    ("out_of_reach", {"points": {"at_least": 500}}, ONCE),
    ("out_of_reach", {"xp": {"at_least": 500}}, ONCE),
    ("needs_inactive_badge", {"badge": "sleeping"}, WITHOUT_END),
]


@pytest.mark.parametrize(("code", "criterion", "offered"), IMPOSSIBLE)
def test_a_badge_that_nobody_can_earn_is_an_error(code: str, criterion: dict[str, Any], offered: Any) -> None:
    others = [badge(STREAK, "other", "silver", points=20), badge(POINTS, "sleeping", is_active=False)]
    faults = found([badge(criterion), *others], offered, FLOORS[:1] if offered else FLOORS)
    assert [finding for finding in faults if finding[0] == "error"] == [("error", "badge:badge", code)]


POSSIBLE: list[tuple[dict[str, Any], Any]] = [
    (count(3), ONCE),
    (count(1_000), WITHOUT_END),
    (count(2, distinct="challenge_id"), WITHOUT_END),
    (count(8, per="week"), WITHOUT_END),
    (count(2, per="day"), WITHOUT_END),
    (count(4, within_days=3), WITHOUT_END),
    (count(365, distinct="local_date"), WITHOUT_END),
    ({"sum": {"event": "challenge.completed", "field": "co2e_grams", "at_least": 15}}, ONCE),
    (between("2026-01-01", "2026-05-01"), WITHOUT_END),
    ({"all": [between("2026-06-01", "2026-06-30"), between("2026-06-30", "2026-07-31")]}, WITHOUT_END),
    ({"all": [count(5), {"not": count(6)}]}, WITHOUT_END),
    ({"level": {"at_least": 3}}, WITHOUT_END),
    ({"points": {"at_least": 100_000}}, WITHOUT_END),
    ({"points": {"at_least": 30}}, ONCE),
    ({"badge": "other"}, WITHOUT_END),
]


@pytest.mark.parametrize(("criterion", "offered"), POSSIBLE)
def test_what_can_just_be_earned_is_not_an_error(criterion: dict[str, Any], offered: Any) -> None:
    others = [badge(STREAK, "other", "silver", points=20)]
    assert found([badge(criterion), *others], offered, FLOORS[:1] if offered else FLOORS) == []


def test_one_closed_way_of_several_is_a_warning_all_of_them_an_error() -> None:
    closed, other = count(where={"category": "food"}), {"type": "quiz_completion", "value": 1}
    assert found([badge({"any": [closed, POINTS]})]) == [("warning", "badge:badge", "no_matching_challenge")]
    twice = count(2, where={"category": "food"})
    assert found([badge({"any": [closed, twice, POINTS]})]) == [("warning", "badge:badge", "no_matching_challenge")]
    assert found([badge({"any": [closed, other]})]) == [
        ("error", "badge:badge", "announced_event"),
        ("error", "badge:badge", "no_matching_challenge"),
    ]


def test_rules_in_a_circle_are_told_from_those_that_wait_for_them() -> None:
    circle = [badge({"badge": code}, name) for name, code in (("a", "b"), ("b", "c"), ("c", "a"))]
    assert found([*circle, badge({"all": [{"badge": "a"}, POINTS]}, "behind")]) == [
        ("error", "badge:a", "circular_rules"),
        ("error", "badge:b", "circular_rules"),
        ("error", "badge:behind", "needs_unearnable_badge"),
        ("error", "badge:c", "circular_rules"),
    ]
    # A way round the circle opens all of it.
    opened = [*circle[:2], badge({"any": [{"badge": "a"}, POINTS]}, "c")]
    assert found(opened) == []


@pytest.mark.parametrize("criterion", [{"not": {"badge": "other"}}, {"level": {"at_least": 1}}, {"not": POINTS}])
def test_a_rule_that_asks_nothing_is_odd(criterion: dict[str, Any]) -> None:
    other = badge(STREAK, "other", "silver", points=20)
    assert found([badge(criterion), other]) == [("warning", "badge:badge", "asks_nothing")]


def test_tiers_points_and_efforts_in_no_order_are_odd() -> None:
    worth = [badge(count(1), "cheap", "silver", points=10), badge(POINTS, "dear", "bronze", points=10)]
    assert found(worth) == [("warning", "badge:dear", "tier_order")]
    effort = [badge(count(5), "five", "gold", points=50), badge(count(10), "ten", "silver", points=20)]
    assert found(effort) == [("warning", "badge:ten", "effort_order")]
    points = [badge(count(5), "five", points=20), badge(count(10), "ten", points=10)]
    assert found(points) == [("warning", "badge:ten", "effort_order")]
    assert found([badge(count(5), "one"), badge(count(5), "two")]) == [("warning", "badge:two", "same_rule")]
    # What cannot be compared is not compared.
    assert found([badge(count(5), "five", points=20), badge(count(10, per="season"), "ten", points=10)]) == []


def test_a_level_above_all_that_can_be_had_is_an_error() -> None:
    assert found([badge(POINTS, points=30)], ONCE, [0, 50, 51]) == [("error", "level:3", "level_out_of_reach")]
    assert found([badge(POINTS)], ONCE, [0, 30, 31]) == [("error", "level:3", "level_out_of_reach")]


def test_a_level_that_takes_years_is_odd() -> None:
    daily, season = challenge(1, points=1), challenge(2, "seasonal", points=90)
    years = 5 * 365
    assert found([badge(POINTS, points=100)], [daily, season], [0, 100 + 2 * years, 102 + 2 * years]) == [
        ("warning", "level:3", "level_takes_years")
    ]
    (told,) = lint([], [daily, season], [0, 20 * 365], NOW)
    assert "0 can be had once, then 1 a day, 90 a season. Who misses nothing needs 10 years." in told.message.en
    assert "puis 1 par jour, 90 par saison. Sans rien manquer, il faut 10 ans." in told.message.fr


def timed(number: int, criterion: dict[str, Any], cadence: str = "weekly") -> LintedChallenge:
    rule = compile_goal(normalise(criterion), cadence, None, None, is_team=False)
    return replace(challenge(number, cadence, points=50), rule=rule)


def test_a_timed_challenge_gives_no_more_often_than_its_deeds_come_back() -> None:
    water, energy = count(where={"category": "water"}), count(where={"category": "energy"})
    once = [challenge(number, "once", category="water") for number in (1, 2)]
    thrice = challenge(3, category="water", opens=NOW - DAY / 2, closes=NOW + DAY / 2)
    assert thrice.offer.times == 3
    reach = reach_on_offer([], [timed(9, water), timed(8, energy), *once, thrice], [0], NOW)
    assert (reach.once, reach.limit) == (5 * 10 + 2 * 5 * 50, 5 * 10 + 2 * 5 * 50)
    lasting = challenge(4)
    reach = reach_on_offer([], [timed(9, water), timed(8, energy), *once, thrice, lasting], [0], NOW)
    assert (reach.once, reach.again) == (5 * 10 + 5 * 50, {"weekly": 50, "daily": 10})


def test_a_challenge_that_gives_a_badge_is_a_way_to_it() -> None:
    giving = replace(challenge(1), reward_badge="badge")
    closed, behind = badge(count(where={"category": "food"})), badge({"badge": "badge"}, "behind")
    assert found([closed, behind], [giving]) == [("warning", "badge:badge", "no_matching_challenge")]
    over = replace(giving, closes_at=NOW)
    assert ("error", "badge:badge", "no_matching_challenge") in found([closed], [over, challenge(2)])
    sleeping = badge(POINTS, is_active=False)
    assert found([sleeping], [giving]) == [("error", "challenge:c1", "reward_inactive")]


def test_a_challenge_that_cannot_be_completed_gives_nobody_a_badge() -> None:
    closed = badge(count(where={"category": "food"}))
    itself = replace(timed(2, {"all": [count(), {"badge": "badge"}]}), reward_badge="badge")
    hopeless = replace(timed(3, count(where={"category": "food"})), reward_badge="badge")
    for giving in (itself, hopeless):
        assert ("error", "badge:badge", "no_matching_challenge") in found([closed], [challenge(1), giving])
    assert ("error", "challenge:c2", "needs_unearnable_badge") in found([closed], [challenge(1), itself])
    # One after the other is no circle.
    first = replace(timed(2, count()), reward_badge="first")
    then = replace(timed(3, {"all": [count(), {"badge": "first"}]}), reward_badge="badge")
    both = [badge(count(where={"category": "food"}), code) for code in ("first", "badge")]
    assert {severity for severity, subject, _ in found(both, [challenge(1), then, first])} == {"warning"}


def test_a_timed_challenge_may_ask_for_a_badge_that_can_be_earned() -> None:
    asking = [challenge(1), timed(2, {"all": [count(), {"badge": "badge"}]})]
    assert found([badge(POINTS)], asking, FLOORS[:1]) == []
    closed = badge(count(where={"category": "food"}))
    assert ("error", "challenge:c2", "needs_unearnable_badge") in found([closed], asking, FLOORS[:1])


@pytest.mark.parametrize(
    ("severity", "code", "fields"),
    [
        ("error", "never_open", {"opens": NOW + DAY, "closes": NOW + DAY}),
        ("error", "window_too_short", {"opens": NOW + DAY, "closes": NOW + DAY + timedelta(minutes=59)}),
        ("warning", "challenge_over", {"opens": NOW - DAY * 2, "closes": NOW}),
        ("warning", "repeats_once", {"cadence": "seasonal", "opens": NOW + 10 * DAY, "closes": NOW + 20 * DAY}),
        ("warning", "repeats_once", {"cadence": "weekly", "opens": NOW + 4 * DAY, "closes": NOW + 6 * DAY}),
    ],
)
def test_a_window_in_which_a_challenge_cannot_be_completed_as_meant(severity: str, code: str, fields: Any) -> None:
    assert found([], [challenge(1, **{"cadence": "once", **fields}), challenge(2)]) == [
        (severity, "challenge:c1", code)
    ]


def test_a_window_that_fits_is_not_reported() -> None:
    fitting = [
        challenge(1, "once", opens=NOW + DAY, closes=NOW + DAY + timedelta(hours=1)),
        challenge(2, "weekly", opens=NOW, closes=NOW + 14 * DAY),
        challenge(3, "daily"),
    ]
    assert found([], fitting) == []


def test_the_catalogue_that_is_shipped_is_clean() -> None:
    badges = [
        badge(one["criteria"], one["code"], one["tier"], points=one["points"])
        for one in json.loads((CATALOGUE / "badges.json").read_text(encoding="utf-8"))
    ]
    names = ("category", "difficulty", "points", "co2e_grams")
    challenges = [
        challenge(number, one["cadence"], **{name: one[name] for name in names})
        for number, one in enumerate(json.loads((CATALOGUE / "challenges.json").read_text(encoding="utf-8")), start=1)
    ]
    assert len(badges) >= 20
    assert [
        vars(finding) for finding in lint(badges, challenges, [level["xp_floor"] for level in FIRST_CURVE], NOW)
    ] == []


TEN = {"count": {"event": "challenge.completed", "at_least": 10}}
WINDOWS: list[tuple[str, date | None, date | None, str, int, list[str]]] = [
    # What is offered, how often, and whether ten fit into the window.
    ("weekly", None, None, "daily", 1, ["threshold_too_high"]),
    ("weekly", None, None, "daily", 2, []),
    ("event", date(2026, 11, 1), date(2026, 11, 5), "daily", 1, ["threshold_too_high"]),
    ("event", date(2026, 11, 1), date(2026, 11, 30), "daily", 1, []),
    ("weekly", None, None, "once", 9, ["threshold_too_high"]),
    ("weekly", None, None, "once", 0, ["no_matching_challenge"]),
]


@pytest.mark.parametrize(("cadence", "opens", "closes", "deed", "deeds", "codes"), WINDOWS)
def test_a_timed_challenge_that_its_window_cannot_hold_is_an_error(
    cadence: str, opens: date | None, closes: date | None, deed: str, deeds: int, codes: list[str]
) -> None:
    goal = replace(challenge(99, cadence), rule=compile_goal(TEN, cadence, opens, closes, is_team=False))
    offers = [goal, *(challenge(number, deed) for number in range(deeds))]
    found_ = [finding for finding in lint([], offers, FLOORS[:1], NOW) if finding.severity == "error"]
    assert [(finding.code, finding.subject) for finding in found_] == [(code, "challenge:c99") for code in codes]


@pytest.mark.parametrize(
    ("days", "at_least", "is_possible"), [(3, 3, True), (3, 4, False), (1, 1, True), (1, 2, False)]
)
def test_a_window_with_both_ends_holds_as_many_deeds_as_its_days_allow(
    days: int, at_least: int, is_possible: bool
) -> None:
    opens = date(2026, 5, 2)
    rule = compile_goal(count(at_least), "event", opens, opens + (days - 1) * DAY, is_team=False)
    faults = lint([], [replace(challenge(99, "event"), rule=rule), challenge(1, "daily")], FLOORS[:1], NOW)
    assert ("threshold_too_high" not in {finding.code for finding in faults}) is is_possible
