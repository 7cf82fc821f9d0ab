"""The calendar of rest days over HTTP: what may change, and what it does to streaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, make_challenge

NAMES = {"en": "Easter break", "fr": "Vacances de Pâques"}


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that tests set; where days begin first, it is the fifth of May already."""
    with time_machine.travel("2026-05-04T10:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def root(wire: Wire, clock: Any) -> Person:
    """The administrator."""
    return wire.admin()


def add(wire: Wire, root: Person, starts_on: str, ends_on: str | None = None, weekday: int | None = None) -> Any:
    body = {"starts_on": starts_on, "ends_on": ends_on, "weekday": weekday, "translations": NAMES}
    return wire.post("/api/calendar", root, json=body)


def at(wire: Wire, who: Person, clock: Any, instant: str) -> Person:
    clock.move_to(instant, tick=False)
    return Person(who.actor, who.email, wire.token(who.email))


def test_administrator_keeps_the_calendar(wire: Wire, root: Person) -> None:
    created = add(wire, root, "2026-05-06", "2026-05-08")
    wire.conforms(created, "create_rest_day")
    assert created.status_code == 201
    path = f"/api/calendar/{created.json['id']}"
    french = wire.read(path, root, headers={"Accept-Language": "fr"})
    assert (french["name"], french["starts_on"], french["ends_on"]) == (
        "Vacances de Pâques",
        "2026-05-06",
        "2026-05-08",
    )
    etag = {"If-Match": wire.get(path, root).headers["ETag"]}
    edited = wire.patch(path, root, json={"ends_on": "2026-05-10"}, headers=etag)
    wire.conforms(edited, "edit_rest_day")
    assert (edited.json["ends_on"], edited.json["version"]) == ("2026-05-10", 2)
    assert_problem(wire.patch(path, root, json={"ends_on": "2026-05-11"}, headers=etag), 412, "stale_edit")
    assert_problem(wire.delete(path, root, headers=etag), 412, "stale_edit")
    assert wire.delete(path, root).status_code == 204
    assert_problem(wire.get(path, root), 404, "not_found")
    assert wire.items("/api/calendar", root) == []


def test_everybody_reads_it_page_by_page(wire: Wire, root: Person) -> None:
    for weekday in (6, 7):
        add(wire, root, "2026-05-06", weekday=weekday)
    add(wire, root, "2026-07-14", "2026-07-14")
    learner = wire.join()
    pages = list(wire.pages("/api/calendar", learner, 2))
    assert [[item["weekday"] for item in page["items"]] for page in pages] == [[6, 7], [None]]
    assert_problem(add(wire, learner, "2026-05-06", "2026-05-06"), 403, "forbidden")
    assert_problem(wire.get("/api/calendar"), 401)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"starts_on": "2026-05-05", "ends_on": "2026-05-08"}, {"/starts_on": "already_begun"}),
        ({"starts_on": "2026-05-06"}, {"/ends_on": "required"}),
        ({"starts_on": "2026-05-08", "ends_on": "2026-05-07"}, {"/ends_on": "invalid"}),
        ({"starts_on": "9999-12-31", "ends_on": "9999-12-31"}, {"/starts_on": "out_of_range"}),
        ({"starts_on": "2026-05-06", "weekday": 8}, {"/weekday": "out_of_range"}),
        (
            {"starts_on": "2026-05-06", "weekday": 1, "translations": {"en": "Mondays"}},
            {"/translations/fr": "required"},
        ),
        ({"ends_on": "2026-05-06"}, {"/starts_on": "required"}),
    ],
)
def test_wrong_entries_are_refused(wire: Wire, root: Person, body: dict[str, Any], expected: dict[str, str]) -> None:
    problem = assert_problem(wire.post("/api/calendar", root, json={"translations": NAMES, **body}), 422)
    assert pointers(problem) == expected
    assert wire.items("/api/calendar", root) == []


def test_what_has_begun_anywhere_can_only_end(wire: Wire, root: Person, clock: Any) -> None:
    path = f"/api/calendar/{add(wire, root, '2026-05-06', '2026-05-20').json['id']}"
    weekly = f"/api/calendar/{add(wire, root, '2026-05-06', weekday=7).json['id']}"
    # On Kiritimati the sixth begins at 10:00Z of the fifth.
    root = at(wire, root, clock, "2026-05-05T10:00:00Z")
    for changes in ({"starts_on": "2026-05-07"}, {"weekday": 1}, {"ends_on": "2026-05-05"}):
        answer = wire.patch(path, root, json=changes)
        assert answer.status_code in (409, 422), changes
    assert wire.patch(path, root, json={"ends_on": "2026-05-06"}).status_code == 200
    assert_problem(wire.patch(path, root, json={"ends_on": "2026-05-30"}), 409, "rest_day_begun")
    assert_problem(wire.delete(path, root), 409, "rest_day_begun")
    assert wire.patch(path, root, json={"translations": {"en": "Break", "fr": "Pause"}}).json["name"] == "Break"
    assert wire.delete(weekly, root).status_code == 204
    assert wire.read(weekly, root)["ends_on"] == "2026-05-06"


def test_rest_days_keep_streaks_and_tell_why(wire: Wire, root: Person, clock: Any) -> None:
    ada = wire.join(timezone="Europe/Paris")
    complete(ada.actor, make_challenge())
    # The learner's page revalidates, because the deadline moved.
    etag = {"If-None-Match": wire.get(f"{ada.path}/progress", ada).headers["ETag"]}
    add(wire, root, "2026-05-06", "2026-05-07")
    assert wire.get(f"{ada.path}/progress", ada, headers=etag).status_code == 200
    ada = at(wire, ada, clock, "2026-05-05T12:00:00Z")
    complete(ada.actor, make_challenge())
    shown = wire.read(f"{ada.path}/progress", ada)["streaks"]
    assert (shown["daily"], shown["keep_by"]) == (2, "2026-05-08T21:59:59Z")
    ada = at(wire, ada, clock, "2026-05-08T12:00:00Z")
    view = wire.read(f"{ada.path}/streak", ada, headers={"Accept-Language": "fr"})
    assert [(day["on"][-2:], day["state"], day["name"]) for day in view["days"]] == [
        ("08", "open", None),
        ("07", "rest", NAMES["fr"]),
        ("06", "rest", NAMES["fr"]),
        ("05", "counted", None),
        ("04", "counted", None),
    ]
    assert_problem(wire.post("/api/users/me/repairs", ada, json={"on": "2026-05-07"}), 409, "day_not_missed")
    complete(ada.actor, make_challenge())
    assert wire.read(f"{ada.path}/progress", ada)["streaks"]["daily"] == 3
    add(wire, at(wire, root, clock, "2026-05-08T13:00:00Z"), "2026-05-20", weekday=1)
    drain()
    db.session.remove()
    assert check_stores().findings == []


def test_rest_day_needs_no_freeze(wire: Wire, root: Person, clock: Any) -> None:
    ada = wire.join(timezone="Europe/Paris")
    add(wire, root, "2026-05-12", "2026-05-12")
    for day in range(4, 11):
        ada = at(wire, ada, clock, f"2026-05-{day:02d}T10:00:00Z")
        complete(ada.actor, make_challenge())
    assert_problem(wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-12"}), 409, "already_protected")
    assert wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-11"}).status_code == 201


def test_names_are_checked_as_text(wire: Wire, root: Person) -> None:
    for name in ("", "x" * 81, "\u0000", 5):
        body = {"starts_on": "2026-05-06", "weekday": 7, "translations": {"en": name, "fr": "x"}}
        assert_problem(wire.post("/api/calendar", root, json=body), 422)
