"""What workshops cost in statements, whatever the length of a history, a list or a queue."""

from __future__ import annotations

import itertools
from typing import Any

from tests.controllers.counting import COMPLETION_STATEMENTS, COMPLETION_WITH_KEY, HISTORIES, grow
from tests.controllers.wire import Person, Wire
from tests.factories import make_actor
from tests.factories.workshops import enter, make_stay, make_workshop

# One locks and authenticates, one decides, the last one saves the event and queues the mail.
REGISTRATION_ROUND_TRIPS = 3
REGISTRATION_STATEMENTS = 4
REGISTRATION_WITH_KEY = 8


def test_registering_costs_the_same_at_any_length_and_however_many_wait(
    wire: Wire, veteran: Person, measure: Any
) -> None:
    full, keys = make_workshop(capacity=1), itertools.count()
    for length in HISTORIES:
        if length > 3:
            grow(veteran, length)
            enter(make_actor(), full)
        for one, expected in ((make_workshop(), {"registered"}), (full, {"registered", "waitlisted"})):
            path = f"/api/workshops/{one.id}/register"
            for headers, round_trips in (
                ({}, REGISTRATION_ROUND_TRIPS),
                ({"Idempotency-Key": f"key-{next(keys)}"}, REGISTRATION_WITH_KEY),
            ):
                with measure() as cost:
                    answer = wire.post(path, veteran, json={}, headers=headers)
                assert (answer.status_code, answer.json["status"] in expected) == (201, True)
                assert cost.counts == (round_trips, 0), "\n".join(cost.sql)
                if not headers:
                    assert cost.statements == REGISTRATION_STATEMENTS
                wire.delete(path, veteran)


def test_registering_costs_at_most_a_statement_more_than_completing() -> None:
    assert REGISTRATION_STATEMENTS <= COMPLETION_STATEMENTS + 1
    assert REGISTRATION_WITH_KEY <= COMPLETION_WITH_KEY + 1


def test_a_seat_costs_the_same_however_many_wait_for_it(wire: Wire, veteran: Person, measure: Any) -> None:
    costs = set()
    for waiting in (1, 4):
        workshop = make_workshop(capacity=1)
        path = f"/api/workshops/{workshop.id}/register"
        wire.post(path, veteran, json={})
        for _ in range(waiting):
            enter(make_actor(), workshop)
        with measure() as cost:
            assert wire.delete(path, veteran).status_code == 204
        costs.add(cost.counts)
    # It authenticates, locks, asks for the stay, the next and both lines, moves both stays and tells of each.
    assert costs == {(8, 0)}


def test_workshops_are_one_statement_however_many(wire: Wire, veteran: Person, measure: Any) -> None:
    for _ in range(3):
        for _ in range(4):
            make_stay(make_workshop(), veteran.actor)
        with measure() as cost:
            items = wire.read("/api/workshops?limit=100", veteran)["items"]
        assert all(item["mine"] for item in items)
        # The other one authenticates.
        assert cost.counts == (2, 0), "\n".join(cost.sql)
    # That somebody saw it is noted once a day.
    for noted in (1, 0):
        with measure() as cost:
            wire.read("/api/workshops/1", veteran)
        assert cost.counts == (2, noted)


def test_comments_are_one_statement_and_one_find_at_any_length(wire: Wire, measure: Any) -> None:
    workshop, root = make_workshop(), wire.admin()
    address = f"/api/workshops/{workshop.id}/comments"
    for length in (1, 5):
        for _ in range(length):
            assert wire.post(address, root, json={"text": "Hello"}).status_code == 201
        with measure() as cost:
            assert wire.read(f"{address}?limit=4", root)["items"]
        # The first statement authenticates.
        assert cost.counts == (2, 1)
        assert cost.mongo == ["find"]
