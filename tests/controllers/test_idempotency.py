"""Idempotency-Key over HTTP: the first answer again, whatever it was, to whoever it belongs to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg2
import sqlalchemy as sa
import time_machine

from rebootcamp.core import clock
from rebootcamp.models.sql.operations import IdempotencyKey
from rebootcamp.services import workshops
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import (
    admin,
    complete,
    curve,
    drain,
    keep_streak,
    make_badge,
    make_challenge,
    make_goal,
    make_group,
)
from tests.factories.workshops import enter, make_workshop

KEY = {"Idempotency-Key": "8c0a7f3e-5f0b"}
REPLAYED = "Idempotent-Replayed"
TEXTS = {"en": {"name": "B", "description": "b"}, "fr": {"name": "B", "description": "b"}}
CRITERIA = {"points": {"at_least": 10}}


def stored_keys() -> int:
    with transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) or 0


def commands(wire: Wire, root: Person) -> Iterator[tuple[str, str, Any, int]]:
    """Yield method, path, body and status of one working request for each command that takes a key."""
    ada, challenge = wire.join(), make_challenge()
    pending = [
        complete(ada.actor, make_challenge(validation="approval")).completion.id,
        complete(ada.actor, make_challenge(validation="approval")).completion.id,
    ]
    done = complete(ada.actor, make_challenge()).completion.id
    make_badge("held", criteria={"points": {"at_least": 1000}})
    texts = {"en": {"title": "T", "description": "d"}}
    new = {"translations": texts, "category": "food", "difficulty": "easy", "points": 1}
    badge = {"code": "new", "tier": "gold", "points": 1, "criteria": CRITERIA, "translations": TEXTS}
    person = {"email": "new@example.org", "password": "correct horse battery", "first_name": "N", "last_name": "N"}
    reason = {"reason": "Because."}
    yield "POST", "/api/auth/register", person, 201
    yield "PATCH", "/api/users/me", {"first_name": "Root"}, 200
    yield "PATCH", ada.path, {"role": "examiner"}, 200
    yield "POST", "/api/challenges", new, 201
    yield "PATCH", f"/api/challenges/{challenge.id}", {"points": 3}, 200
    yield "POST", f"/api/challenges/{challenge.id}/complete", {}, 201
    yield "DELETE", f"/api/challenges/{challenge.id}", None, 204
    yield "POST", f"/api/submissions/{pending[0]}/approve", None, 200
    yield "POST", f"/api/submissions/{pending[1]}/reject", reason, 200
    yield "POST", f"{ada.path}/completions/{done}/revoke", reason, 200
    yield "POST", "/api/badges", badge, 201
    yield "PATCH", "/api/badges/new", {"points": 2}, 200
    yield "POST", f"{ada.path}/badges", {"code": "held", **reason}, 201
    yield "POST", f"{ada.path}/badges/held/revoke", reason, 200
    yield "PUT", "/api/levels", curve(0, 100), 200
    yield "POST", "/api/levels/preview", curve(0, 50), 200
    yield "POST", "/api/users/me/share-links", {"label": "Blog"}, 201
    yield "DELETE", "/api/users/me/share-links/1", None, 204
    yield "POST", "/api/badges/preview", {"criteria": CRITERIA}, 200
    yield from _commands_about_goals()
    yield from _commands_about_groups(wire, root, ada)
    yield from _commands_about_days(root)
    yield from _commands_about_the_agenda()
    yield from _commands_about_workshops(ada)
    yield from _commands_about_comments(root)
    yield from _commands_about_boards()


def _commands_about_goals() -> Iterator[tuple[str, str, Any, int]]:
    path = f"/api/challenges/{make_goal(requires_joining=True).id}/join"
    yield "POST", path, None, 201
    yield "DELETE", path, None, 204


def _commands_about_groups(wire: Wire, root: Person, ada: Person) -> Iterator[tuple[str, str, Any, int]]:
    group, member = make_group(), {"user_ids": [ada.id]}
    group_path, code = f"/api/groups/{group}", wire.read(f"/api/groups/{group}", root)["join_code"]
    yield "POST", "/api/groups", {"name": "New"}, 201
    yield "PATCH", group_path, {"name": "Newer"}, 200
    yield "POST", f"{group_path}/members", member, 200
    yield "POST", f"{group_path}/members/remove", member, 200
    yield "POST", "/api/groups/join", {"code": code}, 201
    yield "POST", f"{group_path}/leave", None, 204
    yield "POST", f"{group_path}/join-code", None, 200
    yield "DELETE", group_path, None, 204


def _commands_about_the_agenda() -> Iterator[tuple[str, str, Any, int]]:
    times = {"starts_at": "2099-01-01T18:00:00Z", "ends_at": "2099-01-01T20:00:00Z"}
    path = f"/api/workshops/{make_workshop().id}"
    yield "POST", "/api/workshops", {"title": "W", "capacity": 3, **times}, 201
    yield "PATCH", path, {"points": 5}, 200
    yield "POST", f"{path}/cancel", {}, 200
    yield "DELETE", path, None, 204


def _commands_about_workshops(ada: Person) -> Iterator[tuple[str, str, Any, int]]:
    workshop, own = make_workshop(), make_workshop(admin())
    path, own_path = (f"/api/workshops/{one.id}" for one in (workshop, own))
    enter(ada.actor, own)
    yield "POST", f"{path}/register", {"note": "Hello"}, 201
    yield "DELETE", f"{path}/register", None, 204
    full = make_workshop(capacity=1, offer_hours=2)
    enter(ada.actor, full)
    enter(admin(), full)
    workshops.leave(ada.actor, full.id)
    yield "POST", f"/api/workshops/{full.id}/accept", None, 200
    yield "POST", f"{own_path}/attendance", {"user_ids": [ada.id]}, 200
    yield "DELETE", f"{own_path}/attendance/{ada.id}", None, 204
    yield "DELETE", f"{own_path}/registrations/{ada.id}", None, 204
    workshops.mark_attendance(admin(), full.id, [admin().user_id])
    yield "POST", f"/api/workshops/{full.id}/feedback", {"rating": 5}, 201


def _commands_about_comments(root: Person) -> Iterator[tuple[str, str, Any, int]]:
    workshop_id = make_workshop().id
    path = f"/api/workshops/{workshop_id}/comments"
    comment = f"{path}/{workshops.add_comment(root.actor, workshop_id, 'First').id}"
    yield "POST", path, {"text": "Second"}, 201
    yield "PATCH", comment, {"text": "Better"}, 200
    yield "POST", f"{comment}/hide", {"reason": "Because."}, 200
    yield "POST", f"{comment}/show", None, 200
    yield "DELETE", comment, None, 204


def _commands_about_boards() -> Iterator[tuple[str, str, Any, int]]:
    # Only what waits could still change a closed period.
    yield "PATCH", "/api/leaderboards/settings", {"students_see": "full"}, 200
    drain()
    yield "POST", "/api/leaderboards/weekly/freeze", {"period": "2026-W01"}, 201


def _commands_about_days(root: Person) -> Iterator[tuple[str, str, Any, int]]:
    keep_streak(root.actor, *range(2, 9))
    yesterday, later = (str(clock.now().date() + timedelta(days=n)) for n in (-1, 5))
    yield "POST", "/api/users/me/repairs", {"on": yesterday}, 201
    yield "POST", "/api/users/me/freezes", {"on": later}, 201
    yield "DELETE", f"/api/users/me/freezes/{later}", None, 204
    rest = {"starts_on": later, "ends_on": later, "translations": {"en": "Rest", "fr": "Repos"}}
    yield "POST", "/api/calendar", rest, 201
    yield "PATCH", "/api/calendar/1", {"weekday": 7}, 200
    yield "DELETE", "/api/calendar/1", None, 204


def test_every_command_gives_its_first_answer_again(wire: Wire, root: Person) -> None:
    for number, (method, path, body, status) in enumerate(commands(wire, root)):
        key = {"Idempotency-Key": f"key-{number}"}
        first, second = (wire.open(method, path, root, json=body, headers=key) for _ in range(2))
        assert (first.status_code, second.status_code) == (status, status), (path, first.text)
        assert (first.data, first.content_type) == (second.data, second.content_type), path
        assert (first.headers.get(REPLAYED), second.headers.get(REPLAYED)) == (None, "true"), path
        for name in ("ETag", "Cache-Control", "Location", "Content-Language"):
            assert first.headers.get(name) == second.headers.get(name), (path, name)
    documented = [
        op for _, _, op in wire.operations() if {"$ref": "#/components/parameters/IdempotencyKey"} in op["parameters"]
    ]
    assert number + 1 == len(documented)


def test_a_repeat_changes_nothing(wire: Wire, ada: Person) -> None:
    make_badge("first_step")
    path = f"/api/challenges/{make_challenge(cadence='daily').id}/complete"
    answers = [wire.post(path, ada, json={"evidence": {"text": "x"}}, headers=KEY) for _ in range(5)]
    assert {answer.data for answer in answers} == {answers[0].data}
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None] + ["true"] * 4
    assert wire.read(f"{ada.path}/progress", ada)["consistency"]["seq"] == 3


def test_a_repeat_says_what_the_first_answer_said_of_itself(wire: Wire, root: Person) -> None:
    """Its version, to be edited under; its language, whichever the repeat asks for."""
    path = f"/api/challenges/{make_challenge().id}"
    first = wire.patch(path, root, json={"points": 3}, headers={**KEY, "Accept-Language": "fr"})
    again = wire.patch(path, root, json={"points": 3}, headers={**KEY, "Accept-Language": "en"})
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])
    assert again.headers.getlist("Content-Language") == ["fr"]
    assert wire.patch(path, root, json={"points": 4}, headers={"If-Match": again.headers["ETag"]}).status_code == 200


def test_another_request_under_the_key_is_refused(wire: Wire, ada: Person) -> None:
    one, two = (f"/api/challenges/{make_challenge().id}/complete" for _ in range(2))
    assert wire.post(one, ada, json={"evidence": {"text": "a"}}, headers=KEY).status_code == 201
    for method, path, body in [
        ("POST", one, {"evidence": {"text": "b"}}),
        ("POST", one, {}),
        ("POST", two, {"evidence": {"text": "a"}}),
        ("PATCH", "/api/users/me", {"first_name": "A"}),
    ]:
        answer = wire.open(method, path, ada, json=body, headers=KEY)
        assert_problem(answer, 422, "idempotency_key_reused")
        assert REPLAYED not in answer.headers
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 20
    assert wire.read("/api/users/me", ada)["first_name"] != "A"


def test_a_refusal_is_an_answer_too(wire: Wire, ada: Person, root: Person) -> None:
    challenge = make_challenge(validation="answer", answers=["sun"])
    path = f"/api/challenges/{challenge.id}/complete"
    first = wire.post(path, ada, json={"answer": "moon"}, headers=KEY)
    assert_problem(first, 422, "wrong_answer")
    wire.patch(f"/api/challenges/{challenge.id}", root, json={"answers": ["moon"]})
    again = wire.post(path, ada, json={"answer": "moon"}, headers=KEY)
    assert (again.status_code, again.data, again.headers[REPLAYED]) == (422, first.data, "true")
    assert again.mimetype == "application/problem+json"
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 0
    assert wire.post(path, ada, json={"answer": "moon"}).status_code == 201
    twice = [wire.post(path, ada, json={"answer": "moon"}, headers={"Idempotency-Key": "2"}) for _ in range(2)]
    assert [answer.json["code"] for answer in twice] == ["already_completed"] * 2
    assert twice[1].headers[REPLAYED] == "true"


def test_a_request_that_was_not_understood_leaves_its_key_free(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}/complete"
    assert_problem(wire.post(path, ada, json={"typo": 1}, headers=KEY), 422, "validation_failed")
    assert_problem(wire.post(path, json={}, headers=KEY), 401, "unauthenticated")
    assert stored_keys() == 0
    assert wire.post(path, ada, json={}, headers=KEY).status_code == 201


def test_keys_belong_to_who_sent_them(wire: Wire, ada: Person) -> None:
    bob, path = wire.join(), f"/api/challenges/{make_challenge().id}/complete"
    first, second = (wire.post(path, who, json={}, headers=KEY) for who in (ada, bob))
    assert (first.json["completion"]["user_id"], second.json["completion"]["user_id"]) == (ada.id, bob.id)
    assert REPLAYED not in second.headers
    ada_again, demoted = Person(ada.actor, ada.email, wire.token(ada.email)), {"Idempotency-Key": "n"}
    assert wire.post(path, ada_again, json={}, headers=KEY).data == first.data
    joining = {"password": "correct horse battery", "first_name": "N", "last_name": "N"}
    for email in ("one@example.org", "two@example.org"):
        answer = wire.post("/api/auth/register", json={**joining, "email": email}, headers=demoted)
        assert (answer.status_code, answer.json["email"]) == (201, email)


def test_a_replay_needs_the_permission_it_needed_first(wire: Wire, root: Person) -> None:
    second = wire.join("admin")
    make_badge("gift")
    body = {"json": {"points": 7}, "headers": KEY}
    assert wire.patch("/api/badges/gift", second, **body).status_code == 200
    wire.patch(second.path, root, json={"role": "student"})
    demoted = Person(second.actor, second.email, wire.token(second.email))
    assert_problem(wire.patch("/api/badges/gift", demoted, **body), 403, "forbidden")


def test_a_key_is_free_again_after_a_day(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge(cadence='daily').id}/complete"
    start = clock.now()
    first = wire.post(path, ada, json={}, headers=KEY).json["completion"]["id"]
    for hours, is_same in [(23, True), (25, False)]:
        with time_machine.travel(start + timedelta(hours=hours), tick=False):
            later = Person(ada.actor, ada.email, wire.token(ada.email))
            answer = wire.post(path, later, json={}, headers=KEY)
            assert (answer.status_code, answer.json["completion"]["id"] == first) == (201, is_same)


def test_a_key_is_visible_ascii(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}/complete"
    for key in ("", " ", "a b", "x" * 201, "clé", "tab\there", "\x7f"):
        answer = wire.post(path, ada, json={}, headers={"Idempotency-Key": key})
        assert_problem(answer, 422, "invalid_idempotency_key")
    assert stored_keys() == 0
    assert wire.post(path, ada, json={}, headers={"Idempotency-Key": "x" * 200}).status_code == 201


@contextmanager
def row_lock(wire: Wire, table: str, column: str, value: int) -> Iterator[Callable[[], None]]:
    """Hold a row from a connection of our own; yield what lets it go."""
    url = sa.make_url(wire.app.config["REBOOTCAMP"].database_url).set(drivername="postgresql")
    connection = psycopg2.connect(url.render_as_string(hide_password=False))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE {column} = %s FOR UPDATE", (value,))
        yield connection.rollback
    finally:
        connection.close()


def wait_until_blocked(count: int) -> None:
    """Return when so many connections wait for a lock."""
    statement = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(200):
        with db.engine.connect() as connection:
            if connection.scalar(statement) == count:
                return
        time.sleep(0.01)
    raise AssertionError(f"{count} connections should wait for a lock")


def test_a_failure_of_ours_is_never_the_answer(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}/complete"
    with row_lock(wire, "learner_states", "user_id", ada.id):
        busy = wire.post(path, ada, json={}, headers=KEY)
    assert_problem(busy, 503, "busy")
    assert int(busy.headers["Retry-After"]) >= 1
    assert stored_keys() == 0
    answer = wire.post(path, ada, json={}, headers=KEY)
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)


def test_a_repeat_during_the_first_attempt_is_told_to_come_back(wire: Wire, ada: Person) -> None:
    """Nobody waits for one lock longer than two seconds, so the first attempt is made to wait for two in turn."""
    challenge = make_challenge()
    path = f"/api/challenges/{challenge.id}/complete"
    send = lambda: wire.post(path, ada, json={}, headers=KEY)  # noqa: E731
    with (
        ThreadPoolExecutor(2) as threads,
        row_lock(wire, "learner_states", "user_id", ada.id) as free_line,
        row_lock(wire, "challenges", "id", challenge.id) as free_challenge,
    ):
        first = threads.submit(send)
        wait_until_blocked(1)
        second = threads.submit(send)
        wait_until_blocked(2)
        threading.Timer(1.2, free_line).start()
        in_progress = second.result()
        free_challenge()
        answer = first.result()
    assert_problem(in_progress, 409, "idempotency_in_progress")
    assert int(in_progress.headers["Retry-After"]) >= 1
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    replayed = send()
    assert (replayed.data, replayed.headers[REPLAYED]) == (answer.data, "true")
