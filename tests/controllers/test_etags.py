"""Conditional requests over HTTP: nothing is sent twice, and no edit is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from rebootcamp.events.rebuild import rebuild
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import groups
from rebootcamp.storage import mongo
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import complete, curve, drain, make_badge, make_challenge, make_goal, make_group
from tests.factories.workshops import make_stay, make_workshop
from tests.relay.tools import execute

FRENCH = {"Accept-Language": "fr"}
BOARDS = ("/api/leaderboards/global", "/api/leaderboards/global/me")
GROUPS = ("/api/groups", "/api/groups/1", "/api/groups/1/members")
RESULTS = "/api/challenges/2/results"
SAVINGS = ("{me}/eco", "/api/groups/1/eco", "/api/eco")
WORKSHOPS = ("/api/workshops", "/api/workshops/1", "/api/workshops/1/calendar.ics", "{me}/workshops.ics")
REVALIDATED = ("{me}/progress", "{me}/history", "{me}/history?type=badge.awarded&limit=2", "{me}/badges")
REVALIDATED += ("{me}/level", "/api/levels", "/api/badges", "/api/badges/first_step", "/api/challenges/1", *BOARDS)
REVALIDATED += (*GROUPS, *SAVINGS, "{me}/score", "{me}/streak", RESULTS, "/api/leaderboards/weekly/snapshots")
REVALIDATED += WORKSHOPS


@pytest.fixture
def ada(wire: Wire) -> Person:
    """A learner with one completion and one badge."""
    ada = wire.join(display_name="Ada")
    make_badge("first_step")
    make_group(ada.actor)
    challenge = make_challenge()
    make_goal({"count": {"event": "challenge.completed", "at_least": 1}}, points=0)
    complete(ada.actor, challenge)
    make_stay(make_workshop(capacity=20), ada.actor)
    return ada


@pytest.mark.parametrize("delivered", [False, True])
def test_what_has_not_changed_is_not_sent_again(wire: Wire, ada: Person, delivered: bool) -> None:
    if delivered:
        drain()
    for address in REVALIDATED:
        path = address.format(me=ada.path)
        for language, other in (({}, FRENCH), (FRENCH, {})):
            answer = wire.get(path, ada, headers=language)
            etag = answer.headers["ETag"]
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert "Accept-Language" in answer.headers["Vary"]
            for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                unchanged = wire.get(path, ada, headers={**language, "If-None-Match": held})
                assert (unchanged.status_code, unchanged.data, unchanged.headers["ETag"]) == (304, b"", etag), address
            for held in (f"{etag[:-1]}x{etag[-1]}", etag.strip('"'), "", "x", '"'):
                assert wire.get(path, ada, headers={**language, "If-None-Match": held}).status_code == 200
            assert wire.get(path, ada, headers={**other, "If-None-Match": etag}).status_code == 200, address


def test_after_the_relay_a_progress_is_still_the_same(wire: Wire, ada: Person) -> None:
    etag = wire.get(f"{ada.path}/progress", ada).headers["ETag"]
    drain()
    assert wire.get(f"{ada.path}/progress", ada, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("name", ["history", "badges"])
def test_a_list_read_from_a_broken_database_does_not_outlive_its_rebuild(wire: Wire, ada: Person, name: str) -> None:
    """Whoever holds a page that lacks something must be sent another."""
    drain()
    path = f"{ada.path}/{name}"
    for collection in ("history", "awards"):
        mongo.collection(collection).delete_many({})
    broken = wire.get(path, ada)
    assert broken.json["items"] == []
    rebuild(lambda step, done: None)
    mended = wire.get(path, ada, headers={"If-None-Match": broken.headers["ETag"]})
    assert mended.status_code == 200
    assert mended.json["items"]
    assert wire.get(path, ada, headers={"If-None-Match": mended.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "store_id = gen_random_uuid()"])
def test_tags_of_another_store_are_worth_nothing(wire: Wire, ada: Person, change: str) -> None:
    paths = [f"{ada.path}/{name}" for name in ("progress", "history", "badges", "score", "streak", "eco")]
    held = [wire.get(path, ada).headers["ETag"] for path in paths]
    execute(f"UPDATE app_meta SET {change}")
    for path, etag in zip(paths, held, strict=True):
        assert wire.get(path, ada, headers={"If-None-Match": etag}).status_code == 200, path


WRITES: dict[str, tuple[Callable[[Wire, Person, Person], Any], set[str]]] = {
    "another completion": (
        lambda wire, ada, root: complete(ada.actor, make_challenge()),
        {"{me}/progress", "{me}/history", "{me}/level", "{me}/score", "/api/badges", *BOARDS, *SAVINGS},
    ),
    "a badge by hand": (
        lambda wire, ada, root: wire.post(f"{ada.path}/badges", root, json={"code": "gift", "reason": "x"}),
        {"{me}/progress", "{me}/history", "{me}/badges", "{me}/level", "{me}/score", "/api/badges", *BOARDS},
    ),
    "a badge taken back": (
        lambda wire, ada, root: wire.post(f"{ada.path}/badges/first_step/revoke", root, json={"reason": "x"}),
        {
            "{me}/progress",
            "{me}/history",
            "{me}/badges",
            "{me}/level",
            "{me}/score",
            "/api/badges",
            "/api/badges/first_step",
            *BOARDS,
        },
    ),
    "a badge renamed": (
        lambda wire, ada, root: wire.patch("/api/badges/first_step", root, json={"translations": renamed()}),
        {"{me}/progress", "{me}/history", "{me}/badges", "{me}/score", "/api/badges", "/api/badges/first_step"},
    ),
    "a learner renamed": (
        lambda wire, ada, root: wire.patch("/api/users/me", ada, json={"display_name": "Countess"}),
        {"{me}/progress", "/api/groups/1/members", RESULTS, *BOARDS},
    ),
    "a learner moved": (
        lambda wire, ada, root: wire.patch("/api/users/me", ada, json={"timezone": "Asia/Tokyo"}),
        {"{me}/progress", "{me}/history", "{me}/streak"},
    ),
    "somebody joins": (
        lambda wire, ada, root: groups.add_members(root.actor, 1, [wire.join().id]),
        {*GROUPS, "/api/groups/1/eco"},
    ),
    "somebody takes a seat": (
        lambda wire, ada, root: take_seat(wire.join()),
        {"/api/workshops", "/api/workshops/1"},
    ),
    "a workshop moved": (
        lambda wire, ada, root: wire.patch("/api/workshops/1", root, json={"place": "Garden"}),
        {*WORKSHOPS},
    ),
    "a workshop cancelled": (
        lambda wire, ada, root: wire.post("/api/workshops/1/cancel", root, json={}),
        {*WORKSHOPS},
    ),
    "another curve of levels": (
        lambda wire, ada, root: wire.put("/api/levels", root, json=curve(0, 10)),
        {"{me}/progress", "{me}/level", "/api/levels"},
    ),
    "a challenge published": (lambda wire, ada, root: make_challenge(), {"{me}/progress"}),
    "a challenge edited": (
        lambda wire, ada, root: wire.patch("/api/challenges/1", root, json={"points": 3}),
        {"/api/challenges/1"},
    ),
    "a challenge withdrawn": (
        lambda wire, ada, root: wire.patch("/api/challenges/1", root, json={"is_published": False}),
        {"{me}/progress", "/api/challenges/1"},
    ),
}


def take_seat(who: Person) -> None:
    with transaction() as session:
        make_stay(session.get_one(Workshop, 1), who.actor)


def renamed() -> dict[str, Any]:
    return {language: {"name": "Renamed", "description": "For the tests."} for language in ("en", "fr")}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_changes_the_tag_of_all_that_shows_it(wire: Wire, ada: Person, root: Person, write: str) -> None:
    change, expected = WRITES[write]
    make_badge("gift", criteria={"points": {"at_least": 100_000}})
    addresses = [address for address in REVALIDATED if "?" not in address]
    paths = {address: address.format(me=ada.path) for address in addresses}
    before = {address: wire.get(path, ada) for address, path in paths.items()}
    change(wire, ada, root)
    after = {address: wire.get(path, ada) for address, path in paths.items()}
    changed = {address for address in addresses if before[address].data != after[address].data}
    assert changed == expected
    for address, path in paths.items():
        again = wire.get(path, ada, headers={"If-None-Match": before[address].headers["ETag"]})
        assert again.status_code != 304 or address not in expected, address


def test_time_alone_changes_what_is_open(wire: Wire) -> None:
    """As one challenge closes another opens: their number stays, what was completed of them does not."""
    with time_machine.travel("2026-03-01T11:00:00Z", tick=False):
        early = wire.join()
        closing = make_challenge(ends_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
        make_challenge(starts_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
        complete(early.actor, closing)
        before = wire.get(f"{early.path}/progress", early)
        assert before.json["challenges"]["completion_rate"] == 1.0
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        late = Person(early.actor, early.email, wire.token(early.email))
        after = wire.get(f"{early.path}/progress", late, headers={"If-None-Match": before.headers["ETag"]})
        assert after.status_code == 200
        assert after.json["challenges"]["completion_rate"] == 0.0


@pytest.mark.parametrize("name", ["progress", "streak"])
def test_a_new_day_is_a_new_progress(wire: Wire, name: str) -> None:
    with time_machine.travel("2026-03-01T23:59:59Z", tick=False):
        evening = wire.join(timezone="UTC")
        etag = wire.get(f"{evening.path}/{name}", evening).headers["ETag"]
        assert wire.get(f"{evening.path}/{name}", evening, headers={"If-None-Match": etag}).status_code == 304
    with time_machine.travel("2026-03-02T00:00:00Z", tick=False):
        assert wire.get(f"{evening.path}/{name}", evening, headers={"If-None-Match": etag}).status_code == 200


def edits(wire: Wire, root: Person) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path and two different edits of everything that is edited under a version."""
    make_badge("edited")
    return [
        (f"/api/challenges/{make_challenge().id}", {"points": 1}, {"points": 2}),
        ("/api/badges/edited", {"points": 1}, {"points": 2}),
        (wire.join().path, {"role": "examiner"}, {"role": "instructor"}),
        ("/api/users/me", {"first_name": "One"}, {"first_name": "Two"}),
        (f"/api/groups/{make_group()}", {"is_open": False}, {"is_open": True}),
        (f"/api/workshops/{make_workshop().id}", {"points": 1}, {"points": 2}),
    ]


