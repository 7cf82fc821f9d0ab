"""What a request costs in statements, whatever the length of the history behind it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from rebootcamp.core.clock import now
from rebootcamp.services import challenges
from tests.controllers.counting import (
    COMPLETION_ROUND_TRIPS,
    COMPLETION_STATEMENTS,
    COMPLETION_WITH_KEY,
    HISTORIES,
    Cost,
    grow,
)
from tests.controllers.wire import Person, Wire
from tests.factories import admin, complete, curve, drain, judge_the_past, make_badge, make_challenge, make_goal
from tests.factories.rules import rule_of


def test_progress_is_one_statement_and_one_find_at_any_length(wire: Wire, veteran: Person, measure: Any) -> None:
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
        with measure() as behind:
            body = wire.read(f"{veteran.path}/progress", veteran)
        assert (body["consistency"]["seq"], len(body["recent"])) == (length, min(length, 20))
        # A long gap is not folded: a second statement then tells the whole story at a fixed price.
        assert behind.counts == (1, 1)
        drain()
        with measure() as steady:
            body = wire.read(f"{veteran.path}/progress", veteran)
        assert body["consistency"] == {"seq": length, "projected_seq": length, "degraded": False}
        assert steady.counts == (1, 1)
        assert steady.mongo == ["find"]


def test_an_unchanged_progress_is_one_statement_and_no_find(wire: Wire, veteran: Person, measure: Any) -> None:
    for is_delivered in (False, True):
        etag = wire.get(f"{veteran.path}/progress", veteran).headers["ETag"]
        with measure() as cost:
            answer = wire.get(f"{veteran.path}/progress", veteran, headers={"If-None-Match": etag})
        assert (answer.status_code, cost.counts) == (304, (1, 0))
        for name in ("history", "badges"):
            etag = wire.get(f"{veteran.path}/{name}", veteran).headers["ETag"]
            with measure() as cost:
                answer = wire.get(f"{veteran.path}/{name}", veteran, headers={"If-None-Match": etag})
            assert (answer.status_code, cost.counts) == (304, (2, 0))
        if not is_delivered:
            drain()


@pytest.mark.parametrize(("name", "finds_asked"), [("progress", 1), ("activity", 0)])
def test_pictures_cost_the_same_at_any_length(
    wire: Wire, veteran: Person, measure: Any, name: str, finds_asked: int
) -> None:
    shared = wire.post("/api/users/me/share-links", veteran, json={}).json["urls"][name]
    wire.get(shared)
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
        for path, who in ((f"{veteran.path}/{name}.svg", veteran), (shared, None)):
            with measure() as cost:
                etag = wire.get(path, who).headers["ETag"]
            # The first tells whether the reader may see it and what it depends on.
            assert cost.counts == (2, finds_asked)
            with measure() as cost:
                assert wire.get(path, who, headers={"If-None-Match": etag}).status_code == 304
            assert cost.counts == (1, 0)


def test_a_refused_reader_costs_no_more(wire: Wire, veteran: Person, measure: Any) -> None:
    stranger = wire.join()
    with measure() as cost:
        assert wire.get(f"{veteran.path}/progress", stranger).status_code == 404
    assert cost.counts == (1, 1)
    with measure() as cost:
        assert wire.get(f"{veteran.path}/progress").status_code == 401
        assert wire.get(f"{veteran.path}/progress", headers={"Authorization": "Bearer x.y.z"}).status_code == 401
    assert cost.counts == (0, 0)


def test_completing_costs_the_same_at_any_length(wire: Wire, veteran: Person, measure: Any) -> None:
    keys = (f"key-{number}" for number in itertools.count())

    def cost_of(headers: dict[str, str]) -> Cost:
        path = f"/api/challenges/{make_challenge().id}/complete"
        # Adding a challenge leaves nothing to reload, so the first completion costs what all others do.
        with measure() as cost:
            assert wire.post(path, veteran, json={}, headers=headers).status_code == 201
        return cost

    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
        plain, with_key = cost_of({}), cost_of({"Idempotency-Key": next(keys)})
        assert plain.counts == (COMPLETION_ROUND_TRIPS, 0), "\n".join(plain.sql)
        assert plain.statements == COMPLETION_STATEMENTS
        assert with_key.counts == (COMPLETION_WITH_KEY, 0), "\n".join(with_key.sql)


def test_timed_challenges_cost_a_statement_when_one_is_reached(wire: Wire, veteran: Person, measure: Any) -> None:
    for at_least in (2, 4, 50, 60):
        make_goal({"count": {"event": "challenge.completed", "at_least": at_least}})
    complete(veteran.actor, make_challenge())
    for expected in (0, 1, 0):
        path = f"/api/challenges/{make_challenge().id}/complete"
        with measure() as cost:
            answer = wire.post(path, veteran, json={})
        assert len(answer.json["rewards"]["goals"]) == expected
        assert cost.statements == COMPLETION_STATEMENTS + expected, "\n".join(cost.sql)
        assert not cost.mongo


def test_reading_a_challenge_leaves_the_rules_where_they_are(wire: Wire, veteran: Person, measure: Any) -> None:
    goal = make_goal()
    challenges.archive_challenge(admin(), make_goal().id, None)
    complete(veteran.actor, make_challenge())
    wire.read(f"/api/challenges/{goal.id}", veteran)
    path = f"/api/challenges/{make_challenge().id}/complete"
    with measure() as cost:
        assert wire.post(path, veteran, json={}).status_code == 201
    assert cost.statements == COMPLETION_STATEMENTS, "\n".join(cost.sql)


def test_a_badge_that_a_challenge_gives_costs_no_statement(wire: Wire, veteran: Person, measure: Any) -> None:
    make_badge("night_watch", criteria={"points": {"at_least": 100_000}})
    complete(veteran.actor, make_challenge())
    # The names of badges are read once for each version of the rules.
    wire.read(f"{veteran.path}/score", veteran)
    for promised in (None, "night_watch"):
        path = f"/api/challenges/{make_challenge(reward_badge=promised).id}/complete"
        with measure() as cost:
            answer = wire.post(path, veteran, json={})
        assert len(answer.json["rewards"]["badges"]) == (promised is not None)
        assert cost.statements == COMPLETION_STATEMENTS, "\n".join(cost.sql)
        assert cost.counts == (COMPLETION_ROUND_TRIPS, 0)


def test_another_curve_is_loaded_once(wire: Wire, root: Person, veteran: Person, measure: Any) -> None:
    wire.put("/api/levels", root, json=curve(0, 10))
    for expected in (2, 1):
        with measure() as cost:
            assert wire.read(f"{veteran.path}/progress", veteran)["level"]["number"] == 2
        assert cost.counts == (expected, 1)


def test_why_a_level_is_one_statement_at_any_length(wire: Wire, veteran: Person, measure: Any) -> None:
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
        with measure() as cost:
            wire.read(f"{veteran.path}/level", veteran)
        # The other one authenticates.
        assert cost.counts == (2, 0)


def test_calendar_is_read_once_for_each_version(wire: Wire, veteran: Person, root: Person, measure: Any) -> None:
    rest = {"starts_on": str(now().date() + timedelta(days=9)), "weekday": 7, "translations": {"en": "S", "fr": "D"}}
    assert wire.post("/api/calendar", root, json=rest).status_code == 201
    costs = []
    for _ in range(3):
        path = f"/api/challenges/{make_challenge().id}/complete"
        with measure() as cost:
            assert wire.post(path, veteran, json={}).status_code == 201
        costs.append(len(cost.sql) - COMPLETION_ROUND_TRIPS)
    assert costs == [1, 0, 0]


def test_streak_and_what_learners_do_to_it_cost_the_same_at_any_length(
    wire: Wire, veteran: Person, measure: Any
) -> None:
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
        with measure() as read:
            wire.read(f"{veteran.path}/streak", veteran)
        with measure() as refused:
            wire.post("/api/users/me/freezes", veteran, json={"on": str(now().date() + timedelta(days=2))})
        assert (read.counts, refused.counts) == ((3, 0), (2, 0))


def test_completing_costs_the_same_under_two_hundred_rules(wire: Wire, veteran: Person, measure: Any) -> None:
    for number in range(200):
        make_badge(f"rule_{number}", criteria=rule_of(number))
    judge_the_past()
    # The first completion of a process reads the rules, all others find them read.
    complete(veteran.actor, make_challenge())
    path = f"/api/challenges/{make_challenge().id}/complete"
    with measure() as cost:
        assert wire.post(path, veteran, json={}).status_code == 201
    assert cost.counts == (COMPLETION_ROUND_TRIPS, 0), "\n".join(cost.sql)


@pytest.mark.parametrize("name", ["history", "badges", "score"])
def test_lists_cost_the_same_at_any_length(wire: Wire, veteran: Person, measure: Any, name: str) -> None:
    costs = set()
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
            drain()
        with measure() as cost:
            wire.read(f"{veteran.path}/{name}?limit=2", veteran)
        costs.add(cost.counts)
    assert len(costs) == 1
    ((sql, mongo),) = costs
    assert sql <= 6
    assert mongo <= 1


@pytest.mark.parametrize("path", ["/api/challenges", "/api/badges", "/api/leaderboards/global", "/api/users"])
def test_lists_cost_the_same_for_any_number_of_items(wire: Wire, root: Person, measure: Any, path: str) -> None:
    costs = []
    for _ in range(2):
        for _ in range(3):
            make_badge(f"b{len(costs)}{_}")
            complete(wire.join().actor, make_challenge())
        with measure() as cost:
            assert wire.read(path, root)["items"]
        costs.append(cost.counts)
    assert costs[0] == costs[1]
    assert costs[0][0] <= 2


def test_badges_that_ask_for_badges_cost_the_same_for_any_number(wire: Wire, root: Person, measure: Any) -> None:
    make_badge("first_step")
    costs = set()
    for number in range(1, 4):
        make_badge(f"next_{number}", criteria={"badge": "first_step"})
        with measure() as cost:
            assert len(wire.read("/api/badges", root)["items"]) == number + 1
        costs.add(cost.counts)
    assert len(costs) == 1


def test_boards_cost_one_statement_of_their_own(wire: Wire, veteran: Person, root: Person, measure: Any) -> None:
    """The caller's row is one more, and what students may see another; what waits costs no statement."""
    expected = {("me", veteran): 2, ("", veteran): 3, ("?around=me", veteran): 3, ("", root): 2, ("me", root): 2}
    for is_delivered in (False, True):
        for board in ("global", "weekly", "category:energy"):
            for (part, who), statements in expected.items():
                path = f"/api/leaderboards/{board}" + (f"/{part}" if part == "me" else part)
                with measure() as cost:
                    wire.read(path, who)
                assert cost.counts == (statements, 0), (path, cost.sql)
        if not is_delivered:
            drain()
