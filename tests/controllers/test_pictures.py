"""Pictures over HTTP: who sees them, what a share link opens and for how long, what caches keep."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
import time_machine
from werkzeug.test import TestResponse

from rebootcamp.core import clock
from rebootcamp.models.sql.pictures import ShareLink
from rebootcamp.storage.sql import Base, db
from rebootcamp.web import logs
from tests.acceptance.service import at_once
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import complete, drain, make_badge, make_challenge

LINKS = "/api/users/me/share-links"
NAMES = ("progress", "activity")
FRENCH = {"Accept-Language": "fr"}
WRONG_KEY = "k" * 43


def drawn(answer: TestResponse) -> str:
    """Return the sentence of a picture, without the marks that isolate names."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    desc = ET.fromstring(answer.data).find("{http://www.w3.org/2000/svg}desc")
    assert desc is not None
    return re.sub("[\u2068\u2069]", "", desc.text or "").replace("\u00a0", " ")


def share(wire: Wire, who: Person, **body: Any) -> dict[str, Any]:
    answer = wire.post(LINKS, who, json=body)
    assert answer.status_code == 201, answer.text
    shared: dict[str, Any] = answer.json
    return shared


@pytest.fixture
def done(wire: Wire, ada: Person) -> Person:
    """Ada with two completions and a badge."""
    make_badge("first_step", icon="👣")
    for _ in range(2):
        complete(ada.actor, make_challenge())
    return ada


@pytest.mark.parametrize("delivered", [False, True])
def test_the_card_shows_the_progress(wire: Wire, done: Person, delivered: bool) -> None:
    if delivered:
        drain()
    answer = wire.get(f"{done.path}/progress.svg", done)
    assert drawn(answer) == (
        "Ada is on level 1, Apprentice, with 50 XP; 50 XP to level 2. Daily streak: 1 day. Total score: 50 points. "
        "1 badge; latest badges: First Step (bronze)."
    )
    assert "👣" in answer.text


def test_the_calendar_counts_valid_completions_by_the_learners_dates(wire: Wire, ada: Person) -> None:
    daily = make_challenge(cadence="daily")
    # Paris is an hour ahead in winter: the last one is of the first of January.
    for instant in ("2025-12-29T12:00Z", "2025-12-30T23:30Z", "2025-12-31T23:30Z"):
        with time_machine.travel(instant, tick=False):
            complete(ada.actor, daily)

    def sentence(query: str, at: str = "2026-01-02T12:00Z") -> str:
        with time_machine.travel(at, tick=False):
            reader = Person(ada.actor, ada.email, wire.token(ada.email))
            return drawn(wire.get(f"{ada.path}/activity.svg{query}", reader))

    assert sentence("?year=2025") == "Ada: 2 challenges completed in 2025, 2 active days; longest streak: 1 day."
    assert sentence("?year=2026") == "Ada: 1 challenge completed in 2026, 1 active day; longest streak: 1 day."
    assert sentence("") == "Ada: 3 challenges completed in the last 53 weeks, 3 active days; longest streak: 2 days."
    assert sentence("", "2027-01-03T12:00Z").startswith("Ada: 3 challenges")
    assert sentence("", "2027-01-04T12:00Z").startswith("Ada: 0 challenges")
    assert sentence("?year=2031").startswith("Ada: 0 challenges")


def test_what_was_revoked_leaves_the_calendar(wire: Wire, ada: Person, root: Person) -> None:
    done = complete(ada.actor, make_challenge()).completion
    complete(ada.actor, make_challenge(validation="approval"))
    before = wire.get(f"{ada.path}/activity.svg", ada)
    assert "1 challenge completed" in drawn(before)
    wire.post(f"{ada.path}/completions/{done.id}/revoke", root, json={"reason": "A mistake."})
    after = wire.get(f"{ada.path}/activity.svg", ada, headers={"If-None-Match": before.headers["ETag"]})
    assert "0 challenges completed" in drawn(after)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_private(wire: Wire, done: Person, name: str) -> None:
    path, nobody = f"{done.path}/{name}.svg", f"/api/users/999999/{name}.svg"
    own = wire.get(path, done)
    assert_problem(wire.get(path), 401, "unauthenticated")
    stranger = wire.join()
    for headers in ({}, {"If-None-Match": "*"}):
        hidden = assert_problem(wire.get(path, stranger, headers=headers), 404, "not_found")
        absent = assert_problem(wire.get(nobody, stranger, headers=headers), 404, "not_found")
        assert hidden["detail"] == absent["detail"]
    for role in ("instructor", "examiner", "admin"):
        staff = wire.join(role)
        assert wire.get(path, staff).data == own.data
        assert_problem(wire.get(nobody, staff), 404, "not_found")


@pytest.mark.parametrize("name", NAMES)
def test_headers_say_who_may_keep_and_show_it(wire: Wire, done: Person, name: str) -> None:
    own = wire.get(f"{done.path}/{name}.svg", done)
    shared = wire.get(share(wire, done)["urls"][name])
    assert own.data == shared.data
    for answer in (own, shared):
        assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'none'; style-src 'unsafe-inline'"]
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert own.headers["Cache-Control"] == "private, max-age=60"
    assert set(own.headers.getlist("Vary")) == {"Accept-Language", "Authorization"}
    assert "Cross-Origin-Resource-Policy" not in own.headers
    assert shared.headers["Cache-Control"] == "public, max-age=300"
    assert shared.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for answer, address, who in ((own, own.request.path, done), (shared, shared.request.full_path, None)):
        held = wire.get(address, who, headers={"If-None-Match": answer.headers["ETag"]})
        assert (held.status_code, held.data) == (304, b"")
        assert held.headers.getlist("Cache-Control") == answer.headers.getlist("Cache-Control")
        assert held.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("name", NAMES)
def test_theme_and_language_are_chosen_in_the_address(wire: Wire, done: Person, name: str) -> None:
    path = f"{done.path}/{name}.svg"
    plain, french = wire.get(path, done), wire.get(path, done, headers=FRENCH)
    assert (plain.headers["Content-Language"], french.headers["Content-Language"]) == ("en", "fr")
    assert wire.get(f"{path}?lang=fr", done).data == french.data
    assert wire.get(f"{path}?lang=fr", done).headers["Content-Language"] == "fr"
    assert wire.get(f"{path}?lang=en", done, headers=FRENCH).data == plain.data
    assert wire.get(f"{path}?theme=auto", done).data == plain.data
    queries = ("", "?theme=light", "?theme=dark", "?lang=fr", "?theme=dark&lang=fr")
    answers = [wire.get(path + query, done) for query in queries]
    assert len({answer.data for answer in answers}) == len({answer.headers["ETag"] for answer in answers}) == 5
    for query in ("theme=sepia", "lang=de", "year=1999" if name == "activity" else "year=2026", "x=1", "theme="):
        assert_problem(wire.get(f"{path}?{query}", done), 422, "validation_failed")


CHANGES: dict[str, Callable[[Wire, Person, Person], Any]] = {
    "a completion": lambda wire, ada, root: complete(ada.actor, make_challenge()),
    "another name": lambda wire, ada, root: wire.patch("/api/users/me", ada, json={"display_name": "Countess"}),
}
ON_THE_CARD = {
    "a badge by hand": lambda wire, ada, root: wire.post(
        f"{ada.path}/badges", root, json={"code": "gift", "reason": "x"}
    ),
    "another icon": lambda wire, ada, root: wire.patch("/api/badges/first_step", root, json={"icon": "🦶"}),
}


@pytest.mark.parametrize("change", CHANGES | ON_THE_CARD)
def test_a_change_of_the_picture_is_a_change_of_its_tag(wire: Wire, done: Person, root: Person, change: str) -> None:
    make_badge("gift", criteria={"points": {"at_least": 100_000}})
    urls = share(wire, done)["urls"]
    before = {name: wire.get(urls[name]) for name in NAMES}
    (CHANGES | ON_THE_CARD)[change](wire, done, root)
    for name in NAMES if change in CHANGES else ("progress",):
        after = wire.get(urls[name], headers={"If-None-Match": before[name].headers["ETag"]})
        assert after.status_code == 200
        assert after.data != before[name].data


def test_a_new_day_is_a_new_picture(wire: Wire) -> None:
    with time_machine.travel("2026-03-01T23:59:59Z", tick=False):
        urls = share(wire, wire.join(timezone="UTC"))["urls"]
        etags = {name: wire.get(urls[name]).headers["ETag"] for name in NAMES}
        assert [wire.get(urls[n], headers={"If-None-Match": etags[n]}).status_code for n in NAMES] == [304, 304]
    with time_machine.travel("2026-03-02T00:00:00Z", tick=False):
        assert [wire.get(urls[n], headers={"If-None-Match": etags[n]}).status_code for n in NAMES] == [200, 200]


def test_a_key_opens_what_it_was_made_for_and_nothing_else(wire: Wire, done: Person) -> None:
    shared = share(wire, done, label="Blog", pictures=["activity"])
    assert set(shared) == {"id", "label", "pictures", "created_at", "expires_at", "key", "urls"}
    key = shared["key"]
    assert re.fullmatch("[A-Za-z0-9_-]{43}", key)
    assert shared["urls"] == {"activity": f"{done.path}/activity.svg?key={key}"}
    assert wire.get(shared["urls"]["activity"]).status_code == 200
    other, bob = share(wire, wire.join())["key"], wire.join()
    refused = [
        f"{done.path}/progress.svg?key={key}",
        f"{done.path}/activity.svg?key={other}",
        f"{bob.path}/activity.svg?key={key}",
        f"/api/users/999999/activity.svg?key={key}",
        f"{done.path}/activity.svg?key={WRONG_KEY}",
        f"{done.path}/activity.svg?key={key[:-1]}",
        f"{done.path}/activity.svg?key={key.swapcase()}",
    ]
    details = {assert_problem(wire.get(path), 404, "not_found")["detail"] for path in refused}
    assert len(details) == 1
    # A key is judged even beside a good token.
    assert_problem(wire.get(f"{done.path}/activity.svg?key={WRONG_KEY}", done), 404, "not_found")
    assert_problem(wire.get(f"{done.path}/activity.svg?key={WRONG_KEY}", headers={"If-None-Match": "*"}), 404)
    assert_problem(wire.get(f"{done.path}/activity.svg?key="), 422, "validation_failed")
    for path in ("progress", "history", "badges"):
        assert wire.get(f"{done.path}/{path}?key={key}").status_code == 401


def test_a_shared_picture_names_nobody_but_by_the_display_name(wire: Wire) -> None:
    ada = wire.join(email="secret@wire.example.org", first_name="Augusta", last_name="Byron", display_name="Ada")
    for url in share(wire, ada)["urls"].values():
        text = wire.get(url).text
        assert "Ada" in text
        assert not re.search("Augusta|Byron|secret|example|Europe", text)


def test_a_revoked_link_is_dead_at_once(wire: Wire, done: Person) -> None:
    one, two = share(wire, done), share(wire, done)
    etag = wire.get(one["urls"]["progress"]).headers["ETag"]
    assert_problem(wire.delete(f"{LINKS}/{one['id']}", wire.join()), 404, "not_found")
    assert wire.get(one["urls"]["progress"]).status_code == 200
    assert wire.delete(f"{LINKS}/{one['id']}", done).status_code == 204
    for headers in ({}, {"If-None-Match": etag}):
        assert_problem(wire.get(one["urls"]["progress"], headers=headers), 404, "not_found")
    assert wire.get(two["urls"]["progress"]).status_code == 200
    assert_problem(wire.delete(f"{LINKS}/{one['id']}", done), 404, "not_found")
    assert [link["id"] for link in wire.items(LINKS, done)] == [two["id"]]


def test_a_link_ends_at_its_time(wire: Wire, done: Person) -> None:
    expires_at = clock.now() + timedelta(hours=1)
    shared = share(wire, done, expires_at=clock.iso(expires_at))
    assert shared["expires_at"] == clock.iso(expires_at)
    with time_machine.travel(expires_at - timedelta(seconds=1), tick=False):
        assert wire.get(shared["urls"]["activity"]).status_code == 200
    with time_machine.travel(expires_at, tick=False):
        assert_problem(wire.get(shared["urls"]["activity"]), 404, "not_found")
        reader = Person(done.actor, done.email, wire.token(done.email))
        assert wire.items(LINKS, reader) == []
    for past in ("2020-01-01T00:00:00Z", clock.iso(clock.now())):
        assert_problem(wire.post(LINKS, done, json={"expires_at": past}), 422, "validation_failed")


def test_a_suspended_learners_links_are_dead(wire: Wire, done: Person, root: Person) -> None:
    urls = share(wire, done)["urls"]
    for is_active, status in ((False, 404), (True, 200)):
        wire.patch(done.path, root, json={"is_active": is_active})
        assert [wire.get(urls[name]).status_code for name in NAMES] == [status] * 2


def test_links_are_few_and_listed_without_their_keys(wire: Wire, ada: Person) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        early = Person(ada.actor, ada.email, wire.token(ada.email))
        share(wire, early, expires_at="2026-01-02T00:00:00Z")
    made = [share(wire, ada, label=f"Number {number}") for number in range(10)]
    assert_problem(wire.post(LINKS, ada, json={}), 409, "too_many_share_links")
    listed = wire.items(LINKS, ada, limit=3)
    shown = {"id", "label", "pictures", "created_at", "expires_at"}
    assert listed == [{name: link[name] for name in shown} for link in reversed(made)]
    assert wire.items(LINKS, wire.join()) == []
    wire.delete(f"{LINKS}/{made[0]['id']}", ada)
    assert share(wire, ada)["label"] is None
    for body in ({"pictures": []}, {"pictures": ["all"]}, {"pictures": ["activity"] * 2}, {"label": ""}, {"key": "x"}):
        assert_problem(wire.post(LINKS, wire.join(), json=body), 422, "validation_failed")


def test_parallel_requests_do_not_pass_the_limit(wire: Wire, ada: Person) -> None:
    for _ in range(8):
        share(wire, ada)
    answers = at_once([lambda: wire.post(LINKS, ada, json={}).status_code] * 6)
    assert sorted(answers) == [201, 201, 409, 409, 409, 409]


def test_only_the_hash_of_a_key_is_stored_anywhere(wire: Wire, ada: Person) -> None:
    keyed = {"Idempotency-Key": "once"}
    first, again = (wire.post(LINKS, ada, json={}, headers=keyed) for _ in range(2))
    assert (first.data, again.headers["Idempotent-Replayed"]) == (again.data, "true")
    key = first.json["key"]
    assert [link["id"] for link in wire.items(LINKS, ada)] == [first.json["id"]]
    with db.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(ShareLink)) == 1
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
                assert key not in str(values), table.name
                assert not any(isinstance(value, bytes) and key.encode() in value for value in values), table.name


