"""Leaderboards over HTTP."""

from __future__ import annotations

import pytest
import time_machine

from rebootcamp.services import groups
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import complete, drain, make_badge, make_challenge, make_group

BOARD, ME = "/api/leaderboards/global", "/api/leaderboards/global/me"
PLACE = {"rank", "user", "score", "reached_at"}
MINE = {"board", "period", "rank", "score", "reached_at", "neighbours", "why"}


def score(who: Person, points: int, at: str) -> None:
    with time_machine.travel(at, tick=False):
        complete(who.actor, make_challenge(points=points))


@pytest.fixture
def people(wire: Wire) -> list[Person]:
    """Six learners by rank: a tie on 30 decided by the moment, a tie on 20 at one moment decided by the id."""
    # The one who was first to 30 joined later, so that the id alone would order them wrongly.
    joined = {number: wire.join(display_name=f"L{number}") for number in (0, 2, 1, 3, 4, 5, 6)}
    people = [joined[number] for number in range(7)]
    score(people[3], 20, "2026-03-01T10:00:00Z")
    score(people[4], 20, "2026-03-01T10:00:00Z")
    score(people[2], 30, "2026-03-02T10:00:01Z")
    score(people[1], 30, "2026-03-02T10:00:00Z")
    score(people[0], 50, "2026-03-03T10:00:00Z")
    score(people[5], 5, "2026-03-01T09:00:00Z")
    return people


@pytest.fixture
def teacher(wire: Wire) -> Person:
    """Somebody who sees whole boards and stands on none."""
    return wire.join("instructor")


def ids(items: list[dict[str, object]]) -> list[object]:
    return [item["user"]["id"] for item in items]


@pytest.mark.parametrize("delivered", [False, True])
def test_the_board_is_ordered_with_one_tie_rule(
    wire: Wire, people: list[Person], teacher: Person, delivered: bool
) -> None:
    if delivered:
        drain()
    body = wire.read(BOARD, teacher)
    assert set(body) == {"board", "period", "view", "items", "next_cursor"}
    assert (body["board"], body["period"], body["view"], body["next_cursor"]) == ("global", "all", "full", None)
    assert all(set(item) == PLACE for item in body["items"])
    assert [item["rank"] for item in body["items"]] == [1, 2, 3, 4, 5, 6]
    assert ids(body["items"]) == [person.id for person in people[:6]]
    assert body["items"][1] == {
        "rank": 2,
        "user": {"id": people[1].id, "display_name": "L1"},
        "score": 30,
        "reached_at": "2026-03-02T10:00:00Z",
    }


@pytest.mark.parametrize("delivered", [False, True])
def test_ranks_continue_over_pages(wire: Wire, people: list[Person], teacher: Person, delivered: bool) -> None:
    if delivered:
        drain()
    whole = wire.read(BOARD, teacher)["items"]
    assert [wire.items(BOARD, teacher, limit=limit) for limit in (1, 2, 3, 6)] == [whole] * 4


def test_ranks_of_a_later_page_are_those_of_now(wire: Wire, people: list[Person], teacher: Person) -> None:
    first = wire.read(f"{BOARD}?limit=2", teacher)
    complete(people[6].actor, make_challenge(points=1000))
    rest = wire.read(f"{BOARD}?limit=2&cursor={first['next_cursor']}", teacher)
    assert (ids(rest["items"]), [item["rank"] for item in rest["items"]]) == ([people[2].id, people[3].id], [4, 5])


def test_a_write_shows_at_once_although_the_relay_lags(wire: Wire, people: list[Person]) -> None:
    drain()
    make_badge("first_step", criteria={"points": {"at_least": 55}}, points=100)
    complete(people[5].actor, make_challenge(points=50))
    top = wire.read(BOARD, people[5])["items"][0]
    assert (top["user"]["id"], top["score"]) == (people[5].id, 155)
    mine = wire.read(ME, people[5])
    assert (mine["rank"], mine["score"]) == (1, 155)
    drain()
    assert wire.read(ME, people[5]) == mine
    assert wire.read(f"{people[5].path}/progress", people[5])["score"]["total"] == 155


@pytest.mark.parametrize("delivered", [False, True])
def test_me_stands_among_neighbours(wire: Wire, people: list[Person], teacher: Person, delivered: bool) -> None:
    if delivered:
        drain()
    board = wire.read(BOARD, teacher)["items"]
    for index, person in enumerate(people[:6]):
        mine = wire.read(ME, person)
        assert set(mine) == MINE
        assert (mine["board"], mine["rank"]) == ("global", index + 1)
        assert (mine["score"], mine["reached_at"]) == (board[index]["score"], board[index]["reached_at"])
        assert mine["neighbours"] == board[max(0, index - 3) : index + 4]
    nobody = wire.read(ME, people[6])
    assert nobody.pop("why")["next"] is None
    assert nobody == {**dict.fromkeys(MINE - {"why"}), "board": "global", "period": "all", "score": 0, "neighbours": []}


