"""Timed challenges over HTTP: made by staff, followed, joined, completed by deeds, with results for everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rebootcamp.core import clock
from rebootcamp.services import challenges
from rebootcamp.services.backfills import run_backfills
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, make_badge, make_challenge, make_group

TEXTS = {"en": {"title": "A full week", "description": "d"}, "fr": {"title": "Une semaine pleine", "description": "d"}}
TWO = {"count": {"event": "challenge.completed", "at_least": 2}}
NEW = {
    "translations": TEXTS,
    "category": "community",
    "difficulty": "medium",
    "points": 40,
    "cadence": "weekly",
    "validation": "criteria",
    "criteria": TWO,
}


def create(wire: Wire, **changes: Any) -> str:
    """Make a timed challenge and return its address."""
    answer = wire.post("/api/challenges", wire.join("instructor"), json={**NEW, **changes})
    assert answer.status_code == 201, answer.text
    run_backfills(60)
    return f"/api/challenges/{answer.json['id']}"


def window_of_event(days: int = 3) -> dict[str, str]:
    now = clock.now()
    return {"cadence": "event", "starts_at": clock.iso(now), "ends_at": clock.iso(now + timedelta(days=days))}


def test_a_learner_follows_it_and_is_told_when_it_is_done(wire: Wire, ada: Person) -> None:
    path = create(wire)
    make_badge("steady", criteria={"count": {**TWO["count"], "where": {"challenge_id": int(path.split("/")[-1])}}})
    seen = wire.read(path, ada)
    assert (seen["criteria"], seen["criteria_text"]) == (TWO, "Complete 2 challenges")
    assert (seen["advance"], seen["joined"], seen["completed"]) == ({"value": 0, "target": 2}, False, False)
    assert set(seen["window"]) == {"from", "to"}
    assert (seen["reward_badges"], seen["teams"]) == (["steady"], [])
    assert_problem(wire.post(f"{path}/complete", ada, json={}), 409, "completes_by_itself")
    first, second = (f"/api/challenges/{make_challenge().id}/complete" for _ in range(2))
    assert wire.post(first, ada, json={}).json["rewards"]["goals"] == []
    assert wire.items("/api/challenges", ada)[0]["advance"] == {"value": 1, "target": 2}
    answer = wire.post(second, ada, json={}, headers={"Accept-Language": "fr"}).json
    title = TEXTS["fr"]["title"]
    assert answer["rewards"]["goals"] == [{"challenge_id": seen["id"], "title": title, "points": 40}]
    assert answer["score"]["total"] == 80
    done = wire.read(path, ada)
    assert (done["completed"], done["advance"]) == (True, {"value": 2, "target": 2})
    newest = [item["data"] for item in wire.items(f"{ada.path}/history", ada)]
    assert [data["slug"] for data in newest if data.get("is_goal")] == ["a-full-week"]


def test_what_is_not_timed_tells_nothing_of_it(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}"
    seen = wire.read(path, ada)
    assert [seen[name] for name in ("criteria", "criteria_text", "advance", "window", "team_target")] == [None] * 5
    assert (seen["joined"], seen["requires_joining"], seen["teams"]) == (False, False, [])
    assert_problem(wire.post(f"{path}/join", ada), 409, "not_joinable")
    assert_problem(wire.get(f"{path}/results", ada), 409, "not_timed")


def test_joining_and_leaving(wire: Wire, ada: Person) -> None:
    path = create(wire, requires_joining=True)
    for _ in range(2):
        complete(ada.actor, make_challenge())
    assert wire.read(path, ada)["completed"] is False
    joined = wire.post(f"{path}/join", ada, headers={"Idempotency-Key": "once"})
    assert (joined.status_code, joined.json["joined"], joined.json["completed"]) == (201, True, True)
    assert wire.post(f"{path}/join", ada, headers={"Idempotency-Key": "once"}).data == joined.data
    assert_problem(wire.post(f"{path}/join", ada), 409, "already_joined")
    assert wire.delete(f"{path}/join", ada).status_code == 204
    assert_problem(wire.delete(f"{path}/join", ada), 409, "not_joined")
    assert [item["type"] for item in wire.items(f"{ada.path}/history", ada)][:1] == ["challenge.left"]
    assert "A full week" in wire.items(f"{ada.path}/history", ada)[0]["summary"]
    closed = create(wire, slug="later", starts_at=clock.iso(clock.now() + timedelta(days=5)))
    assert_problem(wire.post(f"{closed}/join", ada), 409, "challenge_closed")
    assert_problem(wire.post("/api/challenges/999/join", ada), 404, "not_found")


def test_results_are_for_everybody_signed_in(wire: Wire, ada: Person) -> None:
    path, bob = create(wire, **window_of_event()), wire.join(display_name="Bob")
    for who in (bob, ada):
        for _ in range(2):
            complete(who.actor, make_challenge())
    assert_problem(wire.get(f"{path}/results"), 401, "unauthenticated")
    found = wire.read(f"{path}/results", ada)
    assert (found["period"], found["is_final"], found["finishers_hash"]) == ("event", False, None)
    assert (found["participants"], found["completed"]) == (2, 2)
    assert [(item["place"], item["display_name"]) for item in found["items"]] == [(1, "Bob"), (2, "Ada")]
    wire.patch("/api/users/me", bob, json={"is_listed": False})
    hidden = wire.read(f"{path}/results", ada)["items"][0]
    assert (hidden["place"], hidden["user_id"], hidden["display_name"]) == (1, None, None)
    assert wire.read(f"{path}/results", bob)["items"][0]["user_id"] == bob.id
    for period in ("2026-W10", "nonsense"):
        problem = assert_problem(wire.get(f"{path}/results?period={period}", ada), 422, "validation_failed")
        assert "/period" in pointers(problem)
    assert_problem(wire.get("/api/challenges/999/results", ada), 404, "not_found")
    assert challenges.close_windows() == 0


def test_a_team_sees_what_it_has_together(wire: Wire, ada: Person) -> None:
    bob = wire.join()
    group = make_group(ada.actor, bob.actor, name="The riders")
    path = create(wire, criteria={"count": {**TWO["count"], "at_least": 1}}, team_target=3, **window_of_event())
    complete(ada.actor, make_challenge())
    complete(bob.actor, make_challenge())
    assert wire.read(path, ada)["teams"] == [
        {"group_id": group, "name": "The riders", "total": 2, "target": 3, "mine": 1}
    ]
    assert wire.read(path, wire.join())["teams"] == []


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"cadence": "once"}, "/cadence", "invalid"),
        ({"criteria": {}}, "/criteria", "invalid_criteria"),
        ({"criteria": None}, "/criteria", "required"),
        (
            {"criteria": {"count": {**TWO["count"], "within_days": 3}}},
            "/criteria/count/within_days",
            "invalid_criteria",
        ),
        ({"criteria": {"any": [TWO, {"badge": "x"}]}}, "/criteria", "invalid_criteria"),
        ({"team_target": 0}, "/team_target", "out_of_range"),
        ({"team_target": 3}, "/starts_at", "required"),
        ({"co2e_grams": 1}, "/co2e_grams", "invalid"),
    ],
)
def test_staff_are_told_what_does_not_fit(wire: Wire, changes: dict[str, Any], pointer: str, code: str) -> None:
    problem = wire.post("/api/challenges", wire.admin(), json={**NEW, **changes})
    assert pointers(assert_problem(problem, 422, "validation_failed"))[pointer] == code


def test_a_condition_must_name_a_badge_that_exists(wire: Wire) -> None:
    criteria = {"all": [TWO, {"badge": "nowhere"}]}
    problem = assert_problem(
        wire.post("/api/challenges", wire.admin(), json={**NEW, "criteria": criteria}), 422, "validation_failed"
    )
    assert pointers(problem) == {"/criteria/all/1/badge": "invalid_criteria"}
