"""Rules over HTTP: tried before they are published, followed while they are applied, explained ever after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from rebootcamp.core import clock
from rebootcamp.core.days import DayRule
from rebootcamp.services import badges
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, judge_the_past, make_badge, make_challenge

FRENCH = {"Accept-Language": "fr"}
COMPLETED = "challenge.completed"
WEEKLY = {"count": {"event": COMPLETED, "at_least": 2, "per": "week", "distinct": "challenge_id"}}
TEXTS = {"en": {"name": "Busy", "description": "Busy."}, "fr": {"name": "Actif", "description": "Actif."}}
NEW = {"code": "busy", "tier": "silver", "points": 25, "criteria": WEEKLY, "translations": TEXTS}
IN_WORDS = "Complete 2 different challenges in one week"


def test_a_badge_is_tried_published_and_given_to_the_past(wire: Wire, ada: Person, root: Person) -> None:
    bob, tasks = wire.join(), [make_challenge() for _ in range(2)]
    with time_machine.travel(clock.now() - timedelta(days=50)):
        day = DayRule("Europe/Paris").date_of(clock.now()).isoformat()
        for task in tasks:
            complete(ada.actor, task)
        complete(bob.actor, tasks[0])
    tried = wire.post("/api/badges/preview", root, json={"criteria": WEEKLY})
    assert tried.status_code == 200
    body = tried.json
    assert body.pop("took_ms") >= 0
    assert body == {
        "criteria_text": IN_WORDS,
        "learners": 3,
        "examined": 3,
        "would_gain": 1,
        "would_lose": 0,
        "would_keep": 0,
        "is_complete": True,
        "sample": [{"user_id": ada.id, "display_name": "Ada", "change": "gain", "met_on": day}],
    }
    assert wire.read("/api/badges", root)["items"] == []
    assert wire.post("/api/badges", root, json=NEW).status_code == 201
    waiting = wire.read("/api/badges/busy/backfill", root)
    assert (waiting["state"], waiting["examined"], waiting["learners"]) == ("waiting", 0, 3)
    judge_the_past()
    done = wire.read("/api/badges/busy/backfill", root)
    assert (done["state"], done["examined"], done["awarded"], done["revoked"]) == ("done", 3, 1, 0)
    for _ in range(2):
        (award,) = wire.read(f"{ada.path}/badges", ada)["items"]
        assert award["why"] == f"{IN_WORDS} — 2/2 (rule version 1)"
        assert (award["evidence"]["met_on"], award["expires_at"]) == (day, None)
        drain()
    (french,) = wire.read(f"{ada.path}/badges", ada, headers=FRENCH)["items"]
    assert french["why"] == "Réussir 2 défis différents en une semaine — 2/2 (règle version 1)"


def test_every_rule_that_a_badge_had_stays_known(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("first", at_least=1)
    complete(ada.actor, make_challenge())
    edited = wire.patch("/api/badges/first", root, json={"criteria": {"badge": "other"}})
    assert pointers(assert_problem(edited, 422)) == {"/criteria/badge": "invalid_criteria"}
    wire.patch("/api/badges/first", root, json={"points": 11})
    edited = wire.patch("/api/badges/first", root, json={"criteria": {"type": "points", "value": 50}})
    assert (edited.json["version"], edited.json["rule_version"]) == (3, 3)
    rules = wire.read("/api/badges/first/rules", root, headers=FRENCH)["items"]
    assert [(rule["version"], rule["criteria_text"], rule["created_by"]) for rule in rules] == [
        (3, "Atteindre 50 points", root.id),
        (1, "Réussir 1 défi", root.id),
    ]
    assert rules[0]["criteria"] == {"points": {"at_least": 50}}
    # The award is told by the rule under which it was made.
    (award,) = wire.read(f"{ada.path}/badges", ada)["items"]
    assert award["why"] == "Complete 1 challenge — 1/1 (rule version 1)"
    wire.patch("/api/badges/first", root, json={"holders": "reevaluate"})
    assert wire.read("/api/badges/first/backfill", root)["holders"] == "reevaluate"
    judge_the_past()
    assert wire.read(f"{ada.path}/badges", ada)["items"] == []
    (lost,) = wire.read(f"{ada.path}/badges?state=revoked", ada)["items"]
    assert lost["revoke_reason"] == "rule_changed"


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"badge": "nothing"}, "/criteria/badge"),
    ({"all": [{"points": {"at_least": 1}}, {"not": {"badge": "nothing"}}]}, "/criteria/all/1/not/badge"),
    ({"any": [{"badge": "other"}, {"all": [{"badge": "nothing"}]}]}, "/criteria/any/1/all/0/badge"),
    ({"all": [{"count": {"event": COMPLETED, "at_least": 1, "per": "decade"}}]}, "/criteria/all/0/count/per"),
    ({"type": "points", "value": 0}, "/criteria/points/at_least"),
    ({"between": {"from": "2026-02-30", "to": "2026-03-01"}}, "/criteria/between/from"),
]


@pytest.mark.parametrize(("criteria", "pointer"), UNKNOWN)
def test_what_cannot_be_a_rule_is_refused_where_it_is_wrong(
    wire: Wire, root: Person, criteria: dict[str, Any], pointer: str
) -> None:
    make_badge("known")
    make_badge("other")
    answers = [
        wire.post("/api/badges/preview", root, json={"criteria": criteria}),
        wire.post("/api/badges", root, json={**NEW, "criteria": criteria}),
        wire.patch("/api/badges/known", root, json={"criteria": criteria}),
    ]
    for answer in answers:
        assert pointers(assert_problem(answer, 422, "validation_failed")) == {pointer: "invalid_criteria"}
    itself = wire.patch("/api/badges/known", root, json={"criteria": {"badge": "known"}})
    assert pointers(assert_problem(itself, 422)) == {"/criteria/badge": "invalid_criteria"}
    assert [badge["code"] for badge in wire.read("/api/badges", root)["items"]] == ["known", "other"]


def test_rules_are_the_business_of_administrators(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("known")
    instructor = wire.join("instructor")
    for method, path, body in [
        ("POST", "/api/badges/preview", {"criteria": WEEKLY}),
        ("GET", "/api/badges/known/rules", None),
        ("GET", "/api/badges/known/backfill", None),
        ("GET", "/api/rules/lint", None),
    ]:
        for who in (ada, instructor):
            assert_problem(wire.open(method, path, who, json=body), 403, "forbidden")
        assert_problem(wire.open(method, path, json=body), 401, "unauthenticated")
    for path in ("/api/badges/nothing/rules", "/api/badges/nothing/backfill"):
        assert_problem(wire.get(path, root), 404, "not_found")
    tried = wire.post("/api/badges/preview", root, json={"criteria": WEEKLY, "code": "nothing"})
    assert_problem(tried, 404, "not_found")


def test_the_lint_speaks_both_languages(wire: Wire, root: Person) -> None:
    make_challenge(cadence="daily")
    make_badge("never", criteria={"level": {"at_least": 50}})
    (finding,) = wire.read("/api/rules/lint", root)["items"]
    assert finding == {
        "code": "level_too_high",
        "severity": "error",
        "subject": "badge:never",
        "message": "There is no level 50: the highest is 12.",
    }
    (french,) = wire.read("/api/rules/lint", root, headers=FRENCH)["items"]
    assert french["message"] == "Il n'y a pas de niveau 50 : le plus haut est le 12."


def test_an_award_by_hand_can_carry_evidence_and_an_end(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("gift", at_least=100, valid_days=30)
    body = {"code": "gift", "reason": "Spoke.", "evidence": {"text": "A talk.", "url": "https://example.org/talk"}}
    ends = clock.iso(clock.now() + timedelta(days=3))
    given = wire.post(f"{ada.path}/badges", root, json={**body, "expires_at": ends})
    assert (given.status_code, given.json["expires_at"]) == (201, ends)
    assert given.json["evidence"] == {"awarded_by": root.id, "reason": "Spoke.", **body["evidence"]}
    assert given.json["why"] == "Given by hand: Spoke."
    late = wire.post(f"{ada.path}/badges", root, json={**body, "expires_at": "2020-01-01T00:00:00Z"})
    assert pointers(assert_problem(late, 422)) == {"/expires_at": "in_the_past"}
    with time_machine.travel(clock.now() + timedelta(days=4)):
        assert badges.expire_awards() == 1
    (lost,) = wire.read(f"{ada.path}/badges?state=revoked", ada)["items"]
    assert (lost["revoke_reason"], wire.read(f"{ada.path}/score", ada)["items"][0]["points"]) == ("expired", -10)


@pytest.mark.parametrize(("valid_days", "status"), [(0, 422), (1, 201), (3660, 201), (3661, 422), (None, 201)])
def test_awards_last_a_day_at_least_and_ten_years_at_most(
    wire: Wire, root: Person, valid_days: int | None, status: int
) -> None:
    answer = wire.post("/api/badges", root, json={**NEW, "valid_days": valid_days, "is_revocable": False})
    assert answer.status_code == status
    if status == 201:
        assert (answer.json["valid_days"], answer.json["is_revocable"]) == (valid_days, False)


def test_a_badge_that_is_not_revocable_stays_when_its_facts_go(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("kept", is_revocable=False)
    make_badge("lost")
    done = complete(ada.actor, make_challenge()).completion
    wire.post(f"{ada.path}/completions/{done.id}/revoke", root, json={"reason": "A test."})
    assert [award["code"] for award in wire.read(f"{ada.path}/badges", ada)["items"]] == ["kept"]