@pytest.fixture
def loud() -> Iterator[None]:
    logs.configure("DEBUG", "json")
    yield
    logs.configure("ERROR", "json")


@pytest.mark.usefixtures("loud")
def test_no_log_line_holds_a_key(wire: Wire, ada: Person, capsys: pytest.CaptureFixture[str]) -> None:
    shared = share(wire, ada)
    for url in (*shared["urls"].values(), f"{ada.path}/history?key={shared['key']}", f"/nowhere?key={shared['key']}"):
        wire.get(url)
        wire.get(f"{url}&theme=unknown")
    told = capsys.readouterr().err
    assert "/api/users/<id:user_id>/progress.svg" in told
    assert shared["key"] not in told


def test_gunicorn_tells_addresses_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its import sets this variable, which would make the figures of this process those of many.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "unused")
    gunicorn_conf = importlib.import_module("rebootcamp.gunicorn_conf")

    def told(message: str, *values: object) -> str:
        record = logging.LogRecord("gunicorn.error", logging.ERROR, "", 0, message, values, None)
        assert gunicorn_conf.hide_keys(record)
        return record.getMessage()

    assert (
        told("Error handling request %s", "/a.svg?key=s3cret&lang=fr") == "Error handling request /a.svg?key=…&lang=fr"
    )
    assert told("Invalid line: 'GET /a.svg?lang=fr&key=s3cret'") == "Invalid line: 'GET /a.svg?lang=fr&key=…'"
    assert told("Booting worker with pid: %d", 7) == "Booting worker with pid: 7"


def test_hostile_names_are_drawn_as_text(wire: Wire) -> None:
    right_to_left, family = "\u0645\u062d\u0645\u062f \u200f", "\U0001f469\u200d\U0001f467"
    for name in (
        "<script>alert(1)</script>",
        right_to_left + "& <b>",
        family * 20,
        "\ufffe\uffff x",
        "{name}",
        "M" * 80,
    ):
        who = wire.join(display_name=name)
        for address in ("progress.svg", "activity.svg?lang=fr"):
            answer = wire.get(f"{who.path}/{address}", who)
            drawn(answer)
            assert "<script" not in answer.text
            assert "<b>" not in answer.text
