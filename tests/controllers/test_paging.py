"""Lists over HTTP: every list has the same manners."""

from __future__ import annotations

import base64
import json

import pytest

from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, make_badge, make_challenge, make_goal, make_group
from tests.factories.workshops import make_workshop

LISTS = {
    "challenges": "/api/challenges",
    "submissions": "/api/submissions",
    "users": "/api/users",
    "badge catalogue": "/api/badges",
    "board": "/api/leaderboards/global",
    "history": "/api/users/{id}/history",
    "awards": "/api/users/{id}/badges",
    "score": "/api/users/{id}/score",
    "groups": "/api/groups",
    "members": "/api/groups/1/members",
    "finishers": "/api/challenges/1/results",
    "rules": "/api/badges/edited/rules",
    "findings": "/api/rules/lint",
    "workshops": "/api/workshops",
}


def cursor_of(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


@pytest.fixture
def root(wire: Wire) -> Person:
    """An administrator in a world where every list has five items or more; half of it is delivered."""
    root = wire.admin()
    make_goal({"count": {"event": "challenge.completed", "at_least": 1}})
    learners = [wire.join() for _ in range(5)]
    make_badge("edited")
    for number in range(1, 6):
        make_badge(f"badge_{number}", at_least=number)
        make_badge(f"twin_{number}", at_least=number)
        wire.patch("/api/badges/edited", root, json={"criteria": {"points": {"at_least": 5000 + number}}})
        make_group(*(learner.actor for learner in learners))
        make_workshop(root.actor)
    for number, learner in enumerate(learners):
        complete(learner.actor, make_challenge(validation="approval"))
        complete(learner.actor, make_challenge(points=number + 1))
        complete(root.actor, make_challenge())
        if number == 2:
            drain()
    return root


def test_pages_together_are_the_list(wire: Wire, root: Person) -> None:
    for address in LISTS.values():
        path = address.format(id=root.id)
        whole = wire.read(f"{path}?limit=100", root)
        assert whole["next_cursor"] is None
        assert len(whole["items"]) >= 5
        for limit in (1, 2, 3, len(whole["items"]), len(whole["items"]) + 1):
            pages = list(wire.pages(path, root, limit))
            assert [item for page in pages for item in page["items"]] == whole["items"]
            assert all(len(page["items"]) == limit for page in pages[:-1])
            assert pages[-1]["items"]
        assert wire.read(path, root)["items"] == whole["items"][:20]


def test_a_cursor_of_another_list_is_refused(wire: Wire, root: Person) -> None:
    cursors = {
        other: wire.read(f"{path.format(id=root.id)}?limit=1", root)["next_cursor"] for other, path in LISTS.items()
    }
    for name, address in LISTS.items():
        path = address.format(id=root.id)
        for other, cursor in cursors.items():
            answer = wire.get(f"{path}?cursor={cursor}", root)
            if other == name:
                assert answer.status_code == 200
            else:
                problem = assert_problem(answer, 422, "validation_failed")
                assert pointers(problem) == {"/cursor": "invalid_cursor"}


def test_a_forged_cursor_is_refused(wire: Wire, root: Person) -> None:
    for address in LISTS.values():
        path = address.format(id=root.id)
        genuine = wire.read(f"{path}?limit=1", root)["next_cursor"]
        order, *values = json.loads(base64.urlsafe_b64decode(genuine + "=" * (-len(genuine) % 4)))
        forged = [cursor_of(order), cursor_of(order, *values, 1), cursor_of(), cursor_of(order, *[None] * len(values))]
        forged += [
            cursor_of(order, *[wrong] * len(values)) for wrong in (2**63, -(2**63) - 1, 10**30, 1.5, True, [], {})
        ]
        forged += [cursor_of(order, *[f"{value}\0" for value in values]), cursor_of(order, *["\ud800"] * len(values))]
        forged += ["x", "%00", "%FF", "a" * 1000, "=", "%20", "e30", "MQ", cursor_of(*[[]] * 300), "W10%3D", "é"]
        for cursor in forged:
            assert_problem(wire.get(f"{path}?cursor={cursor}", root), 422, "validation_failed")
        for wrong in ("", "x" * 1001):
            problem = assert_problem(wire.get(f"{path}?cursor={wrong}", root), 422, "validation_failed")
            assert list(pointers(problem)) == ["/cursor"]


def test_limits(wire: Wire, root: Person) -> None:
    for address in LISTS.values():
        path = address.format(id=root.id)
        for wrong in ("0", "-1", "101", "1" + "0" * 30, "9" * 5000, "1.0", "1e1", "x", "", "NaN", "0x10", "٣", "null"):
            problem = assert_problem(wire.get(f"{path}?limit={wrong}", root), 422, "validation_failed")
            assert list(pointers(problem)) == ["/limit"], wrong
        for wrong in ("limit=1&limit=1", "limit=1&cursor=&cursor=", "page=2", "offset=3", "limit[]=1", "LIMIT=3"):
            assert_problem(wire.get(f"{path}?{wrong}", root), 422, "validation_failed")
        assert len(wire.read(f"{path}?limit=1", root)["items"]) == 1


def test_a_list_that_grows_is_neither_repeated_nor_skipped(wire: Wire, root: Person) -> None:
    first = wire.read(f"{root.path}/history?limit=3", root)
    before = wire.items(f"{root.path}/history", root)
    complete(root.actor, make_challenge())
    rest = wire.items(f"{root.path}/history?cursor={first['next_cursor']}", root)
    assert first["items"] + rest == before


def test_a_cursor_outlives_the_item_it_was_made_of(wire: Wire, root: Person) -> None:
    first = wire.read("/api/challenges?limit=2", root)
    last, following = first["items"][1]["id"], wire.read("/api/challenges?limit=3", root)["items"][2]["id"]
    assert wire.delete(f"/api/challenges/{last}", root).status_code == 204
    rest = wire.read(f"/api/challenges?limit=1&cursor={first['next_cursor']}", root)
    assert [item["id"] for item in rest["items"]] == [following]
