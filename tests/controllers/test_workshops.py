"""Workshops over HTTP: who sees, finds, makes, edits and calls them off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from rebootcamp.core import clock
from rebootcamp.models.sql.workshops import Workshop
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import make_actor
from tests.factories.workshops import make_stay, make_workshop

PATH = "/api/workshops"
NEW = {
    "title": "Réparer son vélo",
    "description": "Bring yours.",
    "starts_at": "2027-03-01T18:00:00+01:00",
    "ends_at": "2027-03-01T20:00:00+01:00",
    "capacity": 12,
}
FRENCH = {"Accept-Language": "fr"}


@dataclass(frozen=True)
class Place:
    """A workshop of a trainer, one who has a seat in it, and everybody who may come by."""

    workshop: Workshop
    people: dict[str, Person | None]

    @property
    def path(self) -> str:
        return f"{PATH}/{self.workshop.id}"

    def __getitem__(self, name: str) -> Person:
        person = self.people[name]
        assert person is not None
        return person


@pytest.fixture
def place(wire: Wire, root: Person) -> Place:
    trainer, seated = wire.join("instructor", display_name="Ms Roux"), wire.join(display_name="Ada")
    workshop = make_workshop(trainer.actor, link="https://meet.example.org/1", place=None)
    make_stay(workshop, seated.actor)
    people = {"nobody": None, "seated": seated, "student": wire.join(), "trainer": trainer, "admin": root}
    return Place(workshop, {**people, "instructor": wire.join("instructor"), "examiner": wire.join("examiner")})


@pytest.fixture
def trainer(wire: Wire) -> Person:
    return wire.join("instructor", display_name="Ms Roux", timezone="Europe/Paris")


def statuses(wire: Wire, place: Place, method: str, path: str, body: Any = None) -> dict[str, int]:
    return {name: wire.open(method, path, who, json=body).status_code for name, who in place.people.items()}


def matrix(**statuses: int) -> dict[str, int]:
    return {"nobody": 401, **statuses}


def editors(done: int, others: int = 403) -> dict[str, int]:
    return matrix(seated=403, student=403, trainer=done, admin=done, instructor=others, examiner=403)


def ids(wire: Wire, who: Person, query: str = "") -> list[int]:
    return [item["id"] for item in wire.items(f"{PATH}{query}", who)]


def made(wire: Wire, who: Person, **fields: Any) -> dict[str, Any]:
    answer = wire.post(PATH, who, json={**NEW, **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json
    return body


def refused(wire: Wire, who: Person, method: str, path: str, body: Any) -> dict[str, str]:
    return pointers(assert_problem(wire.open(method, path, who, json=body), 422, "validation_failed"))


# Who may what


def test_everybody_reads_published_workshops(wire: Wire, place: Place) -> None:
    everybody = matrix(seated=200, student=200, trainer=200, admin=200, instructor=200, examiner=200)
    assert statuses(wire, place, "GET", place.path) == everybody
    assert statuses(wire, place, "GET", PATH) == everybody


def test_instructors_edit_their_own_and_administrators_all(wire: Wire, place: Place) -> None:
    assert statuses(wire, place, "PATCH", place.path, {"place": "Room 2"}) == editors(200)
    assert statuses(wire, place, "POST", PATH, NEW) == {**editors(201), "instructor": 201}
    assert statuses(wire, place, "POST", f"{place.path}/cancel", {}) == {**editors(409), "trainer": 200}
    for who in ("trainer", "admin"):
        other = Place(make_workshop(place["trainer"].actor), place.people)
        assert wire.post(f"{other.path}/cancel", place[who], json={"reason": "Flu."}).status_code == 200
        refused = {name: person for name, person in place.people.items() if name not in ("trainer", "admin")}
        assert (
            statuses(wire, Place(other.workshop, refused), "DELETE", other.path)
            == dict.fromkeys(refused, 403) | matrix()
        )
        assert wire.delete(other.path, place[who]).status_code == 204


def test_a_draft_is_seen_by_who_runs_it(wire: Wire, place: Place) -> None:
    draft = Place(make_workshop(place["trainer"].actor, status="draft"), place.people)
    seen = matrix(seated=404, student=404, trainer=200, admin=200, instructor=404, examiner=404)
    assert statuses(wire, draft, "GET", draft.path) == seen
    assert statuses(wire, draft, "PATCH", draft.path, {"points": 1}) == editors(200, others=404)
    assert statuses(wire, draft, "POST", f"{draft.path}/cancel", {}) == editors(409, others=404)
    assert wire.delete(draft.path, place["trainer"]).status_code == 204


def test_only_administrators_name_or_change_the_trainer(wire: Wire, place: Place) -> None:
    trainer, admin, other = place["trainer"], place["admin"], place["instructor"]
    body = {**NEW, "trainer_id": other.id}
    assert_problem(wire.post(PATH, trainer, json=body), 403, "forbidden")
    assert wire.post(PATH, trainer, json={**NEW, "trainer_id": trainer.id}).status_code == 201
    assert wire.post(PATH, admin, json=body).json["trainer"]["id"] == other.id
    assert_problem(wire.patch(place.path, trainer, json={"trainer_id": other.id}), 403, "forbidden")
    assert wire.patch(place.path, trainer, json={"trainer_id": trainer.id}).status_code == 200
    assert wire.patch(place.path, admin, json={"trainer_id": other.id}).json["trainer"]["id"] == other.id
    assert_problem(wire.patch(place.path, trainer, json={"points": 1}), 403, "forbidden")
    for nobody in (place["student"].id, place["examiner"].id, 999_999, 2**63 - 1):
        for method, path in (("POST", PATH), ("PATCH", place.path)):
            found = refused(wire, admin, method, path, {**NEW, "trainer_id": nobody})
            assert found == {"/trainer_id": "unknown_trainer"}


def test_who_takes_part_does_not_become_the_trainer(wire: Wire, place: Place) -> None:
    other, admin = place["instructor"], place["admin"]
    for status in ("registered", "waitlisted", "attended"):
        workshop = make_workshop(place["trainer"].actor)
        make_stay(workshop, other.actor, status)
        path, body = f"{PATH}/{workshop.id}", {"trainer_id": other.id}
        assert refused(wire, admin, "PATCH", path, body) == {"/trainer_id": "participant"}
        wire.delete(f"{path}/registrations/{other.id}", admin)
        assert wire.patch(path, admin, json=body).status_code == (422 if status == "attended" else 200)


def test_the_link_is_for_those_with_a_seat_and_staff(wire: Wire, place: Place) -> None:
    waiting = wire.join()
    make_stay(place.workshop, waiting.actor, status="waitlisted")
    seen = {name for name, who in place.people.items() if who and wire.read(place.path, who)["link"]}
    assert seen == {"seated", "trainer", "admin", "instructor", "examiner"}
    assert wire.read(place.path, waiting)["link"] is None
    (listed,) = wire.items(PATH, place["student"])
    assert listed["link"] is None


# Making


def test_a_new_workshop_tells_all_about_itself(wire: Wire, trainer: Person) -> None:
    window = {"opens_at": "2027-01-01T00:00:00Z", "closes_at": "2027-02-28T23:00:00.000Z"}
    body = {**NEW, "place": "Room 1", "link": "https://x.example.org/a", "offer_hours": 48, "points": 30}
    body |= {"tags": ["Vélo ", "LOW  tech", "vélo"], "registration": window}
    answer = wire.post(PATH, trainer, json=body, headers=FRENCH)
    assert answer.status_code == 201
    wire.conforms(answer, "create_workshop")
    found = answer.json
    assert (found["slug"], found["status"], found["version"]) == ("reparer-son-velo", "published", 1)
    assert (found["starts_at"], found["ends_at"]) == ("2027-03-01T17:00:00Z", "2027-03-01T19:00:00Z")
    assert (found["timezone"], found["tags"]) == ("Europe/Paris", ["vélo", "low tech"])
    assert (found["capacity"], found["seats_left"], found["waiting"]) == (12, 12, 0)
    assert found["registration"] == {**window, "closes_at": "2027-02-28T23:00:00Z", "is_open": False}
    assert (found["place"], found["link"], found["offer_hours"]) == ("Room 1", "https://x.example.org/a", 48)
    assert (found["trainer"], found["mine"]) == ({"id": trainer.id, "display_name": "Ms Roux"}, None)
    assert (found["rating"], found["points"]) == ({"average": None, "count": 0}, 30)
    texts = {"title": NEW["title"], "description": NEW["description"]}
    assert found["translations"] == {"en": texts, "fr": texts}
    assert wire.read(f"{PATH}/{found['id']}", trainer, headers=FRENCH) == found


def test_texts_are_told_in_the_readers_language(wire: Wire, trainer: Person, ada: Person) -> None:
    texts = {"en": {"title": "Bike", "description": "a\nb"}, "fr": {"title": "Vélo"}}
    path = f"{PATH}/{made(wire, trainer, translations=texts)['id']}"
    assert wire.read(path, ada)["title"] == "Bike"
    assert wire.read(path, ada, headers=FRENCH)["title"] == "Vélo"
    assert "translations" not in wire.read(path, ada)
    edited = wire.patch(path, trainer, json={"title": "Cycle"}).json["translations"]
    assert edited == {"en": {"title": "Cycle", "description": "a\nb"}, "fr": {"title": "Cycle", "description": ""}}


def test_the_zone_is_the_trainers_unless_said_otherwise(wire: Wire, trainer: Person, root: Person) -> None:
    there = wire.join("instructor", timezone="Asia/Tokyo")
    assert made(wire, root, trainer_id=there.id)["timezone"] == "Asia/Tokyo"
    assert made(wire, root, trainer_id=there.id, timezone="America/Lima")["timezone"] == "America/Lima"
    assert refused(wire, trainer, "POST", PATH, {**NEW, "timezone": "Mars/Olympus"}) == {
        "/timezone": "unknown_timezone"
    }


def test_workshops_of_one_title_have_slugs_of_their_own(wire: Wire, trainer: Person) -> None:
    slugs = [made(wire, trainer)["slug"] for _ in range(3)]
    assert slugs[0] == "reparer-son-velo"
    assert all(slug.startswith("reparer-son-velo-") for slug in slugs[1:])
    assert len(set(slugs)) == 3
    assert made(wire, trainer, title="🌱🌱")["slug"] == "workshop"
    long = [made(wire, trainer, title="word " * 24)["slug"] for _ in range(2)]
    assert all(len(slug) <= 80 for slug in long)
    for method, path in (("POST", PATH), ("PATCH", f"{PATH}/1")):
        taken = wire.open(method, path, trainer, json={**NEW, "slug": slugs[1]})
        assert_problem(taken, 409, "slug_taken")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"starts_at": "2020-01-01T00:00:00Z"}, "/starts_at"),
        ({"starts_at": "2027-03-01T18:00:00"}, "/starts_at"),
        ({"ends_at": NEW["starts_at"]}, "/ends_at"),
        ({"capacity": 0}, "/capacity"),
        ({"capacity": 10_001}, "/capacity"),
        ({"offer_hours": 337}, "/offer_hours"),
        ({"link": "javascript:alert(1)"}, "/link"),
        ({"title": ""}, "/title"),
        ({"title": "\u202etitle"}, "/title"),
        ({"status": "cancelled"}, "/status"),
        ({"status": "closed"}, "/status"),
        ({"tags": [f"t{n}" for n in range(11)]}, "/tags"),
        ({"registration": {"closes_at": "2027-03-01T17:00:01Z"}}, "/registration/closes_at"),
        ({"registration": {"opens_at": "2027-03-01T17:00:00Z"}}, "/registration/opens_at"),
        (
            {"registration": {"opens_at": "2027-02-01T00:00:00Z", "closes_at": "2027-02-01T00:00:00Z"}},
            "/registration/opens_at",
        ),
        ({"questions": [{"key": "a b", "label": "A"}]}, "/questions/0/key"),
        ({"questions": [{"key": "a", "label": "A"}, {"key": "a", "label": "B"}]}, "/questions"),
        ({"questions": [{"key": "a"}]}, "/questions/0/label"),
        ({"questions": [{"label": "🌱"}]}, "/questions/0/key"),
        ({"trainer": 1}, "/trainer"),
    ],
)
def test_what_no_workshop_can_be_is_refused(wire: Wire, trainer: Person, fields: dict[str, Any], pointer: str) -> None:
    for method, path in (("POST", PATH), ("PATCH", f"{PATH}/{make_workshop(trainer.actor).id}")):
        if method == "PATCH" and fields == {"status": "closed"}:
            continue
        assert list(refused(wire, trainer, method, path, {**NEW, **fields})) == [pointer]


# Questions


def test_questions_are_asked_in_the_readers_language(wire: Wire, trainer: Person, ada: Person) -> None:
    asked = [
        {"label": "Votre vélo ?", "is_required": True},
        {"key": "size", "labels": {"en": "Size", "fr": "Taille"}},
    ]
    path = f"{PATH}/{made(wire, trainer, questions=asked)['id']}"
    assert wire.read(path, ada, headers=FRENCH)["questions"] == [
        {"key": "votre_velo", "label": "Votre vélo ?", "is_required": True},
        {"key": "size", "label": "Taille", "is_required": False},
    ]
    assert wire.read(path, trainer)["questions"][1]["labels"] == {"en": "Size", "fr": "Taille"}


def test_questions_that_somebody_answered_stay(wire: Wire, trainer: Person, ada: Person) -> None:
    workshop = make_workshop(trainer.actor, questions=[{"key": "size", "labels": {"en": "Sice"}, "is_required": True}])
    path, other = f"{PATH}/{workshop.id}", [{"key": "colour", "label": "Colour"}]
    assert wire.patch(path, trainer, json={"questions": other}).status_code == 200
    size = [{"key": "size", "label": "Size", "is_required": True}]
    assert wire.patch(path, trainer, json={"questions": size}).status_code == 200
    make_stay(workshop, ada.actor, status="cancelled")
    for changed in (other, [], [{**size[0], "is_required": False}], [*size, *other]):
        assert_problem(wire.patch(path, trainer, json={"questions": changed}), 409, "questions_in_use")
    corrected = wire.patch(path, trainer, json={"questions": [{**size[0], "label": "Your size"}]})
    assert corrected.json["questions"][0]["label"] == "Your size"


# Editing


def test_a_workshop_goes_from_draft_to_published_to_closed_and_back(wire: Wire, trainer: Person) -> None:
    path = f"{PATH}/{made(wire, trainer, status='draft')['id']}"

    def to(status: str) -> int:
        return wire.patch(path, trainer, json={"status": status}).status_code

    assert [to("closed"), to("draft"), to("published"), to("draft")] == [409, 200, 200, 409]
    assert [to("closed"), to("closed"), to("draft"), to("published")] == [200, 200, 409, 200]
    answer = wire.patch(path, trainer, json={"status": "draft"})
    assert_problem(answer, 409, "status_not_reachable")


def test_what_has_begun_can_be_corrected_but_not_moved_back(wire: Wire, trainer: Person) -> None:
    now = clock.now()
    begun = make_workshop(trainer.actor, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1))
    path = f"{PATH}/{begun.id}"
    same = {"starts_at": clock.iso(begun.starts_at), "ends_at": clock.iso(now + timedelta(hours=2)), "place": "x"}
    assert wire.patch(path, trainer, json=same).status_code == 200
    moved = refused(wire, trainer, "PATCH", path, {"starts_at": clock.iso(now - timedelta(minutes=1))})
    assert moved == {"/starts_at": "in_the_past"}
    late = make_workshop(trainer.actor, status="draft", starts_at=now - timedelta(hours=1))
    published = refused(wire, trainer, "PATCH", f"{PATH}/{late.id}", {"status": "published"})
    assert published == {"/starts_at": "in_the_past"}


def test_nobody_loses_a_seat_because_the_room_is_smaller(wire: Wire, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor, capacity=5)
    for _ in range(3):
        make_stay(workshop, make_actor())
    path = f"{PATH}/{workshop.id}"
    problem = assert_problem(wire.patch(path, trainer, json={"capacity": 2}), 409, "capacity_below_taken")
    assert "3" in problem["detail"]
    assert wire.patch(path, trainer, json={"capacity": 3}).json["seats_left"] == 0
    assert wire.patch(path, trainer, json={"capacity": 8}).json["seats_left"] == 5


def test_a_cancelled_workshop_no_longer_changes(wire: Wire, place: Place) -> None:
    trainer = place["trainer"]
    answer = wire.post(f"{place.path}/cancel", trainer, json={"reason": "Flu."})
    wire.conforms(answer, "cancel_workshop")
    assert (answer.json["status"], answer.json["cancel_reason"]) == ("cancelled", "Flu.")
    assert answer.json["cancelled_at"] is not None
    assert answer.json["registration"]["is_open"] is False
    for method, path, body in (
        ("POST", f"{place.path}/cancel", {}),
        ("PATCH", place.path, {"points": 1}),
        ("PATCH", place.path, {"status": "published"}),
    ):
        assert_problem(wire.open(method, path, trainer, json=body), 409, "workshop_cancelled")
    assert wire.read(place.path, place["seated"])["mine"]["status"] == "registered"
    assert ids(wire, place["student"]) == ids(wire, place["student"], "?status=cancelled") == [place.workshop.id]


def test_what_is_over_is_not_cancelled(wire: Wire, trainer: Person) -> None:
    now = clock.now()
    times = {"starts_at": now - timedelta(hours=2), "ends_at": now - timedelta(hours=1)}
    over = make_workshop(trainer.actor, **times)
    assert_problem(wire.post(f"{PATH}/{over.id}/cancel", trainer, json={}), 409, "workshop_over")
    begun = make_workshop(trainer.actor, **{**times, "ends_at": now + timedelta(hours=1)})
    assert wire.post(f"{PATH}/{begun.id}/cancel", trainer, json={}).status_code == 200


def test_archiving_hides_a_workshop_from_all_but_those_concerned(wire: Wire, place: Place) -> None:
    trainer = place["trainer"]
    assert_problem(wire.delete(place.path, trainer), 409, "workshop_awaited")
    wire.post(f"{place.path}/cancel", trainer, json={})
    assert [wire.delete(place.path, trainer).status_code for _ in range(2)] == [204, 204]
    seen = matrix(seated=200, student=404, trainer=200, admin=200, instructor=404, examiner=404)
    assert statuses(wire, place, "GET", place.path) == seen
    assert ids(wire, trainer) == ids(wire, place["admin"], "?status=cancelled") == []
    assert_problem(wire.patch(place.path, trainer, json={"points": 1}), 409, "workshop_archived")
    assert_problem(wire.post(f"{place.path}/cancel", trainer, json={}), 409, "workshop_archived")


def test_what_nobody_waits_for_is_archived_at_once(wire: Wire, trainer: Person) -> None:
    now = clock.now()
    times = {"starts_at": now - timedelta(hours=2), "ends_at": now - timedelta(hours=1)}
    over, waited = make_workshop(trainer.actor, **times), make_workshop(trainer.actor)
    make_stay(over, make_actor())
    make_stay(waited, make_actor(), status="waitlisted")
    assert wire.delete(f"{PATH}/{over.id}", trainer).status_code == 204
    assert wire.delete(f"{PATH}/{make_workshop(trainer.actor).id}", trainer).status_code == 204
    assert_problem(wire.delete(f"{PATH}/{waited.id}", trainer), 409, "workshop_awaited")


# Versions


def test_who_registers_makes_no_edit_stale_but_changes_what_is_read(wire: Wire, place: Place) -> None:
    trainer, student = place["trainer"], place["student"]
    held = wire.get(place.path, trainer).headers["ETag"]
    mine = wire.get(place.path, student).headers["ETag"]
    assert wire.get(place.path, student, headers={"If-None-Match": mine}).status_code == 304
    make_stay(place.workshop, student.actor)
    assert wire.get(place.path, student, headers={"If-None-Match": mine}).json["mine"]["status"] == "registered"
    assert wire.get(place.path, trainer, headers={"If-None-Match": held}).json["seats_left"] == 0
    fresh = {"If-Match": held}
    assert wire.patch(place.path, trainer, json={"points": 1}, headers=fresh).status_code == 200
    for method, path, body in (
        ("PATCH", place.path, {"points": 2}),
        ("DELETE", place.path, None),
        ("POST", f"{place.path}/cancel", {}),
    ):
        assert_problem(wire.open(method, path, trainer, json=body, headers=fresh), 412, "stale_edit")
    again = {"If-Match": wire.get(place.path, trainer).headers["ETag"]}
    assert wire.post(f"{place.path}/cancel", trainer, json={}, headers=again).status_code == 200