def test_alone_on_the_board(wire: Wire, ada: Person) -> None:
    assert wire.read(BOARD, ada)["items"] == []
    complete(ada.actor, make_challenge())
    mine = wire.read(ME, ada)
    assert (mine["rank"], ids(mine["neighbours"])) == (1, [ada.id])


@pytest.mark.parametrize("delivered", [False, True])
def test_the_suspended_leave_no_gap(
    wire: Wire, people: list[Person], root: Person, teacher: Person, delivered: bool
) -> None:
    if delivered:
        drain()
    assert wire.patch(people[1].path, root, json={"is_active": False}).status_code == 200
    remaining = [people[index].id for index in (0, 2, 3, 4, 5)]
    items = wire.items(BOARD, teacher, limit=2)
    assert (ids(items), [item["rank"] for item in items]) == (remaining, [1, 2, 3, 4, 5])
    assert wire.read(ME, people[2])["rank"] == 2
    assert_problem(wire.get(ME, people[1]), 401, "unauthenticated")
    wire.patch(people[1].path, root, json={"is_active": True})
    assert len(wire.items(BOARD, teacher)) == 6


def test_only_known_boards_answer(wire: Wire, ada: Person) -> None:
    for board in ("local", "Global", "global%20", "%F0%9F%8F%85", "x" * 2000):
        for path in (f"/api/leaderboards/{board}", f"/api/leaderboards/{board}/me"):
            assert_problem(wire.get(path, ada), 404, "not_found")
    for path in (BOARD, ME):
        assert_problem(wire.get(path), 401, "unauthenticated")
        assert_problem(wire.get(f"{path}?period=2026-11", ada), 422, "validation_failed")
        assert_problem(wire.get(f"{path}?season=1", ada), 422, "validation_failed")
    assert_problem(wire.get(f"{ME}?limit=3", ada), 422, "validation_failed")


def test_a_group_ranks_its_members_among_themselves(wire: Wire, people: list[Person], teacher: Person) -> None:
    members = people[1:3]
    group = make_group()
    groups.add_members(wire.admin().actor, group, [member.id for member in members])
    board = f"/api/leaderboards/group:{group}"
    everybody = [place["user"]["id"] for place in wire.read("/api/leaderboards/global", teacher)["items"]]
    for period in ("", "?period=2026-03", "?period=2026-spring"):
        found = wire.read(f"{board}{period}", teacher)
        assert found["board"] == f"group:{group}"
        ranked = [(place["rank"], place["user"]["id"]) for place in found["items"]]
        assert ranked == list(enumerate([who for who in everybody if who in {m.id for m in members}], 1))
    mine = wire.read(f"{board}/me", members[0])
    assert {place["user"]["id"] for place in mine["neighbours"]} == {member.id for member in members}
    assert_problem(wire.get(board, people[0]), 404, "not_found")
    # Staff may read the board; with points of their own they are on the global one, not on this.
    complete(teacher.actor, make_challenge())
    for _ in ("pending", "delivered"):
        assert wire.read("/api/leaderboards/global/me", teacher)["rank"] is not None
        assert [wire.read(f"{board}/me", teacher)[name] for name in ("rank", "score", "neighbours")] == [None, 0, []]
        assert wire.read(f"{board}?around=me", teacher)["items"] == []
        drain()
    assert_problem(wire.get(f"{board}?period=2026-13", teacher), 422, "validation_failed")
    assert_problem(wire.post(f"{board}/freeze", wire.admin(), json={"period": "2026-03"}), 404, "not_found")
    for name in ("group:", "group:0", "group:x", "group:99999999999999999999", "group:999"):
        assert_problem(wire.get(f"/api/leaderboards/{name}", teacher), 404, "not_found")


def test_whoever_left_a_group_is_on_its_board_no_more(wire: Wire, people: list[Person], teacher: Person) -> None:
    group = make_group(*[one.actor for one in people[:4]])
    board = f"/api/leaderboards/group:{group}"
    before = [place["user"]["id"] for place in wire.read(board, teacher)["items"]]
    assert {one.id for one in people[:4]} == set(before)
    gone = next(one for one in people if one.id == before[0])
    groups.remove_members(wire.admin().actor, group, [gone.id])
    for _ in ("delivered", "pending"):
        found = wire.read(board, teacher)["items"]
        assert [(place["rank"], place["user"]["id"]) for place in found] == list(enumerate(before[1:], 1))
        last = next(one for one in people if one.id == before[-1])
        assert wire.read(f"{board}/me", last)["rank"] == 3
        assert_problem(wire.get(board, gone), 404, "not_found")
        complete(gone.actor, make_challenge(points=500))
