"""Whatever is sent, the answer is a refusal and nothing is stored. Addresses and bodies come from the document."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from rebootcamp.core import clock
from rebootcamp.services import calendar, progress
from rebootcamp.services.pictures import NewShareLink, create_share_link
from rebootcamp.services.workshops import add_comment
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import declarations
from rebootcamp.storage.sql import Base, db
from tests.controllers.hostile import BODIES, JSON_BODY, Command, commands, fill, fitting, spoiled
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import admin, complete, drain, keep_streak, make_badge, make_challenge, make_goal, make_group
from tests.factories.workshops import enter, make_workshop

BAD_IDS = ("0", "-1", "00", "01", "+1", str(2**63), "1" + "0" * 30, "9" * 3000, "1.0", "1e3", "x", "%20", "٣", "null")
BAD_NAMES = ("%F0%9F%92%A5", "a" * 3000, "..%5C..", "%27%20OR%201=1", "$where", "%C3%28", "{}", "-", "a.b", "A")
HEADERS = {
    "Accept-Language": ("é", "," * 5000, "fr;q=nan", "en;q=1e999", "*;q=-1", "x" * 10_000, '"', "fr-" + "x" * 5000),
    "Accept": ("text/html", "", ";;;", "application/xml;q=1", "*" * 5000),
    "If-None-Match": ('"', "W/", ",,,", "é", '"' * 5000, 'W/"' + "x" * 5000, "*,*", '"a" "b"'),
    "X-Request-Id": ("é", "a b", "x" * 5000, "<script>", "'; DROP TABLE users", "${jndi:ldap://x}"),
    "traceparent": ("é", "00-0-0-0", "00-" + "g" * 32 + "-" + "0" * 16 + "-01", "x" * 5000, "ff-" + "-" * 60),
    "Idempotency-Key": ("é", "", "x" * 5000),
    "Range": ("bytes=0-0", "bytes=-1", "lines=1-2", "bytes=9-1"),
    "Content-Type": ("é", "application/json; charset=nonsense", ";", "x" * 5000),
    "Cookie": ("a=b; " * 500, "session=é", "=;="),
    "Host": ("evil.example", "x" * 300),
    "X-Forwarded-For": ("1.2.3.4, 5.6.7.8", "é"),
    "X-HTTP-Method-Override": ("DELETE",),
}
# What one person alone does is no edit that another one could overtake.
# What is never edited has no version to compare.
UNVERSIONED = ("cancel_freeze", "revoke_share_link", "leave_challenge")
UNVERSIONED += ("leave_workshop", "remove_registration", "revoke_attendance", "delete_comment")
ENDINGS = ("archive_workshop", "cancel_workshop", "delete_comment")
CREDENTIALS = ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer é", "Bearer a.b.c", "Bearer " + "x" * 8000, "Bearer null")
CREDENTIALS += ("bearer\t", "Bearer a b", "Bearer ...", "Token x", "Bearer eyJhbGciOiJub25lIn0.e30.")


@pytest.fixture
def places(wire: Wire) -> dict[str, object]:
    """Parameters of addresses at which every command would succeed for the administrator."""
    learner = wire.join()
    make_badge("held", criteria={"points": {"at_least": 10_000}})
    pending = complete(learner.actor, make_challenge(validation="approval")).completion.id
    complete(learner.actor, make_challenge())
    root = wire.admin()
    # Two freezes: one to cancel, one to place.
    keep_streak(root.actor, *range(2, 16))
    frozen = clock.now().date() + timedelta(days=5)
    progress.place_freeze(root.actor, frozen)
    days = {"starts_on": frozen, "ends_on": frozen, "translations": {"en": "Rest", "fr": "Repos"}}
    rest = calendar.create_rest_day(root.actor, days).id
    drain()
    # So many that nobody completes it meanwhile: then it could no longer be edited.
    challenge = make_goal({"count": {"event": "challenge.completed", "at_least": 99}}).id
    workshop = make_workshop()
    enter(learner.actor, workshop)
    frozen_board = wire.post("/api/leaderboards/weekly/freeze", wire.admin(), json={"period": "2026-W01"})
    return {
        "challenge_id": challenge,
        "completion_id": pending,
        "user_id": learner.id,
        "code": "held",
        "board": "weekly",
        "snapshot_id": frozen_board.json["id"],
        "link_id": create_share_link(admin(), NewShareLink()).link.id,
        "group_id": make_group(learner.actor),
        "on": frozen,
        "rest_id": rest,
        "workshop_id": workshop.id,
        "comment_id": add_comment(admin(), workshop.id, "Hello").id,
    }


def stored() -> dict[str, Any]:
    """Return how many rows and documents there are, with a sum over all that the rows hold."""
    found: dict[str, Any] = {}
    with db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            statement = f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table.name} t"
            found[table.name] = tuple(connection.execute(sa.text(statement)).one())
    for declared in declarations():
        found[f"mongo {declared['collection']}"] = mongo.collection(declared["collection"]).count_documents({})
    return found


def refusal(answer: TestResponse) -> str | None:
    """Return what is wrong with an answer that should refuse, if anything."""
    try:
        assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text[:200]}"
        assert_problem(answer, answer.status_code)
    except (AssertionError, KeyError, TypeError) as error:
        return f"{answer.status_code}: {error}"
    return None


def faults_of(wire: Wire, who: Person, command: Command, requests: Iterator[tuple[str, bytes]]) -> Iterator[str]:
    for what, body in requests:
        answer = wire.open(command.method, command.path, who, data=body, content_type=JSON_BODY)
        if fault := refusal(answer):
            yield f"{command.name}, {what}: {fault}"


def test_every_fitting_body_is_accepted(wire: Wire, root: Person, places: dict[str, object]) -> None:
    """The requests from which the hostile ones are made are good: the refusals below have one cause each."""
    # What ends a thing comes last: before it, there is something to edit.
    for command in sorted(commands(wire, places), key=lambda command: command.name in ENDINGS):
        body = fitting(command.schema) if command.schema else None
        answer = wire.open(command.method, command.path, root, json=body)
        allowed = {"login": {200}, "refresh": {401}, "create_badge": {409}}
        allowed |= {"join_group": {404}, "leave_group": {409}, "rotate_join_code": {409}, "add_members": {409}}
        allowed |= {
            "join_challenge": {201, 409},
            "leave_challenge": {204, 409},
            "complete_challenge": {409},
            "reject_submission": {409},
            "repair_streak": {409},
            # The requests come in any order.
            "archive_workshop": {204, 409},
            "cancel_workshop": {200, 409},
            "register_for_workshop": {201, 409},
            "leave_workshop": {204, 409},
            "accept_seat": {409},
            "remove_registration": {204, 409},
            "mark_attendance": {200, 422},
            "revoke_attendance": {204, 404},
            "give_feedback": {409},
            "edit_workshop": {200, 409},
            "edit_comment": {200, 409},
        }
        expected = allowed.get(command.name, {200, 201, 204})
        assert answer.status_code in expected, (command.name, answer.text)


def test_a_body_with_one_hostile_member_is_refused_everywhere(
    wire: Wire, root: Person, places: dict[str, object]
) -> None:
    before, tried = stored(), 0
    for command in commands(wire, places):
        requests = list(spoiled(command))
        tried += len(requests)
        assert list(faults_of(wire, root, command, iter(requests))) == []
        assert stored() == before, command.name
    assert tried > 1500


def test_a_body_that_is_no_object_is_refused_everywhere(wire: Wire, root: Person, places: dict[str, object]) -> None:
    before = stored()
    for command in commands(wire, places):
        assert list(faults_of(wire, root, command, iter(BODIES.items()))) == []
        ten_megabytes = b'{"a": "' + b"x" * 10_485_760 + b'"}'
        answer = wire.open(command.method, command.path, root, data=ten_megabytes, content_type=JSON_BODY)
        assert_problem(answer, 413, "body_too_large")
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "é", ""):
            answer = wire.open(command.method, command.path, root, data=b'{"a": 1}', content_type=media_type)
            assert_problem(answer, 415, "unsupported_media_type")
        if command.needs_body:
            for body in (b"", b"{}"):
                answer = wire.open(command.method, command.path, root, data=body, content_type=JSON_BODY)
                assert_problem(answer, 422 if body else 400)
        assert stored() == before, command.name


def test_strangers_learn_nothing_from_what_they_send(wire: Wire, places: dict[str, object]) -> None:
    before = stored()
    for path, method, operation in wire.operations():
        if not operation["security"]:
            continue
        for body in (b"[" * 2000, b'{"a": 1}', b""):
            answer = wire.open(method, fill(path, places) + "?x=1", data=body, content_type=JSON_BODY)
            assert_problem(answer, 401, "unauthenticated")
        for credentials in CREDENTIALS:
            answer = wire.open(method, fill(path, places), headers={"Authorization": credentials})
            assert_problem(answer, 401, "unauthenticated")
    assert stored() == before


def test_queries_are_read_strictly_everywhere(wire: Wire, root: Person, places: dict[str, object]) -> None:
    before = stored()
    for path, method, operation in wire.operations():
        if not path.startswith("/api/"):
            continue
        names = [parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "query"]
        queries = ["unknown=1", "unknown", "=1", "a" * 5000 + "=1", "%00=1", "%FF=1", "__proto__[a]=1", "a=1&" * 2000]
        for name in names:
            queries += [f"{name}=1&{name}=1", f"{name}=%00", f"{name}=" + "x" * 5000, f"{name}[]=1", f"{name}="]
        for query in queries:
            answer = wire.open(method, f"{fill(path, places)}?{query}", root)
            assert refusal(answer) is None, (operation["operationId"], query[:60], answer.text[:200])
    assert stored() == before


def test_addresses_that_cannot_exist_are_not_found(wire: Wire, root: Person, places: dict[str, object]) -> None:
    before = stored()
    for path, method, operation in wire.operations():
        for parameter in operation["parameters"]:
            if parameter.get("in") != "path":
                continue
            values = BAD_IDS if parameter["schema"]["type"] == "integer" else BAD_NAMES
            for value in values:
                answer = wire.open(method, fill(path, {**places, parameter["name"]: value}), root, json={"reason": "x"})
                assert answer.status_code in (404, 409, 422), (operation["operationId"], value[:40], answer.text[:200])
                assert_problem(answer, answer.status_code)
            answer = wire.open(method, fill(path, {**places, parameter["name"]: "%00"}), root)
            assert_problem(answer, 422, "validation_failed")
    assert stored() == before


def test_odd_headers_do_no_harm(wire: Wire, root: Person, places: dict[str, object]) -> None:
    before = stored()
    for path, method, operation in wire.operations():
        if method != "get":
            continue
        address = fill(path, places)
        for name, values in HEADERS.items():
            for value in values:
                answer = wire.get(address, root, headers={name: value})
                assert answer.status_code in (200, 400 if name == "Host" else 404), (
                    operation["operationId"],
                    name,
                    value[:40],
                    answer.text[:200],
                )
                assert "�" not in answer.headers["X-Request-Id"]
    assert stored() == before


def test_odd_headers_of_commands_are_refused_or_ignored(wire: Wire, root: Person, places: dict[str, object]) -> None:
    before = stored()
    for command in commands(wire, places):
        body = fitting(command.schema) if command.schema else None
        for value in ('"', "é", "W/", "x" * 5000, '"x"', ",", ""):
            if command.method in ("PATCH", "PUT", "DELETE") and command.name not in UNVERSIONED:
                answer = wire.open(command.method, command.path, root, json=body, headers={"If-Match": value})
                assert_problem(answer, 412, "stale_edit")
        if command.name not in ("login", "refresh", "logout"):
            for value in ("é", "", " ", "x" * 201):
                answer = wire.open(command.method, command.path, root, json=body, headers={"Idempotency-Key": value})
                assert answer.json["code"] == "invalid_idempotency_key", (command.name, answer.text)
    assert stored() == before
