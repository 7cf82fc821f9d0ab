"""Badges over HTTP: the catalogue, its edits, awards by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rebootcamp.services.gamification.reasons import RESERVED
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, make_badge, make_challenge

BADGE = {"code", "tier", "points", "name", "description", "icon", "criteria", "criteria_text", "version", "is_active"}
BADGE |= {"holders", "advance", "translations", "rule_version", "is_revocable", "valid_days"}
TEXTS = {"en": {"name": "Saver", "description": "Saves."}, "fr": {"name": "Économe", "description": "Économise."}}
WATER = {"count": {"event": "challenge.completed", "where": {"category": "water"}, "at_least": 3}}
NEW = {"code": "saver", "tier": "silver", "points": 25, "criteria": WATER, "translations": TEXTS}


def create(wire: Wire, who: Person, **changes: Any) -> dict[str, Any]:
    answer = wire.post("/api/badges", who, json={**NEW, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_administrators_write_the_catalogue(wire: Wire, root: Person) -> None:
    made = create(wire, root)
    assert set(made) == BADGE
    assert (made["code"], made["name"], made["icon"], made["version"]) == ("saver", "Saver", "🏅", 1)
    assert made["criteria_text"] == "Complete 3 challenges (category: water)"
    edited = wire.patch("/api/badges/saver", root, json={"points": 30, "is_active": False})
    assert (edited.status_code, edited.json["points"], edited.json["version"]) == (200, 30, 2)
    assert wire.read("/api/badges", root)["items"] == []
    assert wire.read("/api/badges/saver", root)["is_active"] is False


@pytest.mark.parametrize("role", ["student", "instructor", "examiner"])
def test_others_read_it(wire: Wire, root: Person, role: str) -> None:
    create(wire, root)
    who = wire.join(role)
    assert wire.read("/api/badges", who)["items"] == [wire.read("/api/badges/saver", who)]
    gift = {"code": "saver", "reason": "x"}
    for method, path, body in [
        ("POST", "/api/badges", {**NEW, "code": "other"}),
        ("PATCH", "/api/badges/saver", {"points": 1}),
        ("POST", f"{who.path}/badges", gift),
        ("POST", f"{who.path}/badges/saver/revoke", {"reason": "x"}),
    ]:
        assert_problem(wire.open(method, path, who, json=body), 403, "forbidden")
        assert_problem(wire.open(method, path, json=body), 401, "unauthenticated")
    assert_problem(wire.get("/api/badges"), 401, "unauthenticated")
    assert wire.read("/api/badges/saver", who)["holders"] == 0


def test_texts_and_criteria_follow_the_language(wire: Wire, root: Person) -> None:
    create(wire, root)
    french = {"Accept-Language": "fr"}
    for badge in (
        wire.read("/api/badges/saver", root, headers=french),
        wire.read("/api/badges", root, headers=french)["items"][0],
    ):
        assert (badge["name"], badge["description"]) == ("Économe", "Économise.")
        assert badge["criteria_text"] == "Réussir 3 défis (catégorie : eau)"
        assert badge["translations"] == TEXTS


def test_advance_and_holders_are_the_readers_and_everybodys(wire: Wire, ada: Person, root: Person) -> None:
    create(wire, root)
    bob = wire.join()
    for count in range(1, 4):
        complete(ada.actor, make_challenge(category="water"))
        complete(ada.actor, make_challenge(category="food"))
        badge = wire.read("/api/badges/saver", ada)
        assert badge["advance"] == {"value": count, "target": 3}
        assert badge["holders"] == (1 if count == 3 else 0)
    assert wire.read("/api/badges/saver", bob)["advance"] == {"value": 0, "target": 3}
    assert wire.read("/api/badges/saver", bob)["holders"] == 1
    complete(ada.actor, make_challenge(category="water"))
    assert wire.read("/api/badges/saver", ada)["advance"] == {"value": 3, "target": 3}


def test_a_badge_that_was_given_shows_full_advance(wire: Wire, ada: Person, root: Person) -> None:
    create(wire, root)
    wire.post(f"{ada.path}/badges", root, json={"code": "saver", "reason": "x"})
    assert wire.read("/api/badges/saver", ada)["advance"] == {"value": 3, "target": 3}


def test_the_catalogue_can_be_narrowed_to_a_tier(wire: Wire, ada: Person) -> None:
    make_badge("b", tier="gold")
    make_badge("a", tier="bronze")
    assert [badge["code"] for badge in wire.items("/api/badges", ada, limit=1)] == ["a", "b"]
    assert [badge["code"] for badge in wire.items("/api/badges?tier=gold", ada)] == ["b"]
    assert_problem(wire.get("/api/badges?tier=tin", ada), 422, "validation_failed")
    assert_problem(wire.get("/api/badges/nothing", ada), 404, "not_found")


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({}, "/criteria"),
    ({"count": {}, "points": {}}, "/criteria"),
    ({"dance": {}}, "/criteria/dance"),
    ({"count": 3}, "/criteria/count"),
    ({"count": {"event": "nothing.such", "at_least": 1}}, "/criteria/count/event"),
    ({"count": {"event": ["challenge.completed"], "at_least": 1}}, "/criteria/count/event"),
    ({"count": {"event": "challenge.completed"}}, "/criteria/count/at_least"),
    ({"count": {"event": "challenge.completed", "at_least": 0}}, "/criteria/count/at_least"),
    ({"count": {"event": "challenge.completed", "at_least": True}}, "/criteria/count/at_least"),
    ({"count": {"event": "challenge.completed", "at_least": 1.5}}, "/criteria/count/at_least"),
    ({"count": {"event": "challenge.completed", "at_least": 10**9}}, "/criteria/count/at_least"),
    (
        {"count": {"event": "challenge.completed", "where": {"category": "air"}, "at_least": 1}},
        "/criteria/count/where/category",
    ),
    (
        {"count": {"event": "challenge.completed", "where": {"category": ["water"]}, "at_least": 1}},
        "/criteria/count/where/category",
    ),
    (
        {"count": {"event": "challenge.completed", "where": {"category": {}}, "at_least": 1}},
        "/criteria/count/where/category",
    ),
    ({"points": {"at_least": 1, "extra": 1}}, "/criteria/points/extra"),
]


def test_impossible_criteria_are_refused_where_they_are_wrong(wire: Wire, root: Person) -> None:
    create(wire, root, code="kept")
    for criteria, pointer in IMPOSSIBLE:
        for answer in (
            wire.post("/api/badges", root, json={**NEW, "criteria": criteria}),
            wire.patch("/api/badges/kept", root, json={"criteria": criteria}),
        ):
            assert pointers(assert_problem(answer, 422, "validation_failed")) == {pointer: "invalid_criteria"}
    assert [badge["code"] for badge in wire.items("/api/badges", root)] == ["kept"]
    assert wire.read("/api/badges/kept", root)["version"] == 1


def test_a_code_is_taken_once_and_stays(wire: Wire, root: Person) -> None:
    create(wire, root)
    assert_problem(wire.post("/api/badges", root, json=NEW), 409, "code_taken")
    problem = assert_problem(wire.patch("/api/badges/saver", root, json={"code": "x"}), 422)
    assert pointers(problem) == {"/code": "unknown_field"}
    for code in ("Saver", "1saver", "sa ver", "s" * 61, "sa-ver", ""):
        answer = wire.post("/api/badges", root, json={**NEW, "code": code})
        assert list(pointers(assert_problem(answer, 422))) == ["/code"], code
    assert_problem(wire.patch("/api/badges/nothing", root, json={"points": 1}), 404, "not_found")


def test_a_badge_by_hand_counts_at_once_and_can_be_taken_back(wire: Wire, ada: Person, root: Person) -> None:
    create(wire, root)
    give, take = f"{ada.path}/badges", f"{ada.path}/badges/saver/revoke"
    assert_problem(wire.post(take, root, json={"reason": "x"}), 409, "not_held")
    given = wire.post(give, root, json={"code": "saver", "reason": "Helped."}, headers={"Accept-Language": "fr"})
    assert (given.status_code, given.json["state"], given.json["name"]) == (201, "held", "Économe")
    assert given.json["evidence"] == {"awarded_by": root.id, "reason": "Helped."}
    assert wire.read(f"{ada.path}/badges", ada)["items"] == [
        {**given.json, "name": "Saver", "why": "Given by hand: Helped."}
    ]
    assert_problem(wire.post(give, root, json={"code": "saver", "reason": "x"}), 409, "already_held")
    assert wire.read(f"{ada.path}/progress", ada)["score"] == {"total": 25, "challenge_points": 0, "badge_points": 25}
    taken = wire.post(take, root, json={"reason": "A mistake."})
    assert (taken.status_code, taken.json["state"], taken.json["revoke_reason"]) == (200, "revoked", "A mistake.")
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 0
    assert wire.read(f"{ada.path}/badges", ada)["items"] == []
    assert wire.post(give, root, json={"code": "saver", "reason": "Again."}).status_code == 201
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 25


@pytest.mark.parametrize("reason", RESERVED)
def test_nobody_takes_back_in_the_words_of_the_engine(wire: Wire, ada: Person, root: Person, reason: str) -> None:
    """Whoever loses a badge, or a challenge, for these reasons may have it again by old deeds."""
    make_badge("first_step")
    done = complete(ada.actor, make_challenge()).completion
    for path in (f"{ada.path}/badges/first_step/revoke", f"{ada.path}/completions/{done.id}/revoke"):
        problem = assert_problem(wire.post(path, root, json={"reason": reason}), 422, "validation_failed")
        assert pointers(problem) == {"/reason": "reserved"}
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 30


def test_only_an_active_badge_and_a_known_learner_can_be_joined(wire: Wire, ada: Person, root: Person) -> None:
    create(wire, root, is_active=False)
    body = {"code": "saver", "reason": "x"}
    assert_problem(wire.post(f"{ada.path}/badges", root, json=body), 404, "not_found")
    assert_problem(wire.post(f"{ada.path}/badges", root, json={**body, "code": "nothing"}), 404, "not_found")
    assert_problem(wire.post("/api/users/999999/badges", root, json=body), 404, "not_found")
    assert_problem(wire.post("/api/users/999999/badges/saver/revoke", root, json={"reason": "x"}), 404, "not_found")


def test_an_edit_leaves_what_is_held_as_it_was(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("first_step", points=10)
    complete(ada.actor, make_challenge(points=20))
    wire.patch("/api/badges/first_step", root, json={"points": 500})
    assert wire.read(f"{ada.path}/progress", ada)["score"]["badge_points"] == 10
    assert wire.read(f"{ada.path}/badges", ada)["items"][0]["points"] == 10
