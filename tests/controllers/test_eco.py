"""Savings of CO2e over HTTP."""

from __future__ import annotations

import pytest
import time_machine

from rebootcamp.services import challenges, groups
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import admin, complete, drain, make_challenge, make_group


def save(who: Person, at: str, **fields: object) -> int:
    """Complete a new challenge at an instant; return the completion's id."""
    with time_machine.travel(at, tick=False):
        completion_id: int = complete(who.actor, make_challenge(**fields)).completion.id
        return completion_id


@pytest.mark.parametrize("delivered", [False, True])
def test_a_learner_sees_savings_by_category_month_and_source(wire: Wire, ada: Person, delivered: bool) -> None:
    # Half past midnight in Paris is still October in UTC.
    save(ada, "2026-10-31T23:30:00Z", category="energy", co2e_grams=100, co2e_source={"en": "E", "fr": "F"})
    save(ada, "2026-10-31T12:00:00Z", category="water", co2e_grams=300, slug="leak")
    save(ada, "2026-11-02T12:00:00Z", category="energy", co2e_grams=0)
    save(ada, "2026-11-02T12:00:00Z", category="food", co2e_grams=9000, validation="approval")
    if delivered:
        drain()
    found = wire.read(f"{ada.path}/eco", ada)
    assert (found["co2e_grams"], found["completions"]) == (400, 3)
    assert found["by_category"] == [
        {"category": "energy", "co2e_grams": 100, "completions": 2},
        {"category": "water", "co2e_grams": 300, "completions": 1},
    ]
    assert found["by_month"] == [
        {"month": "2026-10", "co2e_grams": 300, "completions": 1},
        {"month": "2026-11", "co2e_grams": 100, "completions": 2},
    ]
    assert [source["co2e_grams"] for source in found["sources"]] == [300, 100, 0]
    assert (found["sources"][0]["slug"], found["sources"][0]["co2e_source"]) == ("leak", None)
    assert found["sources"][1]["co2e_source"] == "E"
    french = wire.read(f"{ada.path}/eco", ada, headers={"Accept-Language": "fr"})
    assert french["sources"][1]["co2e_source"] == "F"
    assert found["co2e_grams"] == wire.read(f"{ada.path}/progress", ada)["eco"]["co2e_grams_saved"]


def test_a_revocation_takes_back_what_was_saved(wire: Wire, ada: Person, root: Person) -> None:
    done = save(ada, "2026-11-02T12:00:00Z", category="food", co2e_grams=9000)
    wire.post(f"{ada.path}/completions/{done}/revoke", root, json={"reason": "x"})
    for path in (f"{ada.path}/eco", "/api/eco"):
        found = wire.read(path, ada)
        assert (found["co2e_grams"], found["completions"]) == (0, 0)
        assert (found["by_category"], found["equivalents"]) == ([], [])
    assert wire.read("/api/eco", ada)["learners"] == 0


def test_a_learners_savings_are_for_the_learner_and_staff(wire: Wire, ada: Person) -> None:
    path = f"{ada.path}/eco"
    assert_problem(wire.get(path), 401, "unauthenticated")
    assert_problem(wire.get(path, wire.join()), 404, "not_found")
    assert_problem(wire.get("/api/users/999999/eco", wire.admin()), 404, "not_found")
    for role in ("instructor", "examiner", "admin"):
        assert wire.read(path, wire.join(role))["co2e_grams"] == 0


@pytest.mark.parametrize("delivered", [False, True])
def test_everybody_sees_what_everybody_saved(wire: Wire, ada: Person, delivered: bool) -> None:
    assert_problem(wire.get("/api/eco"), 401, "unauthenticated")
    bob = wire.join()
    for who in (ada, bob):
        save(who, "2026-11-01T12:00:00Z", category="mobility", co2e_grams=142_000)
    save(ada, "2026-11-01T12:00:00Z", category="water", co2e_grams=1000)
    save(wire.join(), "2026-11-01T12:00:00Z", category="community", co2e_grams=0)
    if delivered:
        drain()
    found = wire.read("/api/eco", wire.join())
    assert (found["co2e_grams"], found["completions"], found["learners"]) == (285_000, 4, 2)
    assert [(share["category"], share["co2e_grams"]) for share in found["by_category"]] == [
        ("mobility", 284_000),
        ("water", 1000),
        ("community", 0),
    ]
    worth = [(item["kind"], item["amount"], item["text"]) for item in found["equivalents"]]
    assert worth == [
        ("car_km", 2007, "2,007 km in a combustion car"),
        ("beef_meal", 39, "39 meals with beef"),
        ("return_flight", 1, "1 return flight of 2 × 600 km"),
    ]
    french = wire.read("/api/eco", ada, headers={"Accept-Language": "fr"})
    assert french["equivalents"][0]["text"] == "2\u202f007 km en voiture thermique"


def test_a_group_has_what_people_saved_while_they_belonged_to_it(wire: Wire, ada: Person) -> None:
    boss, bob, group = admin(), wire.join(), make_group()
    path = f"/api/groups/{group}/eco"

    def belongs(who: Person, at: str, until: str | None) -> None:
        with time_machine.travel(at, tick=False):
            groups.add_members(boss, group, [who.id])
        if until:
            with time_machine.travel(until, tick=False):
                groups.remove_members(boss, group, [who.id])

    belongs(ada, "2026-11-02T10:00:00Z", "2026-11-02T12:00:00Z")
    belongs(ada, "2026-11-02T14:00:00Z", None)
    belongs(bob, "2026-11-02T10:00:00Z", "2026-11-02T16:00:00Z")
    for hour, grams in {"09": 1, "10": 10, "11": 100, "12": 1000, "13": 10_000, "14": 100_000, "15": 1_000_000}.items():
        save(ada, f"2026-11-02T{hour}:00:00Z", co2e_grams=grams)
    save(bob, "2026-11-02T15:59:59Z", co2e_grams=7, category="water")
    taken = save(bob, "2026-11-02T15:00:00Z", co2e_grams=10_000_000)
    save(bob, "2026-11-02T16:00:00Z", co2e_grams=20_000_000)
    save(wire.join(), "2026-11-02T15:00:00Z", co2e_grams=30_000_000)
    challenges.revoke_completion(boss, bob.id, taken, reason="A test.")
    found = wire.read(path, ada)
    assert (found["group_id"], found["members"]) == (group, 1)
    assert (found["co2e_grams"], found["completions"]) == (1_100_117, 5)
    assert [(share["category"], share["co2e_grams"]) for share in found["by_category"]] == [
        ("energy", 1_100_110),
        ("water", 7),
    ]
    assert_problem(wire.get(path, bob), 404, "not_found")


def test_an_approved_deed_belongs_to_the_group_of_its_day(wire: Wire, ada: Person) -> None:
    with time_machine.travel("2026-11-02T10:00:00Z", tick=False):
        boss, group = admin(), make_group(ada.actor)
    done = save(ada, "2026-11-02T11:00:00Z", co2e_grams=500, validation="approval")
    with time_machine.travel("2026-11-02T12:00:00Z", tick=False):
        groups.leave_group(ada.actor, group)
    challenges.approve_submission(boss, done)
    assert groups.get_group(boss, group).group.members == 0
    assert wire.read(f"/api/groups/{group}/eco", wire.admin())["co2e_grams"] == 500
