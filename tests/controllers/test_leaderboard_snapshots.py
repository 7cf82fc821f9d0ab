"""Published boards: closed periods only, unchangeable, and with a hash that anyone makes again from the answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import time_machine
from sqlalchemy.exc import DBAPIError

from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, make_challenge
from tests.relay.tools import assert_stores_agree, execute

WEEKLY = "/api/leaderboards/weekly"
PERIOD = {"period": "2026-W10"}


@pytest.fixture
def six(wire: Wire) -> list[Person]:
    """Six learners of one week, two of them equal, all delivered."""
    people = [wire.join(display_name=f"L{number}") for number in range(1, 7)]
    with time_machine.travel("2026-03-04T10:00:00Z", tick=False):
        for person, points in zip(people, (60, 50, 50, 30, 20, 10), strict=True):
            complete(person.actor, make_challenge(points=points))
    drain()
    return people


def freeze(wire: Wire, root: Person, **body: str) -> dict[str, Any]:
    answer = wire.post(f"{WEEKLY}/freeze", root, json=body or PERIOD)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def hash_made_again(pages: list[dict[str, Any]]) -> str:
    """Do what docs/leaderboards.md tells everybody to do."""
    places = [
        {"rank": i["rank"], "user_id": i["user"]["id"], "score": i["score"], "reached_at": i["reached_at"]}
        for page in pages
        for i in page["items"]
    ]
    document = {"board": pages[0]["board"], "period": pages[0]["period"], "places": places}
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()


def test_a_closed_period_is_published_with_a_hash(wire: Wire, six: list[Person], root: Person) -> None:
    snapshot = freeze(wire, root)
    assert (snapshot["board"], snapshot["period"], snapshot["places"]) == ("weekly", "2026-W10", 6)
    path = f"{WEEKLY}/snapshots/{snapshot['id']}"
    for limit in (2, 100):
        pages = list(wire.pages(path, root, limit))
        assert {name: pages[0][name] for name in snapshot} == snapshot
        assert hash_made_again(pages) == snapshot["sha256"]
    assert [item["user"]["id"] for item in wire.items(path, root)] == [person.id for person in six]
    assert wire.items(f"{WEEKLY}/snapshots", six[5]) == [snapshot]
    assert wire.items("/api/leaderboards/monthly/snapshots", six[5]) == []
    answer = wire.get(path, six[0])
    assert wire.get(path, six[0], headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_students_see_the_places_around_their_own_and_staff_all(wire: Wire, six: list[Person], root: Person) -> None:
    path = f"{WEEKLY}/snapshots/{freeze(wire, root)['id']}"
    head = wire.items(f"{WEEKLY}/snapshots", six[0])[0]

    def seen(who: Person) -> tuple[str, list[int]]:
        body = wire.read(path, who)
        assert {name: body[name] for name in head} == head
        assert body["next_cursor"] is None
        assert [item["user"]["id"] for item in body["items"]] == [six[item["rank"] - 1].id for item in body["items"]]
        return body["view"], [item["rank"] for item in body["items"]]

    assert seen(six[0]) == ("neighbours", [1, 2, 3, 4])
    assert seen(six[4]) == ("neighbours", [2, 3, 4, 5, 6])
    assert seen(wire.join()) == ("neighbours", [])
    assert seen(wire.join("examiner")) == ("full", [1, 2, 3, 4, 5, 6])
    problem = assert_problem(wire.get(f"{path}?cursor=WyJzbmFwc2hvdCIsMV0", six[0]), 422, "validation_failed")
    assert pointers(problem) == {"/cursor": "invalid_cursor"}
    wire.patch("/api/users/me", six[1], json={"is_listed": False})
    assert wire.read(path, six[0])["items"][1]["user"] == {"id": None, "display_name": None}
    assert wire.read(path, six[1])["items"][1]["user"]["id"] == six[1].id
    etag = wire.get(path, six[0]).headers["ETag"]
    wire.patch("/api/leaderboards/settings", root, json={"students_see": "full"})
    assert wire.get(path, six[0], headers={"If-None-Match": etag}).status_code == 200
    assert seen(six[0]) == ("full", [1, 2, 3, 4, 5, 6])
    assert hash_made_again(list(wire.pages(path, six[0], 4))) == head["sha256"]


def test_what_happens_later_changes_nothing_published(wire: Wire, six: list[Person], root: Person) -> None:
    with time_machine.travel("2026-03-05T10:00:00Z", tick=False):
        undone = complete(six[5].actor, make_challenge(points=100)).completion
    drain()
    snapshot = freeze(wire, root)
    path = f"{WEEKLY}/snapshots/{snapshot['id']}"
    before = wire.items(path, root)
    assert before[0]["user"]["id"] == six[5].id
    wire.post(f"{six[5].path}/completions/{undone.id}/revoke", root, json={"reason": "A test."})
    drain()
    assert wire.read(f"{WEEKLY}/me?period=2026-W10", six[5])["rank"] == 6
    assert wire.items(path, root) == before
    # Names are those of today, and those who hide have none; ids and scores stay.
    wire.patch("/api/users/me", six[5], json={"is_listed": False})
    wire.patch("/api/users/me", six[0], json={"nickname": "Best"})
    pages = list(wire.pages(path, root, 100))
    shown = [item["user"]["display_name"] for item in pages[0]["items"]]
    assert shown == [None, "Best", "L2", "L3", "L4", "L5"]
    assert hash_made_again(pages) == snapshot["sha256"]
    assert_stores_agree()


def test_only_once_and_only_what_is_over_everywhere(wire: Wire, six: list[Person], root: Person) -> None:
    freeze(wire, root)
    assert_problem(wire.post(f"{WEEKLY}/freeze", root, json=PERIOD), 409, "already_frozen")
    for at, status in (("2026-03-17T11:59:59Z", 409), ("2026-03-17T12:00:00Z", 201)):
        with time_machine.travel(at, tick=False):
            boss = Person(root.actor, root.email, wire.token(root.email))
            answer = wire.post(f"{WEEKLY}/freeze", boss, json={"period": "2026-W11"})
            assert answer.status_code == status
            assert status == 201 or answer.json["code"] == "period_open"
    # A board of all time is never closed.
    for board in ("global", "category:energy"):
        path = f"/api/leaderboards/{board}/freeze"
        assert_problem(wire.post(path, root, json={"period": "all"}), 409, "period_open")
    for wrong in ("2026-11", "x", "2026-W54"):
        problem = assert_problem(wire.post(f"{WEEKLY}/freeze", root, json={"period": wrong}), 422, "validation_failed")
        assert pointers(problem) == {"/period": "unknown_period"}
    assert_problem(wire.post("/api/leaderboards/daily/freeze", root, json=PERIOD), 404, "not_found")
    for who in (six[0], wire.join("instructor"), wire.join("examiner")):
        assert_problem(wire.post(f"{WEEKLY}/freeze", who, json=PERIOD), 403, "forbidden")
    for path in (f"{WEEKLY}/snapshots/999", "/api/leaderboards/monthly/snapshots/1", "/api/leaderboards/x/snapshots"):
        assert_problem(wire.get(path, root), 404, "not_found")


def test_not_while_events_of_the_period_are_on_their_way(wire: Wire, six: list[Person], root: Person) -> None:
    complete(six[0].actor, make_challenge())
    freeze(wire, root, period="2026-W09")
    with time_machine.travel("2026-03-04T10:00:00Z", tick=False):
        undone = complete(six[0].actor, make_challenge()).completion
    answer = wire.post(f"{WEEKLY}/freeze", root, json=PERIOD)
    assert_problem(answer, 409, "events_pending")
    assert answer.headers["Retry-After"] == "5"
    drain()
    wire.post(f"{six[0].path}/completions/{undone.id}/revoke", root, json={"reason": "A test."})
    assert_problem(wire.post(f"{WEEKLY}/freeze", root, json=PERIOD), 409, "events_pending")
    drain()
    freeze(wire, root)
    assert_stores_agree()


def test_a_published_board_cannot_be_changed_unseen(wire: Wire, six: list[Person], root: Person) -> None:
    freeze(wire, root)
    for statement in (
        "UPDATE leaderboard_places SET score = 1",
        "DELETE FROM leaderboard_places",
        "TRUNCATE leaderboard_places",
        "UPDATE leaderboard_snapshots SET sha256 = ''",
        "DELETE FROM leaderboard_snapshots",
    ):
        with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    execute("UPDATE leaderboard_places SET score = score + 1 WHERE rank = 6")
    db.session.remove()
    (finding,) = check_stores().findings
    assert (finding.invariant, finding.subject) == ("published board", "weekly/2026-W10")
