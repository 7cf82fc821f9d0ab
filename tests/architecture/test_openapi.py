"""The served documentation: valid, complete, and true of the bytes that are sent."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from rebootcamp.core import clock
from tests.controllers.wire import Person, Wire
from tests.factories import PASSWORD, complete, curve, drain, make_badge, make_challenge, make_goal, make_group
from tests.factories.workshops import make_stay, make_workshop

SNAPSHOT = Path(__file__).with_name("openapi_paths.json")
FRENCH = {"Accept-Language": "fr"}
REST = {"starts_on": str(clock.now().date() + timedelta(days=9)), "weekday": 7, "translations": {"en": "S", "fr": "D"}}
PROBLEM_JSON = "application/problem+json"
NAMED = {"name": "New", "description": "New."}
BADGE = {"code": "new", "tier": "gold", "points": 5, "criteria": {"xp": {"at_least": 1}}}
QUESTION = {"key": "size", "labels": {"en": "Size"}, "is_required": False}
WORKSHOP = {"title": "W", "capacity": 3, "starts_at": "2099-01-01T18:00:00Z", "ends_at": "2099-01-01T20:00:00Z"}
BADGE |= {"translations": {"en": NAMED, "fr": NAMED}, "valid_days": 30, "is_revocable": False}


def test_the_document_is_valid_openapi_3_1(wire: Wire) -> None:
    document = wire.document()
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_surface_is_the_one_we_agreed_on(wire: Wire) -> None:
    """A new, renamed or lost operation or permission is a decision: write it to the snapshot."""
    found = {
        f"{method.upper()} {path}": {"operation": op["operationId"], "permission": op.get("x-permission")}
        for path, method, op in wire.operations()
    }
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_operation_is_named_and_explained(wire: Wire) -> None:
    operations = [operation for _, _, operation in wire.operations()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert re.fullmatch(r"[A-Z].*\.", operation["summary"]), operation["operationId"]
        assert operation["tags"]
        assert "security" in operation


def response_of(wire: Wire, response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in response:
        return response
    found: dict[str, Any] = wire.document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return found


def test_every_refusal_is_documented_as_a_problem(wire: Wire) -> None:
    for _, method, operation in wire.operations():
        responses = operation["responses"]
        assert "default" in responses
        expected = {"400", "413", "415", "422"} if "requestBody" in operation else set()
        assert expected <= set(responses), operation["operationId"]
        for status, response in responses.items():
            content = response_of(wire, response).get("content", {})
            if status in ("204", "304"):
                assert content == {}
            elif status == "default" or int(status) >= 400:
                assert list(content) == [PROBLEM_JSON], (operation["operationId"], status)
            else:
                assert len(content) == 1
                assert method != "delete"


def test_conditions_and_keys_are_documented_where_they_count(wire: Wire) -> None:
    """What is declared is what works: the tests of entity tags and keys ask each of these operations."""
    shared = "#/components/parameters/"
    for _, method, operation in wire.operations():
        names = {parameter["$ref"].removeprefix(shared) for parameter in operation["parameters"] if "$ref" in parameter}
        assert ("IfNoneMatch" in names) == ("304" in operation["responses"])
        assert ("IfMatch" in names) == ("412" in operation["responses"])
        assert ("IdempotencyKey" in names) == (method != "get" and (operation["security"] != [] or names != set()))
    told = {parameter["name"] for parameter in wire.document()["components"]["parameters"].values()}
    assert told == {"Idempotency-Key", "If-Match", "If-None-Match"}


def test_entity_tags_are_documented_exactly_where_they_are_sent(wire: Wire) -> None:
    ada = wire.join("admin")
    make_badge("first_step")
    make_goal()
    places = {"user_id": ada.id, "challenge_id": 1, "code": "first_step", "board": "weekly", "group_id": make_group()}
    places["snapshot_id"] = wire.post("/api/leaderboards/weekly/freeze", ada, json={"period": "2026-W01"}).json["id"]
    places["rest_id"] = 1
    places["workshop_id"] = workshop_id = make_workshop().id
    places["comment_id"] = wire.post(f"/api/workshops/{workshop_id}/comments", ada, json={"text": "Hello"}).json["id"]
    wire.post("/api/calendar", ada, json=REST)
    for path, method, operation in wire.operations():
        if method == "get" and path.startswith("/api/"):
            answer = wire.get(path.format(**places), ada)
            assert answer.status_code == 200
            assert ("ETag" in answer.headers) == ("304" in operation["responses"]), operation["operationId"]


def test_requests_refuse_what_they_do_not_name(wire: Wire) -> None:
    for _, _, operation in wire.operations():
        if "requestBody" in operation:
            assert list(operation["requestBody"]["content"]) == ["application/json"]
    schemas = wire.document()["components"]["schemas"]
    for name in ("ChallengeCreate", "BadgePatch", "Completion", "AccountCreate"):
        assert schemas[name]["additionalProperties"] is False


@pytest.fixture
def ada(wire: Wire) -> Person:
    """A learner with everything that an answer can hold: both kinds of event and award, some of them delivered."""
    ada, root = wire.join(), wire.admin()
    make_group(ada.actor, description="For the tests.")
    make_badge("first_step")
    make_badge("second_step", at_least=2)
    make_badge("gift", criteria={"points": {"at_least": 100_000}})
    complete(ada.actor, make_challenge(validation="approval"))
    complete(ada.actor, make_challenge(co2e_source={"en": "A source."}))
    drain()
    done = complete(ada.actor, make_challenge(starts_at=None)).completion
    reason = {"reason": "For the tests."}
    wire.post(f"{ada.path}/badges", root, json={"code": "gift", **reason})
    wire.post(f"{ada.path}/completions/{done.id}/revoke", root, json=reason)
    wire.post("/api/submissions/1/reject", root, json=reason)
    wire.post("/api/users/me/share-links", ada, json={})
    wire.post("/api/calendar", root, json=REST)
    complete(ada.actor, make_challenge(validation="approval"))
    make_stay(make_workshop(tags=["a"], questions=[QUESTION], link="https://example.org/"), ada.actor)
    return ada


READS = {
    "{me}/progress": "get_progress",
    "{me}/history": "list_history",
    "{me}/history?limit=2": "list_history",
    "{me}/badges": "list_awards",
    "{me}/badges?state=revoked": "list_awards",
    "{me}/score": "list_score",
    "{me}/level": "explain_level",
    "/api/levels": "get_curve",
    "/api/leaderboards/global": "list_places",
    "/api/leaderboards/global/me": "get_my_rank",
    "/api/leaderboards/weekly?around=me": "list_places",
    "/api/leaderboards/settings": "get_board_settings",
    "/api/challenges": "list_challenges",
    "/api/challenges/2": "get_challenge",
    "/api/badges": "list_badges",
    "/api/badges/gift": "get_badge",
    "/api/users/me": "get_me",
    "/api/users/me/share-links": "list_share_links",
    "{me}/streak": "get_streak",
    "/api/calendar": "list_rest_days",
    "/api/calendar/1": "get_rest_day",
    "{me}": "get_user",
    "{me}/eco": "get_learner_savings",
    "/api/eco": "get_platform_savings",
    "/api/workshops": "list_workshops",
    "/api/workshops/1": "get_workshop",
    "/livez": "livez",
    "/readyz": "readyz",
}

OF_MEMBERS = {
    "/api/groups": "list_groups",
    "/api/groups/1": "get_group",
    "/api/groups/1/members": "list_members",
    "/api/groups/1/eco": "get_group_savings",
}


STAFF_READS = {
    "/api/submissions": "list_submissions",
    "/api/users": "list_users",
    "/api/badges/gift/rules": "list_rules",
    "/api/rules/lint": "lint_rules",
}


def test_the_bytes_of_reads_are_as_documented(wire: Wire, ada: Person) -> None:
    nobody, root = wire.join(), wire.admin()
    for delivered in (False, True):
        for path, name in READS.items():
            answers = [wire.get(path.format(me=ada.path), ada, headers=headers) for headers in ({}, FRENCH)]
            answers.append(wire.get(path.format(me=ada.path), root))
            if not path.startswith("{me}"):
                answers.append(wire.get(path, nobody))
            for answer in answers:
                assert (answer.status_code, answer.mimetype) == (200, "application/json")
                wire.conforms(answer, name)
            is_list = "items" in answers[0].json
            assert not is_list or answers[0].json["items"], path
        if not delivered:
            drain()
    for path, name in STAFF_READS.items():
        answer = wire.get(path, root)
        assert answer.json["items"]
        wire.conforms(answer, name)
    for path, name in OF_MEMBERS.items():
        for who in (ada, root):
            wire.conforms(wire.get(path, who), name)
    wire.conforms(wire.get("/api/badges/gift/backfill", root), "get_backfill")


Step = tuple[str, str, str, Person | None, Any]


def commands_of_staff(ada: Person, root: Person) -> list[Step]:
    """Return commands about levels, groups, rules and boards."""
    return [
        ("preview_curve", "POST", "/api/levels/preview", root, curve(0, 10)),
        ("replace_curve", "PUT", "/api/levels", root, curve(0, 5)),
        ("create_group", "POST", "/api/groups", root, {"name": "Class 6"}),
        ("edit_group", "PATCH", "/api/groups/1", root, {"description": None}),
        ("add_members", "POST", "/api/groups/1/members", root, {"user_ids": [ada.actor.user_id]}),
        ("remove_members", "POST", "/api/groups/1/members/remove", root, {"user_ids": [ada.actor.user_id]}),
        ("rotate_join_code", "POST", "/api/groups/1/join-code", root, None),
        ("create_badge", "POST", "/api/badges", root, BADGE),
        ("preview_badge", "POST", "/api/badges/preview", root, {"criteria": BADGE["criteria"]}),
        ("edit_board_settings", "PATCH", "/api/leaderboards/settings", root, {"students_see": "full"}),
        ("freeze_board", "POST", "/api/leaderboards/weekly/freeze", root, {"period": "2026-W01"}),
        ("list_snapshots", "GET", "/api/leaderboards/weekly/snapshots", ada, None),
        ("get_snapshot", "GET", "/api/leaderboards/weekly/snapshots/1", ada, None),
        ("create_workshop", "POST", "/api/workshops", root, WORKSHOP),
        ("edit_workshop", "PATCH", "/api/workshops/1", root, {"title": "Other"}),
        ("cancel_workshop", "POST", "/api/workshops/1/cancel", root, {"reason": "Flu."}),
        ("add_comment", "POST", "/api/workshops/1/comments", root, {"text": "Hello"}),
        ("edit_comment", "PATCH", "/api/workshops/1/comments/1", root, {"text": "Hi"}),
        ("list_comments", "GET", "/api/workshops/1/comments", root, None),
        ("list_comment_versions", "GET", "/api/workshops/1/comments/1/history", root, None),
        ("hide_comment", "POST", "/api/workshops/1/comments/1/hide", root, {"reason": "So."}),
        ("show_comment", "POST", "/api/workshops/1/comments/1/show", root, None),
    ]


def test_the_bytes_of_commands_are_as_documented(wire: Wire) -> None:
    ada, root = wire.join(), wire.admin()
    make_badge("first_step")
    make_badge("gift", criteria={"points": {"at_least": 100_000}})
    reason = {"reason": "For the tests."}
    texts = {"en": {"title": "T", "description": "D"}}
    new = {"translations": texts, "category": "food", "difficulty": "easy", "points": 5}
    person = {"email": "x@example.org", "password": PASSWORD, "first_name": "X", "last_name": "Y"}
    credentials = {name: person[name] for name in ("email", "password")}
    steps = [
        ("register", "POST", "/api/auth/register", None, person),
        ("login", "POST", "/api/auth/login", None, credentials),
        ("create_challenge", "POST", "/api/challenges", root, new),
        ("edit_challenge", "PATCH", "/api/challenges/1", root, {"validation": "approval"}),
        ("complete_challenge", "POST", "/api/challenges/1/complete", ada, {}),
        ("approve_submission", "POST", "/api/submissions/1/approve", root, None),
        ("revoke_completion", "POST", f"{ada.path}/completions/1/revoke", root, reason),
        ("award_badge", "POST", f"{ada.path}/badges", root, {"code": "gift", **reason}),
        ("revoke_badge", "POST", f"{ada.path}/badges/gift/revoke", root, reason),
        ("edit_badge", "PATCH", "/api/badges/gift", root, {"points": 1}),
        *commands_of_staff(ada, root),
        ("edit_me", "PATCH", "/api/users/me", ada, {"locale": "fr", "nickname": "A"}),
        ("create_share_link", "POST", "/api/users/me/share-links", ada, {"expires_at": "2100-01-01T00:00:00Z"}),
        ("edit_user", "PATCH", ada.path, root, {"role": "examiner"}),
    ]
    for name, method, path, who, body in steps:
        answer = wire.open(method, path, who, json=body)
        assert answer.status_code in (200, 201), (name, answer.text)
        wire.conforms(answer, name)


def test_the_bytes_of_a_timed_challenge_are_as_documented(wire: Wire) -> None:
    ada, goal = wire.join(), make_goal(starts_at=clock.now() - timedelta(days=1), team_target=2)
    make_group(ada.actor)
    complete(ada.actor, make_challenge())
    path = f"/api/challenges/{goal.id}"
    wire.conforms(wire.post(f"{path}/join", ada), "join_challenge")
    for address, name in ((path, "get_challenge"), (f"{path}/results", "get_results")):
        wire.conforms(wire.get(address, ada), name)


def test_problems_are_as_documented(wire: Wire) -> None:
    ada = wire.join()
    refusals = {
        "get_progress": [wire.get("/api/users/999/progress", ada), wire.get("/api/users/999/progress")],
        "complete_challenge": [
            wire.post("/api/challenges/1/complete", ada, data="{", content_type="application/json"),
            wire.post("/api/challenges/1/complete", ada, data="{}", content_type="text/plain"),
            wire.post("/api/challenges/1/complete", ada, json={"x": 1}, headers=FRENCH),
            wire.post("/api/challenges/1/complete", ada, json={}),
        ],
        "create_challenge": [wire.post("/api/challenges", ada, json={})],
    }
    problem = {"$ref": "#/components/schemas/Problem"}
    for name, answers in refusals.items():
        (operation,) = [found for _, _, found in wire.operations() if found["operationId"] == name]
        for answer in answers:
            response = response_of(wire, operation["responses"][str(answer.status_code)])
            assert response["content"] == {PROBLEM_JSON: {"schema": problem}}
            wire.judge(problem).validate(answer.get_json())


def test_the_documentation_page_needs_no_other_host(wire: Wire) -> None:
    page = wire.get("/api/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert not re.search(r"https?:|//|\*", policy)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) >= 5
    for address in addresses:
        assert address.startswith("/api/docs/")
        asset = wire.get(address)
        assert (asset.status_code, bool(asset.data)) == (200, True)
        assert asset.headers["Content-Security-Policy"] == policy
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    assert 'url: "/api/openapi.json"' in wire.get("/api/docs/start.js").text
    assert "<script>" not in page.text
    for name in ("passwd", "..%2f..%2fetc%2fpasswd", "index.html", "swagger-ui.css.map"):
        assert wire.get(f"/api/docs/{name}").status_code == 404
