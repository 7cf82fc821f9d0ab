"""Groups over HTTP: who sees, edits, joins and leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rebootcamp.core.groups import ALPHABET
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import make_group

GROUP = {"id", "slug", "name", "description", "kind", "is_open", "owner", "members", "joined_at"}
GROUP |= {"created_at", "archived_at", "version"}


@dataclass(frozen=True)
class School:
    """A class of one owner with one member, and everybody who may come by."""

    id: int
    people: dict[str, Person | None]

    @property
    def path(self) -> str:
        return f"/api/groups/{self.id}"

    def __getitem__(self, name: str) -> Person:
        person = self.people[name]
        assert person is not None
        return person


@pytest.fixture
def school(wire: Wire, root: Person) -> School:
    owner, member = wire.join("instructor", display_name="Ms Roux"), wire.join(display_name="Ada")
    group = make_group(member.actor, owner=owner.actor, name="Seconde 4")
    people = {"nobody": None, "member": member, "student": wire.join(), "owner": owner, "admin": root}
    return School(group, {**people, "instructor": wire.join("instructor"), "examiner": wire.join("examiner")})


def statuses(wire: Wire, school: School, method: str, path: str, body: Any = None) -> dict[str, int]:
    return {name: wire.open(method, path, who, json=body).status_code for name, who in school.people.items()}


def code_of(wire: Wire, school: School) -> str:
    return str(wire.read(school.path, school["owner"])["join_code"])


def matrix(**statuses: int) -> dict[str, int]:
    return {"nobody": 401, **statuses}


STAFF_READ = matrix(member=200, student=404, owner=200, admin=200, instructor=200, examiner=200)


@pytest.mark.parametrize("suffix", ["", "/members", "/eco"])
def test_members_and_staff_read_a_group_and_for_others_there_is_none(wire: Wire, school: School, suffix: str) -> None:
    assert statuses(wire, school, "GET", school.path + suffix) == STAFF_READ


def editors(done: int) -> dict[str, int]:
    return matrix(member=403, student=403, owner=done, admin=done, instructor=403, examiner=403)


def test_the_owner_and_administrators_edit_a_group(wire: Wire, school: School) -> None:
    other = {"user_ids": [school["student"].id]}
    assert statuses(wire, school, "PATCH", school.path, {"description": "x"}) == editors(200)
    assert statuses(wire, school, "POST", f"{school.path}/join-code") == editors(200)
    assert statuses(wire, school, "POST", f"{school.path}/members", other) == editors(200)
    assert statuses(wire, school, "POST", f"{school.path}/members/remove", other) == editors(200)
    assert statuses(wire, school, "DELETE", school.path) == editors(204)


def test_instructors_and_administrators_make_groups(wire: Wire, school: School) -> None:
    made = matrix(member=403, student=403, owner=201, admin=201, instructor=201, examiner=403)
    assert statuses(wire, school, "POST", "/api/groups", {"name": "New"}) == made


def test_the_list_shows_ones_own_groups_and_staff_all(wire: Wire, school: School) -> None:
    make_group(school["student"].actor, owner=school["instructor"].actor, name="Seconde 5", kind="team")

    def names(who: str, query: str = "") -> list[str]:
        return [item["name"] for item in wire.items(f"/api/groups{query}", school[who])]

    assert (names("member"), names("student")) == (["Seconde 4"], ["Seconde 5"])
    assert names("admin") == names("examiner") == names("owner") == ["Seconde 4", "Seconde 5"]
    assert (names("owner", "?mine=true"), names("admin", "?mine=true")) == (["Seconde 4"], [])
    assert (names("admin", "?kind=team"), names("admin", "?q=DE%204")) == (["Seconde 5"], ["Seconde 4"])
    wire.delete(school.path, school["owner"])
    assert (names("member"), names("admin")) == ([], ["Seconde 5"])
    assert wire.read(school.path, school["member"])["archived_at"] is not None


def test_people_see_the_owner_by_the_name_they_see_everybody_by(wire: Wire, school: School) -> None:
    wire.patch("/api/users/me", school["owner"], json={"nickname": "Mamie"})
    wire.post(f"{school.path}/members", school["owner"], json={"user_ids": [school["owner"].id]})
    names = {
        item["user"]["id"]: item["user"]["display_name"]
        for item in wire.items(f"{school.path}/members", school["member"])
    }
    owner = wire.read(school.path, school["member"])["owner"]
    assert owner == {"id": school["owner"].id, "display_name": "Mamie"}
    assert names[school["owner"].id] == "Mamie"


def test_the_code_is_shown_to_those_who_may_edit(wire: Wire, school: School) -> None:
    for name in ("owner", "admin"):
        shown = wire.read(school.path, school[name])
        assert set(shown) == GROUP | {"join_code"}
        assert len(shown["join_code"].replace("-", "")) == 10
        assert set(shown["join_code"]) <= {*ALPHABET, "-"}
    for name in ("member", "instructor", "examiner"):
        assert set(wire.read(school.path, school[name])) == GROUP
        assert "join_code" not in wire.get("/api/groups", school[name]).text


def test_a_learner_joins_with_the_code_and_leaves(wire: Wire, school: School) -> None:
    student, code = school["student"], code_of(wire, school)
    answer = wire.post("/api/groups/join", student, json={"code": code})
    assert (answer.status_code, set(answer.json), answer.json["members"]) == (201, GROUP, 2)
    assert (answer.json["name"], answer.json["owner"]["display_name"]) == ("Seconde 4", "Ms Roux")
    assert wire.read(school.path, student)["joined_at"] is not None
    assert_problem(wire.post("/api/groups/join", student, json={"code": code}), 409, "already_member")
    assert wire.read(school.path, school["owner"])["members"] == 2
    assert wire.post(f"{school.path}/leave", student).status_code == 204
    assert_problem(wire.get(school.path, student), 404, "not_found")
    assert_problem(wire.post(f"{school.path}/leave", student), 404, "not_found")
    assert_problem(wire.post(f"{school.path}/leave", school["owner"]), 409, "not_member")
    assert wire.post("/api/groups/join", student, json={"code": code}).status_code == 201
    assert wire.read(school.path, school["owner"])["members"] == 2


def test_a_code_is_read_as_people_type_it(wire: Wire, school: School) -> None:
    code = code_of(wire, school)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert wire.post("/api/groups/join", school["student"], json={"code": typed}).status_code == 201


@pytest.mark.parametrize("code", ["0000000000", "x", "é", "-", "ABCDE-FGHJK-MNPQR", "%"])
def test_a_wrong_code_is_unknown(wire: Wire, school: School, code: str) -> None:
    answer = wire.post("/api/groups/join", school["student"], json={"code": code})
    assert_problem(answer, 404, "unknown_join_code")


def test_a_new_code_ends_the_old_one(wire: Wire, school: School) -> None:
    old = code_of(wire, school)
    new = wire.post(f"{school.path}/join-code", school["owner"]).json["join_code"]
    assert new == code_of(wire, school) != old
    assert_problem(wire.post("/api/groups/join", school["student"], json={"code": old}), 404, "unknown_join_code")
    assert wire.post("/api/groups/join", school["student"], json={"code": new}).status_code == 201


def test_a_closed_group_is_joined_through_its_owner_only(wire: Wire, school: School) -> None:
    student, code = school["student"], code_of(wire, school)
    wire.patch(school.path, school["owner"], json={"is_open": False})
    assert_problem(wire.post("/api/groups/join", student, json={"code": code}), 409, "group_closed")
    added = wire.post(f"{school.path}/members", school["owner"], json={"user_ids": [student.id]})
    assert added.json == {"user_ids": [student.id], "members": 2}


def test_an_archived_group_stays_as_it_is(wire: Wire, school: School) -> None:
    owner, code = school["owner"], code_of(wire, school)
    assert [wire.delete(school.path, owner).status_code for _ in range(2)] == [204, 204]
    assert_problem(wire.post("/api/groups/join", school["student"], json={"code": code}), 404, "unknown_join_code")
    assert_problem(wire.patch(school.path, owner, json={"name": "x"}), 409, "group_archived")
    assert_problem(wire.post(f"{school.path}/join-code", owner), 409, "group_archived")
    body = {"user_ids": [school["student"].id]}
    assert_problem(wire.post(f"{school.path}/members", owner, json=body), 409, "group_archived")
    assert len(wire.items(f"{school.path}/members", school["member"])) == 1
    assert wire.post(f"{school.path}/leave", school["member"]).status_code == 204


def test_members_are_added_and_removed_several_at_once(wire: Wire, school: School) -> None:
    owner, people = school["owner"], [wire.join(display_name=name) for name in ("Zoé", "Bob", "Bob")]
    ids = [person.id for person in people]
    added = wire.post(f"{school.path}/members", owner, json={"user_ids": [*ids, school["member"].id, ids[0]]})
    assert added.json == {"user_ids": sorted(ids), "members": 4}
    listed = wire.items(f"{school.path}/members", people[0], limit=1)
    assert [item["user"]["display_name"] for item in listed] == ["Ada", "Bob", "Bob", "Zoé"]
    assert [item["user"]["id"] for item in listed[1:3]] == sorted(ids[1:])
    assert all(set(item) == {"user", "joined_at"} for item in listed)
    removed = wire.post(f"{school.path}/members/remove", owner, json={"user_ids": [ids[0], ids[1], owner.id]})
    assert removed.json == {"user_ids": sorted(ids[:2]), "members": 2}
    assert_problem(wire.get(school.path, people[0]), 404, "not_found")


def test_with_one_unknown_learner_nobody_is_added(wire: Wire, school: School, root: Person) -> None:
    gone = wire.join()
    wire.patch(gone.path, root, json={"is_active": False})
    for unknown in (999_999, 2**63 - 1, gone.id):
        body = {"user_ids": [school["student"].id, unknown]}
        answer = wire.post(f"{school.path}/members", school["owner"], json=body)
        assert pointers(assert_problem(answer, 422, "validation_failed")) == {"/user_ids/1": "unknown_user"}
    assert wire.read(school.path, school["owner"])["members"] == 1


def test_groups_of_one_name_have_slugs_of_their_own(wire: Wire, school: School) -> None:
    owner, body = school["owner"], {"name": "Seconde 4", "kind": "team", "description": "d\nd", "is_open": False}
    made = wire.post("/api/groups", owner, json=body).json
    assert {name: made[name] for name in body} == body
    assert made["slug"].startswith("seconde-4-")
    assert wire.read(school.path, owner)["slug"] == "seconde-4"
    assert wire.post("/api/groups", owner, json={"name": "🌱🌱"}).json["slug"] == "class"
    for method, path in (("POST", "/api/groups"), ("PATCH", school.path)):
        taken = wire.open(method, path, owner, json={"name": "x", "slug": made["slug"]})
        assert_problem(taken, 409, "slug_taken")


def test_who_comes_and_goes_makes_no_edit_stale(wire: Wire, school: School) -> None:
    etag = wire.get(school.path, school["owner"]).headers["ETag"]
    wire.post("/api/groups/join", school["student"], json={"code": code_of(wire, school)})
    fresh = {"If-Match": etag}
    assert wire.patch(school.path, school["owner"], json={"name": "x"}, headers=fresh).status_code == 200
    assert_problem(wire.delete(school.path, school["owner"], headers=fresh), 412, "stale_edit")
    again = {"If-Match": wire.get(school.path, school["owner"]).headers["ETag"]}
    assert wire.delete(school.path, school["owner"], headers=again).status_code == 204