def test_an_edit_of_what_has_changed_is_refused(wire: Wire, root: Person) -> None:
    for path, one, two in edits(wire, root):
        etag = wire.get(path, root, headers=FRENCH).headers["ETag"]
        edited = wire.patch(path, root, json=one, headers={"If-Match": etag})
        assert edited.status_code == 200, edited.text
        for stale in (etag, f"W/{edited.headers['ETag']}", '"other"', "", "x", f'{edited.headers["ETag"][:-1]}1"'):
            assert_problem(wire.patch(path, root, json=two, headers={"If-Match": stale}), 412, "stale_edit")
        (name,) = one
        assert wire.read(path, root)[name] == one[name]
        fresh = wire.get(path, root).headers["ETag"]
        assert wire.patch(path, root, json=two, headers={"If-Match": f'"other", {fresh}'}).status_code == 200
        assert wire.patch(path, root, json=one, headers={"If-Match": "*"}).status_code == 200
        assert wire.patch(path, root, json=two).status_code == 200


def test_the_answer_to_an_edit_permits_the_next_one(wire: Wire, root: Person) -> None:
    for path, one, two in edits(wire, root):
        etag = wire.patch(path, root, json=one).headers["ETag"]
        assert wire.patch(path, root, json=two, headers={"If-Match": etag}).status_code == 200


def test_what_others_do_does_not_make_an_edit_stale(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("saver", at_least=2)
    etag = wire.get("/api/badges/saver", root).headers["ETag"]
    complete(ada.actor, make_challenge())
    assert wire.get("/api/badges/saver", root).headers["ETag"] != etag
    assert wire.patch("/api/badges/saver", root, json={"points": 1}, headers={"If-Match": etag}).status_code == 200


def test_archiving_compares_the_version_too(wire: Wire, root: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}"
    etag = wire.get(path, root).headers["ETag"]
    wire.patch(path, root, json={"points": 1})
    assert_problem(wire.delete(path, root, headers={"If-Match": etag}), 412, "stale_edit")
    assert wire.read(path, root)["archived_at"] is None
    assert wire.delete(path, root, headers={"If-Match": wire.get(path, root).headers["ETag"]}).status_code == 204


def test_the_documentation_revalidates(wire: Wire) -> None:
    etag = wire.get("/api/openapi.json").headers["ETag"]
    assert wire.get("/api/openapi.json", headers={"If-None-Match": etag}).status_code == 304
