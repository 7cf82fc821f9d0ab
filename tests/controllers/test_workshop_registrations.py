"""Registrations over HTTP: both stores in one answer, never behind, told from the journal when MongoDB is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rebootcamp.core import clock
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services.erasures import erase_account
from rebootcamp.storage import mongo
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import drain, make_actor
from tests.factories.registrations import Stay
from tests.factories.workshops import make_workshop
from tests.relay.tools import close_breaker, execute, fault, make_learners

ITEM = {
    *("id", "user_id", "user", "status", "position", "offered_until", "registered_at", "seated_at", "ended_at"),
    *("attended_on", "answers", "note", "rating", "feedback", "history"),
}


@pytest.fixture
def trainer(wire: Wire) -> Person:
    return wire.join("instructor", display_name="Grace")


def path_of(workshop: Workshop) -> str:
    return f"/api/workshops/{workshop.id}/registrations"


def steps_of(item: dict[str, Any]) -> list[str]:
    return [step["type"] for step in item["history"]]


def lived(workshop: Workshop) -> list[Stay]:
    """Let seven learners go all ways; return their stays, the newest last."""
    people = make_learners(6)
    first, second = (
        Stay(who, workshop, answers={"why": f"For {n}."}, note="Train.") for n, who in enumerate(people[:2])
    )
    waiting = [Stay(who, workshop, waits=True, answers={"why": "Soon."}) for who in people[2:]]
    first.leave()
    waiting[0].offer()
    waiting[0].promote()
    waiting[1].offer()
    second.attend()
    second.rate(5, text="Very good.")
    return [first, second, *waiting, Stay(people[0], workshop, waits=True)]


def test_an_answer_joins_the_workshop_with_its_people(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor, capacity=3)
    stays = lived(workshop)
    answer = wire.get(path_of(workshop), trainer)
    wire.conforms(answer, "list_registrations")
    body = answer.json
    assert body["workshop"] == {
        "id": workshop.id,
        "slug": workshop.slug,
        "title": workshop.translations["en"]["title"],
        "trainer": {"id": trainer.id, "display_name": "Grace"},
        "starts_at": clock.iso(workshop.starts_at),
        "ends_at": clock.iso(workshop.ends_at),
        "timezone": "Europe/Paris",
        "place": "Room 1",
        "status": "published",
        "capacity": 3,
        "seats_left": 0,
        "waiting": 3,
    }
    assert body["counts"] == {"registered": 1, "waitlisted": 4, "cancelled": 1, "attended": 1, "offered": 1}
    assert body["consistency"] == {"degraded": False}
    assert [item["id"] for item in body["items"]] == [stay.id for stay in stays]
    assert all(set(item) == ITEM for item in body["items"])
    assert [item["position"] for item in body["items"]] == [None, None, None, 1, 2, 3, 4]
    left, attended, promoted, offered, *_ = body["items"]
    assert steps_of(left) == ["registered", "left"]
    assert left["history"][1] == {"type": "left", "at": left["ended_at"], "cause": "left"}
    assert (left["answers"], left["note"]) == ({"why": "For 0."}, "Train.")
    assert steps_of(attended) == ["registered", "attended", "rated"]
    assert (attended["rating"], attended["feedback"]) == (5, "Very good.")
    assert attended["attended_on"] == attended["history"][1]["attended_on"]
    assert steps_of(promoted) == ["waitlisted", "offered", "promoted"]
    assert promoted["seated_at"] == promoted["history"][2]["at"]
    assert offered["offered_until"] == offered["history"][1]["offered_until"]


def test_a_trainer_goes_by_one_name(wire: Wire, trainer: Person) -> None:
    workshop, named = make_workshop(trainer.actor), {"id": trainer.id, "display_name": "Gigi"}
    execute("UPDATE users SET nickname = 'Gigi' WHERE id = :id", id=trainer.id)
    assert wire.get(path_of(workshop), trainer).json["workshop"]["trainer"] == named
    assert wire.get(f"/api/workshops/{workshop.id}", trainer).json["trainer"] == named


def test_nobody_waits_and_seats_are_left(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor, capacity=3)
    Stay(make_actor(), workshop)
    body = wire.read(path_of(workshop), trainer, headers={"Accept-Language": "fr"})
    assert (body["workshop"]["seats_left"], body["workshop"]["title"]) == (2, workshop.translations["fr"]["title"])
    empty = wire.get(path_of(make_workshop(trainer.actor)), trainer)
    wire.conforms(empty, "list_registrations")
    assert (empty.json["items"], empty.json["next_cursor"]) == ([], None)
    assert set(empty.json["counts"].values()) == {0}


def delivered(_: int) -> None:
    drain()


def half_delivered(number: int) -> None:
    if number % 2:
        drain()


def never_delivered(_: int) -> None:
    pass


@pytest.mark.parametrize("deliver", [delivered, half_delivered, never_delivered])
def test_an_answer_is_never_behind_whatever_was_delivered(
    wire: Wire, trainer: Person, deliver: Callable[[int], None]
) -> None:
    workshop, learner = make_workshop(trainer.actor), make_actor()
    stay = Stay(learner, workshop, waits=True, note="Me!")
    acts = (stay.offer, stay.promote, stay.attend, stay.revoke, stay.attend, lambda: stay.rate(3, text="Fine."))
    statuses = ("waitlisted", "registered", "attended", "registered", "attended", "attended")
    for number, (act, status) in enumerate(zip(acts, statuses, strict=True)):
        deliver(number)
        act()
        (item,) = wire.read(path_of(workshop), trainer)["items"]
        assert (item["status"], item["note"], len(item["history"])) == (status, "Me!", number + 2)
        (own,) = wire.read(f"/api/users/{learner.user_id}/registrations", trainer)["items"]
        assert {name: own[name] for name in ITEM - {"user"}} == {name: item[name] for name in ITEM - {"user"}}
    assert (item["rating"], item["feedback"]) == (3, "Fine.")


def test_the_journal_tells_everything_when_mongodb_is_away(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor, capacity=3)
    lived(workshop)
    before = wire.read(path_of(workshop), trainer)
    drain()
    assert wire.read(path_of(workshop), trainer) == before
    with fault(failCommands=["find"], errorCode=11600):
        away = wire.get(path_of(workshop), trainer)
        assert away.json == before | {"consistency": {"degraded": True}}
        wire.conforms(away, "list_registrations")
        own = wire.read(f"/api/users/{before['items'][1]['user_id']}/registrations", trainer)
        assert own["consistency"] == {"degraded": True}
        assert own["items"][0]["feedback"] == "Very good."
    close_breaker(wire.app)
    assert wire.read(path_of(workshop), trainer) == before


def test_documents_that_lack_something_are_completed_from_the_journal(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor, capacity=3)
    stays = lived(workshop)
    drain()
    before = wire.read(path_of(workshop), trainer)
    mongo.collection("registrations").delete_one({"_id": stays[0].id})
    mongo.collection("registrations").update_one({"_id": stays[1].id}, {"$inc": {"seq": -1}})
    assert wire.read(path_of(workshop), trainer) == before


def test_a_dead_letter_hides_nothing(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor)
    stay = Stay(make_actor(), workshop, waits=True, note="Me!")
    stay.offer()
    execute("UPDATE outbox SET dead_at = now() WHERE user_id = :id AND seq > 1", id=stay.user_id)
    drain()
    (before,) = wire.read(path_of(workshop), trainer)["items"]
    assert (steps_of(before), before["note"]) == (["waitlisted", "offered"], "Me!")
    stay.promote()
    drain()
    (item,) = wire.read(path_of(workshop), trainer)["items"]
    assert (steps_of(item), item["note"]) == (["waitlisted", "offered", "promoted"], "Me!")


def test_a_dead_letter_does_not_undo_what_came_after_it(wire: Wire, trainer: Person) -> None:
    stay = Stay(make_actor(), make_workshop(trainer.actor), note="Me!")
    execute("UPDATE outbox SET dead_at = now() WHERE user_id = :id AND seq = 2", id=stay.user_id)
    stay.attend()
    stay.rate(3, text="Fine.")
    drain()
    stay.revoke()
    (item,) = wire.read(path_of(stay.workshop), trainer)["items"]
    assert steps_of(item) == ["registered", "attended", "rated", "attendance_revoked"]
    assert (item["note"], item["feedback"], item["status"]) == ("Me!", "Fine.", "registered")


def test_words_of_an_erased_account_are_gone_at_once(wire: Wire, trainer: Person, tmp_path: Any) -> None:
    workshop = make_workshop(trainer.actor)
    stay = Stay(make_actor(), workshop, answers={"why": "Secret."}, note="Secret.")
    stay.attend()
    stay.rate(2, text="Secret.")
    drain()
    erase_account(stay.user_id, tmp_path / "erasures.jsonl")
    for _ in range(2):
        answer = wire.get(path_of(workshop), trainer)
        assert "Secret" not in answer.text
        (item,) = answer.json["items"]
        assert (item["answers"], item["note"], item["feedback"], item["rating"]) == ({}, None, None, 2)
        drain()


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_and_filters(wire: Wire, trainer: Person, limit: int) -> None:
    workshop = make_workshop(trainer.actor, capacity=3)
    stays = lived(workshop)
    other = make_workshop(trainer.actor)
    Stay(make_actor(), other, waits=True)
    whole = wire.read(path_of(workshop), trainer)
    assert wire.items(path_of(workshop), trainer, limit) == whole["items"]
    for status, number in (("registered", 1), ("waitlisted", 4), ("cancelled", 1), ("attended", 1)):
        found = wire.items(f"{path_of(workshop)}?status={status}", trainer, limit)
        assert found == [item for item in whole["items"] if item["status"] == status]
        assert len(found) == number
    pages = list(wire.pages(f"{path_of(workshop)}?status=waitlisted", trainer, limit))
    assert all(page["counts"] == whole["counts"] for page in pages)
    again = f"/api/users/{stays[0].user_id}/registrations"
    own = wire.items(again, trainer, limit)
    assert [item["id"] for item in own] == [stays[-1].id, stays[0].id]
    assert [item["position"] for item in own] == [4, None]
    assert [item["id"] for item in wire.items(f"{again}?status=cancelled", trainer, limit)] == [stays[0].id]
    assert_problem(wire.get(f"{path_of(workshop)}?status=maybe", trainer), 422, "validation_failed")
    foreign = wire.get(f"{again}?limit=1", trainer).json["next_cursor"]
    assert wire.get(f"{path_of(workshop)}?cursor={foreign}", trainer).status_code == 422


def test_own_registrations_over_all_workshops(wire: Wire, ada: Person, trainer: Person) -> None:
    workshops = [make_workshop(trainer.actor) for _ in range(3)]
    stays = [Stay(ada.actor, workshop, waits=bool(number % 2)) for number, workshop in enumerate(workshops)]
    answer = wire.get(f"{ada.path}/registrations", ada)
    wire.conforms(answer, "list_own_registrations")
    assert [item["id"] for item in answer.json["items"]] == [stay.id for stay in reversed(stays)]
    assert answer.json["items"][0]["workshop"] == {
        "id": workshops[2].id,
        "slug": workshops[2].slug,
        "title": workshops[2].translations["en"]["title"],
        "starts_at": clock.iso(workshops[2].starts_at),
        "ends_at": clock.iso(workshops[2].ends_at),
        "timezone": "Europe/Paris",
        "place": "Room 1",
        "status": "published",
    }
    assert "email" not in answer.json["items"][0]["user"]
    assert wire.read(f"{ada.path}/registrations", trainer) == answer.json
    assert_problem(wire.get(f"{ada.path}/registrations", wire.join()), 404, "not_found")
    assert_problem(wire.get("/api/users/4711/registrations", trainer), 404, "not_found")
    assert_problem(wire.get("/api/users/4711/registrations", ada), 404, "not_found")
    assert wire.get(f"{ada.path}/registrations").status_code == 401


def test_registrations_are_for_the_trainer_and_staff(wire: Wire, ada: Person, trainer: Person, root: Person) -> None:
    workshop = make_workshop(trainer.actor)
    Stay(ada.actor, workshop)
    colleague, examiner = wire.join("instructor"), wire.join("examiner")
    for reader, sees_address in ((trainer, True), (root, True), (colleague, False), (examiner, False)):
        (item,) = wire.read(path_of(workshop), reader)["items"]
        assert item["user"].get("email") == (ada.email if sees_address else None)
    assert wire.get(path_of(workshop)).status_code == 401
    assert_problem(wire.get(path_of(workshop), ada), 403, "forbidden")
    assert_problem(wire.get("/api/workshops/4711/registrations", ada), 403, "forbidden")
    assert_problem(wire.get("/api/workshops/4711/registrations", trainer), 404, "not_found")


def test_a_draft_is_known_to_its_trainer_and_administrators(wire: Wire, trainer: Person, root: Person) -> None:
    draft = make_workshop(trainer.actor, status="draft")
    gone = make_workshop(trainer.actor, archived_at=clock.now())
    for reader in (trainer, root):
        assert wire.read(path_of(draft), reader)["items"] == []
    for reader in (wire.join("instructor"), wire.join("examiner")):
        assert_problem(wire.get(path_of(draft), reader), 404, "not_found")
    assert_problem(wire.get(path_of(gone), trainer), 404, "not_found")


def test_who_was_suspended_is_refused_at_once(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor)
    execute("UPDATE users SET is_active = false WHERE id = :id", id=trainer.id)
    assert wire.get(path_of(workshop), trainer).status_code == 401
    assert wire.get(f"{trainer.path}/registrations", trainer).status_code == 401


@pytest.mark.parametrize("number", [1, 20, 60])
def test_registrations_are_one_statement_and_one_find(wire: Wire, trainer: Person, measure: Any, number: int) -> None:
    workshop = make_workshop(trainer.actor, capacity=30)
    stays = [Stay(who, workshop, waits=place >= 30, note="Me!") for place, who in enumerate(make_learners(number))]
    reads = f"{path_of(workshop)}?limit=100", f"/api/users/{stays[0].user_id}/registrations"
    for path in reads:
        wire.read(path, trainer)
    for _ in range(2):
        for path, count in zip(reads, (number, 1), strict=True):
            with measure() as cost:
                items = wire.read(path, trainer)["items"]
            assert (len(items), {item["note"] for item in items}) == (count, {"Me!"})
            assert (cost.counts, cost.mongo) == ((1, 1), ["find"])
        drain()
