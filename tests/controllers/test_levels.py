"""Levels over HTTP: a curve that staff edit, learners follow at once, and everybody can have explained."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services import challenges
from rebootcamp.services.gamification.levels import Curve, Step, curve_of, level_of
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, curve, drain, judge_the_past, make_badge, make_challenge

TWELVE = [0, 100, 250, 450, 700, 1000, 1400, 1900, 2600, 3500, 4700, 6200]


def floors(body: dict[str, Any]) -> list[int]:
    return [item["xp_floor"] for item in body["items"]]


def levels(*values: int) -> Curve:
    return curve_of(Step(value, {}) for value in values)


def test_the_first_curve_has_twelve_levels_in_both_languages(wire: Wire, ada: Person) -> None:
    english, french = (wire.read("/api/levels", ada, headers={"Accept-Language": name}) for name in ("en", "fr"))
    assert floors(english) == floors(french) == TWELVE
    assert [item["number"] for item in english["items"]] == list(range(1, 13))
    assert [item["xp_next"] for item in english["items"]] == [*TWELVE[1:], None]
    assert (english["items"][0]["name"], french["items"][0]["name"]) == ("Apprentice", "Apprenti")
    assert (english["items"][-1]["name"], french["items"][-1]["name"]) == ("Phoenix", "Phénix")
    assert french["items"][11]["translations"] == {"en": {"name": "Phoenix"}, "fr": {"name": "Phénix"}}


def test_an_edit_moves_every_learner_at_once(wire: Wire, ada: Person, root: Person) -> None:
    complete(ada.actor, make_challenge())
    before = wire.get(f"{ada.path}/progress", ada)
    assert before.json["level"] == {"number": 1, "name": "Apprentice", "xp": 20, "xp_floor": 0, "xp_next": 100}
    assert wire.put("/api/levels", root, json=curve(0, 10, 20, 30)).status_code == 200
    after = wire.get(f"{ada.path}/progress", ada, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json["level"] == {"number": 3, "name": "Level 20", "xp": 20, "xp_floor": 20, "xp_next": 30}
    assert wire.read(f"{ada.path}/level", ada)["number"] == 3
    assert floors(wire.read("/api/levels", ada)) == [0, 10, 20, 30]
    done = wire.post(f"/api/challenges/{make_challenge().id}/complete", ada, json={})
    assert done.json["rewards"]["level"] == {"before": 3, "after": 4}


def test_a_name_may_hold_any_sign(wire: Wire, ada: Person, root: Person) -> None:
    body = curve(0, 10)
    body["levels"][0]["translations"]["fr"]["name"] = "{0} % “é” 🌱"
    assert wire.put("/api/levels", root, json=body).status_code == 200
    french = {"Accept-Language": "fr"}
    assert wire.read(f"{ada.path}/progress", ada, headers=french)["level"]["name"] == "{0} % “é” 🌱"


def test_an_edit_of_another_curve_than_one_saw_is_refused(wire: Wire, root: Person) -> None:
    etag = wire.get("/api/levels", root, headers={"Accept-Language": "fr"}).headers["ETag"]
    first = wire.put("/api/levels", root, json=curve(0, 10), headers={"If-Match": etag})
    assert first.status_code == 200
    for stale in (etag, '"other"', "", "x"):
        answer = wire.put("/api/levels", root, json=curve(0, 20), headers={"If-Match": stale})
        assert_problem(answer, 412, "stale_edit")
    assert floors(wire.read("/api/levels", root)) == [0, 10]
    for fresh in (first.headers["ETag"], "*"):
        assert wire.put("/api/levels", root, json=curve(0, 20), headers={"If-Match": fresh}).status_code == 200


def test_of_editors_who_saw_the_same_curve_one_wins(wire: Wire, root: Person) -> None:
    etag, start = wire.get("/api/levels", root).headers["ETag"], threading.Barrier(4)

    def edit(number: int) -> int:
        start.wait(10)
        return wire.put("/api/levels", root, json=curve(0, number), headers={"If-Match": etag}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(edit, (10, 20, 30, 40))) == [200, 412, 412, 412]


TEXTS = curve(0)["levels"][0]["translations"]
FAULTS: dict[str, tuple[Any, dict[str, str]]] = {
    "no level": ({"levels": []}, {"/levels": "wrong_length"}),
    "one level": (curve(0), {"/levels": "wrong_length"}),
    "too many": (curve(*range(51)), {"/levels": "wrong_length"}),
    "not from zero": (curve(1, 10), {"/levels/0/xp_floor": "not_zero"}),
    "two alike": (curve(0, 10, 10), {"/levels/2/xp_floor": "not_ascending"}),
    "descending": (curve(0, 20, 10), {"/levels/2/xp_floor": "not_ascending"}),
    "below zero": (curve(0, -1), {"/levels/1/xp_floor": "out_of_range"}),
    "too high": (curve(0, 1_000_000_001), {"/levels/1/xp_floor": "out_of_range"}),
    "a number in words": (
        {"levels": [{"xp_floor": "0", "translations": TEXTS}, {"xp_floor": 1.5, "translations": TEXTS}]},
        {"/levels/0/xp_floor": "wrong_type", "/levels/1/xp_floor": "wrong_type"},
    ),
    "one language": (
        {"levels": [*curve(0)["levels"], {"xp_floor": 1, "translations": {"fr": {"name": "x"}}}]},
        {"/levels/1/translations/en": "required"},
    ),
    "no name": (
        {"levels": [*curve(0)["levels"], {"xp_floor": 1, "translations": {**TEXTS, "fr": {"name": " "}}}]},
        {"/levels/1/translations/fr/name": "wrong_length"},
    ),
    "a stranger": (
        {"levels": [{"number": 1, "xp_floor": 0, "translations": TEXTS}, *curve(5)["levels"]]},
        {"/levels/0/number": "unknown_field"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_curve_that_does_not_rise_is_refused_where_it_fails(wire: Wire, root: Person, fault: str) -> None:
    body, expected = FAULTS[fault]
    for answer in (wire.put("/api/levels", root, json=body), wire.post("/api/levels/preview", root, json=body)):
        assert pointers(assert_problem(answer, 422, "validation_failed")) == expected
    assert floors(wire.read("/api/levels", root)) == TWELVE


@pytest.mark.parametrize(("number", "floor"), [(1, 5), (3, 0), (3, 450), (0, 7000), (51, 7000), (13, -1)])
def test_the_database_refuses_what_no_curve_has(wire: Wire, number: int, floor: int) -> None:
    row = {"number": number, "xp_floor": floor, "translations": TEXTS}
    with db.engine.begin() as connection:
        connection.execute(sa.delete(LevelDefinition).where(LevelDefinition.number == number))
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(sa.insert(LevelDefinition), row)
        connection.rollback()


def people(amounts: list[int]) -> dict[int, int]:
    """Make learners with such totals, without the events behind them; return the total of each."""
    now = clock.now()
    with transaction() as session:
        for xp in amounts:
            email = f"{uuid4()}@example.org"
            user = User(email=email, role="student", password_hash="", first_name="A", last_name="B", display_name="AB")
            user.created_at = user.updated_at = now
            session.add(user)
            session.flush()
            session.add(LearnerState(user_id=user.id, xp_total=xp))
    with transaction() as session:
        return {int(user_id): int(xp) for user_id, xp in session.execute(sa.text(_TOTALS))}


_TOTALS = "SELECT user_id, xp_total FROM learner_states"


@pytest.mark.parametrize("seed", range(4))
def test_a_preview_counts_what_an_edit_would_do(wire: Wire, root: Person, seed: int) -> None:
    chance = random.Random(seed)
    old, new = ([0, *sorted(chance.sample(range(1, 500), chance.randint(1, 12)))] for _ in range(2))
    assert wire.put("/api/levels", root, json=curve(*old)).status_code == 200
    totals = people([chance.choice((*old, *new, chance.randint(-20, 600))) for _ in range(150)])
    preview = wire.post("/api/levels/preview", root, json=curve(*new)).json
    moves = {
        user_id: (level_of(xp, levels(*old)).number, level_of(xp, levels(*new)).number)
        for user_id, xp in totals.items()
    }
    assert preview["up"] == sum(before < after for before, after in moves.values())
    assert preview["down"] == sum(before > after for before, after in moves.values())
    assert preview["unchanged"] == sum(before == after for before, after in moves.values())
    assert preview["levels"] == [
        {
            "number": number,
            "before": sum(before == number for before, _ in moves.values()),
            "after": sum(after == number for _, after in moves.values()),
        }
        for number in range(1, max(len(old), len(new)) + 1)
    ]
    movers = {user_id: move for user_id, move in moves.items() if move[0] != move[1]}
    kinds = set(movers.values())
    assert 0 < len(preview["sample"]) <= 20
    assert len({learner["user_id"] for learner in preview["sample"]}) == len(preview["sample"])
    assert len(kinds) > 10 or {(m["before"], m["after"]) for m in preview["sample"]} == kinds
    for learner in preview["sample"]:
        assert (learner["before"], learner["after"]) == movers[learner["user_id"]]
        assert (learner["xp"], learner["display_name"]) == (totals[learner["user_id"]], "AB")


def test_a_preview_changes_nothing(wire: Wire, ada: Person, root: Person) -> None:
    etag = wire.get("/api/levels", root).headers["ETag"]
    preview = wire.post("/api/levels/preview", root, json=curve(*TWELVE)).json
    assert (preview["up"], preview["down"], preview["unchanged"], preview["sample"]) == (0, 0, 2, [])
    assert preview["took_ms"] > 0
    assert wire.get("/api/levels", root, headers={"If-None-Match": etag}).status_code == 304


def test_levels_above_what_is_on_offer_are_reported_to_those_who_edit(wire: Wire, ada: Person, root: Person) -> None:
    assert "unreachable" not in wire.read("/api/levels", ada)
    assert wire.read("/api/levels", root)["unreachable"] == list(range(2, 13))
    now = clock.now()
    make_badge("first_step", points=30)
    make_badge("closed", points=10_000, is_active=False)
    make_challenge(points=70)
    make_challenge(points=10_000, is_published=False)
    make_challenge(points=10_000, ends_at=now - timedelta(days=1))
    assert wire.read("/api/levels", root)["unreachable"] == list(range(3, 13))
    preview = wire.post("/api/levels/preview", root, json=curve(0, 100, 101)).json
    assert (preview["reachable_xp"], preview["unreachable"]) == (100, [3])
    # The window's local dates, everywhere on earth: the 1st to the 4th.
    window = {"starts_at": clock.parse("2030-01-02T00:00:00Z"), "ends_at": clock.parse("2030-01-04T00:00:00Z")}
    make_challenge(points=10, cadence="daily", **window)
    assert wire.post("/api/levels/preview", root, json=curve(0, 100)).json["reachable_xp"] == 140
    make_challenge(points=1, cadence="weekly")
    preview = wire.post("/api/levels/preview", root, json=curve(0, 10**9)).json
    assert (preview["reachable_xp"], preview["unreachable"]) == (None, [])
    assert (preview["reachable_once"], preview["reachable_again"]) == (140, {"weekly": 1})
    assert wire.read("/api/levels", root)["unreachable"] == []


def test_a_level_says_what_led_to_it(wire: Wire, root: Person) -> None:
    ada = wire.join(timezone="UTC")
    newcomer = wire.read(f"{ada.path}/level", ada)
    first = {"number": 1, "name": "Apprentice", "xp": 0, "xp_floor": 0, "xp_next": 100}
    assert newcomer == {**first, "reasons": [], "crossing": None}
    make_badge("saver", at_least=2, points=15)
    complete(ada.actor, make_challenge(points=60))
    second = wire.post(f"/api/challenges/{make_challenge(points=30).id}/complete", ada, json={})
    assert second.json["rewards"]["level"] == {"before": 1, "after": 2}
    why = wire.read(f"{ada.path}/level", root)
    assert (why["number"], why["xp"]) == (2, 105)
    assert why["reasons"] == [
        {"reason": "badge", "xp": 15, "entries": 1},
        {"reason": "challenge", "xp": 90, "entries": 2},
    ]
    awarded = wire.items(f"{ada.path}/history?type=badge.awarded", ada)[0]
    assert why["crossing"] == {
        "event_id": awarded["id"],
        "reason": "badge",
        "category": None,
        "points": 15,
        "xp": 105,
        "local_date": second.json["completion"]["completed_at"][:10],
    }


def test_who_fell_below_a_level_is_explained_by_the_return_to_it(wire: Wire, ada: Person, root: Person) -> None:
    first = complete(ada.actor, make_challenge(points=120)).completion
    wire.post(f"{ada.path}/completions/{first.id}/revoke", root, json={"reason": "Not done."})
    fallen = wire.read(f"{ada.path}/level", ada)
    assert (fallen["number"], fallen["crossing"]) == (1, None)
    complete(ada.actor, make_challenge(points=110, category="water"))
    complete(ada.actor, make_challenge(points=5))
    back = wire.read(f"{ada.path}/level", ada)
    assert (back["number"], back["xp"]) == (2, 115)
    assert sum(reason["xp"] for reason in back["reasons"]) == 115
    assert (back["crossing"]["category"], back["crossing"]["points"], back["crossing"]["xp"]) == ("water", 110, 110)
    wire.put("/api/levels", root, json=curve(0, 112))
    assert wire.read(f"{ada.path}/level", ada)["crossing"]["points"] == 5


def test_a_level_is_explained_to_oneself_and_to_staff(wire: Wire, ada: Person) -> None:
    assert wire.read(f"{ada.path}/level", wire.join("examiner"))["number"] == 1
    assert_problem(wire.get(f"{ada.path}/level", wire.join()), 404, "not_found")
    assert_problem(wire.get("/api/users/999999/level", wire.join("examiner")), 404, "not_found")


def test_levels_hold_while_mongodb_knows_nothing_yet(wire: Wire, ada: Person, root: Person) -> None:
    complete(ada.actor, make_challenge())
    wire.put("/api/levels", root, json=curve(0, 20))
    for _ in range(2):
        assert wire.read(f"{ada.path}/progress", ada)["level"]["number"] == 2
        drain()
    db.session.remove()


@pytest.mark.parametrize("is_found_by_the_back_fill", [False, True])
def test_a_curve_that_moves_up_takes_no_badge_from_who_has_what_it_asked_for(
    wire: Wire, ada: Person, root: Person, is_found_by_the_back_fill: bool
) -> None:
    assert wire.put("/api/levels", root, json=curve(0, 60)).status_code == 200
    if not is_found_by_the_back_fill:
        make_badge("second_level", criteria={"level": {"at_least": 2}}, points=0)
    deeds = [complete(ada.actor, make_challenge(points=points)).completion for points in (60, 10, 5)]
    if is_found_by_the_back_fill:
        make_badge("second_level", criteria={"level": {"at_least": 2}}, points=0)
        judge_the_past()
    assert wire.put("/api/levels", root, json=curve(0, 500, 600)).status_code == 200

    def held() -> list[str]:
        db.session.remove()
        return list(db.session.get_one(LearnerState, ada.actor.user_id).held_badges)

    challenges.revoke_completion(root.actor, ada.actor.user_id, deeds[1].id, reason="65 XP are left.")
    assert held() == ["second_level"]
    challenges.revoke_completion(root.actor, ada.actor.user_id, deeds[2].id, reason="60 XP are left.")
    assert held() == ["second_level"]
    assert wire.put("/api/levels", root, json=curve(0, 50)).status_code == 200
    complete(ada.actor, make_challenge(points=1))
    challenges.revoke_completion(root.actor, ada.actor.user_id, deeds[0].id, reason="1 XP is left.")
    assert held() == []
    drain()
    assert check_stores().findings == []
