"""Finding workshops over HTTP: filters, dates, words, and what each says of the caller's own registration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from rebootcamp.core import clock
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import make_actor
from tests.factories.workshops import make_stay, make_workshop

PATH = "/api/workshops"


@pytest.fixture
def trainer(wire: Wire) -> Person:
    return wire.join("instructor", display_name="Ms Roux", timezone="Europe/Paris")


def ids(wire: Wire, who: Person, query: str = "") -> list[int]:
    return [item["id"] for item in wire.items(f"{PATH}{query}", who)]


def test_the_list_shows_what_is_not_over_by_its_start(wire: Wire, trainer: Person, ada: Person) -> None:
    now = clock.now()
    later = [
        make_workshop(trainer.actor, starts_at=now + timedelta(days=day), ends_at=now + timedelta(days=9)).id
        for day in (3, 1, 2, 1)
    ]
    over = make_workshop(trainer.actor, starts_at=now - timedelta(days=2), ends_at=now - timedelta(seconds=1)).id
    running = make_workshop(trainer.actor, starts_at=now - timedelta(days=1), ends_at=now + timedelta(hours=1)).id
    in_order = [running, later[1], later[3], later[2], later[0]]
    assert ids(wire, ada) == in_order
    for limit in (1, 2, 4):
        assert [item["id"] for item in wire.items(PATH, ada, limit=limit)] == in_order
    assert ids(wire, ada, "?from=2000-01-01") == [over, *in_order]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?from=2027-03-02", "bc"),
        ("?from=2027-03-02&to=2027-03-02", "b"),
        ("?to=2027-03-01", "a"),
        ("?from=2027-03-02T22:59:59Z", "bc"),
        ("?from=2027-03-02T23:00:00Z", "c"),
        ("?to=2027-03-03T00:00:00%2B01:00", "ab"),
        ("?from=2027-03-04", ""),
    ],
)
def test_dates_are_those_of_the_callers_calendar(wire: Wire, ada: Person, query: str, expected: str) -> None:
    """In Paris, where the day begins an hour before that of UTC."""
    at = clock.parse
    a = make_workshop(starts_at=at("2027-03-01T22:00:00Z"), ends_at=at("2027-03-01T23:00:00Z"))
    b = make_workshop(starts_at=at("2027-03-01T23:00:00Z"), ends_at=at("2027-03-02T23:00:00Z"))
    c = make_workshop(starts_at=at("2027-03-02T23:00:00Z"), ends_at=at("2027-03-03T10:00:00Z"))
    names = {a.id: "a", b.id: "b", c.id: "c"}
    assert "".join(names[found] for found in ids(wire, ada, query)) == expected


@pytest.mark.parametrize("query", ["from=yesterday", "from=2027-03-01T10:00:00", "to=0001-01-01", "to=9999-12-31"])
def test_moments_are_read_strictly(wire: Wire, ada: Person, query: str) -> None:
    problem = assert_problem(wire.get(f"{PATH}?{query}", ada), 422, "validation_failed")
    assert list(pointers(problem)) == [f"/{query.partition('=')[0]}"]


def test_filters(wire: Wire, trainer: Person, ada: Person) -> None:
    by_tag = make_workshop(tags=["vélo", "low tech"]).id
    closed = make_workshop(status="closed").id
    own = make_workshop(trainer.actor).id
    assert ids(wire, ada, "?tag=V%C3%89LO") == ids(wire, ada, "?tag=%20low%20%20tech") == [by_tag]
    assert ids(wire, ada, "?status=closed") == [closed]
    assert ids(wire, ada, f"?trainer={trainer.id}") == [own]
    assert ids(wire, ada, f"?trainer={trainer.id}&tag=x") == []
    assert ids(wire, ada, "?status=published") == [by_tag, own]


@pytest.mark.parametrize("q", ["velo", "VÉLO", "ve\u0301lo", "bike", "étang", "ETANG", "SALLE", "low tech", "100%_\\"])
def test_searching_minds_neither_case_nor_accents(wire: Wire, ada: Person, q: str) -> None:
    texts = {"en": {"title": "Bike", "description": "100%_\\"}, "fr": {"title": "Vélo", "description": "E\u0301tang"}}
    found = make_workshop(translations=texts, place="Salle 3", tags=["low tech"])
    make_workshop(place=None)
    assert [item["id"] for item in wire.read(PATH, ada, query_string={"q": q})["items"]] == [found.id]


def test_drafts_are_listed_to_who_runs_them_when_asked_for(wire: Wire, trainer: Person, ada: Person) -> None:
    own, other = make_workshop(trainer.actor, status="draft").id, make_workshop(status="draft").id
    assert ids(wire, trainer) == ids(wire, ada, "?status=draft") == []
    assert ids(wire, trainer, "?status=draft") == [own]
    assert ids(wire, wire.admin(), "?status=draft") == [own, other]
    assert ids(wire, wire.join("examiner"), "?status=draft") == []


def test_each_workshop_tells_my_own_registration(wire: Wire, ada: Person) -> None:
    seat, wait, left, other = (make_workshop(capacity=2) for _ in range(4))
    until = clock.now() + timedelta(hours=5)
    make_stay(seat, ada.actor)
    make_stay(wait, make_actor())
    make_stay(wait, make_actor(), status="waitlisted", offered_until=until)
    make_stay(wait, make_actor(), status="waitlisted")
    make_stay(wait, ada.actor, status="waitlisted")
    make_stay(wait, make_actor(), status="waitlisted")
    make_stay(left, ada.actor, status="cancelled")
    found = {item["id"]: item for item in wire.items(PATH, ada)}
    assert found[seat.id]["mine"] == {"status": "registered", "position": None, "offered_until": None}
    assert found[wait.id]["mine"] == {"status": "waitlisted", "position": 3, "offered_until": None}
    assert found[left.id]["mine"] is found[other.id]["mine"] is None
    assert ids(wire, ada, "?mine=true") == [seat.id, wait.id]
    offered = make_workshop(capacity=1)
    make_stay(offered, ada.actor, status="waitlisted", offered_until=until)
    mine = wire.read(f"{PATH}/{offered.id}", ada)["mine"]
    assert mine == {"status": "waitlisted", "position": 1, "offered_until": clock.iso(until)}


def test_seats_and_ratings(wire: Wire, ada: Person) -> None:
    workshop = make_workshop(capacity=3)
    path = f"{PATH}/{workshop.id}"
    for rating in (5, 4, 4, None):
        make_stay(workshop, make_actor(), counted=False, status="attended", rating=rating)
    make_stay(workshop, make_actor(), counted=False, rating=1)
    assert wire.read(path, ada)["rating"] == {"average": 4.33, "count": 3}
    make_stay(workshop, make_actor())
    assert (wire.read(path, ada)["seats_left"], wire.read(path, ada)["waiting"]) == (2, 0)
    make_stay(workshop, make_actor(), status="waitlisted")
    assert (wire.read(path, ada)["seats_left"], wire.read(path, ada)["waiting"]) == (0, 1)


def test_registration_is_open_within_its_window(wire: Wire, ada: Person) -> None:
    now = clock.now()
    opens, closes, starts = (now + timedelta(hours=hours) for hours in (1, 2, 3))
    window = {"registration_opens_at": opens, "registration_closes_at": closes}
    limited = make_workshop(starts_at=starts, ends_at=now + timedelta(hours=9), **window).id
    free = make_workshop(starts_at=starts, ends_at=now + timedelta(hours=9)).id
    closed = make_workshop(starts_at=starts, ends_at=now + timedelta(hours=9), status="closed").id

    def is_open(at: Any) -> list[bool]:
        with time_machine.travel(at, tick=False):
            who = Person(ada.actor, ada.email, wire.token(ada.email))
            return [wire.read(f"{PATH}/{i}", who)["registration"]["is_open"] for i in (limited, free, closed)]

    assert is_open(now) == is_open(opens - timedelta(seconds=1)) == [False, True, False]
    assert is_open(opens) == is_open(closes - timedelta(seconds=1)) == [True, True, False]
    assert is_open(closes) == [False, True, False]
    assert is_open(starts) == [False, False, False]
