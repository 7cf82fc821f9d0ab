"""Challenges over HTTP: the catalogue, completing, reviewing, revoking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import admin, complete, drain, make_badge, make_challenge

CHALLENGE = {
    "id",
    "slug",
    "title",
    "description",
    "category",
    "difficulty",
    "points",
    "co2e_grams",
    "co2e_source",
    "cadence",
    "validation",
    "is_published",
    "starts_at",
    "ends_at",
    "completed",
    "criteria",
    "criteria_text",
    "requires_joining",
    "team_target",
    "reward_badge",
    "joined",
    "advance",
    "is_counting",
    "window",
    "translations",
    "version",
}
DETAIL = CHALLENGE | {"reward_badges", "teams"}
COMPLETION = {"id", "challenge_id", "user_id", "status", "points", "completed_at", "period", "reason"}
TEXTS = {"en": {"title": "Bike", "description": "Ride."}, "fr": {"title": "Vélo", "description": "Roulez."}}
NEW = {"translations": TEXTS, "category": "mobility", "difficulty": "medium", "points": 40}


def create(wire: Wire, who: Person, **changes: Any) -> dict[str, Any]:
    answer = wire.post("/api/challenges", who, json={**NEW, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json


def slugs(wire: Wire, who: Person, query: str = "") -> list[str]:
    return [item["slug"] for item in wire.items(f"/api/challenges{query}", who)]


@pytest.mark.parametrize("role", ["instructor", "admin"])
def test_staff_write_the_catalogue(wire: Wire, role: str) -> None:
    staff = wire.join(role)
    made = create(wire, staff)
    assert set(made) == CHALLENGE | {"answers", "archived_at"}
    assert (made["slug"], made["title"], made["cadence"], made["validation"]) == ("bike", "Bike", "once", "self")
    assert (made["points"], made["is_published"], made["completed"]) == (40, True, False)
    path = f"/api/challenges/{made['id']}"
    edited = wire.patch(path, staff, json={"points": 55})
    assert (edited.status_code, edited.json["points"], edited.json["version"]) == (200, 55, made["version"] + 1)
    assert wire.read(path, staff)["points"] == 55
    assert (wire.delete(path, staff).status_code, wire.delete(path, staff).status_code) == (204, 204)
    assert wire.read(path, staff)["archived_at"] is not None


@pytest.mark.parametrize("role", ["student", "examiner"])
def test_others_may_not(wire: Wire, role: str) -> None:
    who, challenge = wire.join(role), make_challenge()
    path = f"/api/challenges/{challenge.id}"
    assert_problem(wire.post("/api/challenges", who, json=NEW), 403, "forbidden")
    assert_problem(wire.patch(path, who, json={"points": 1}), 403, "forbidden")
    assert_problem(wire.delete(path, who), 403, "forbidden")
    assert wire.read(path, who)["points"] == 20


def test_every_address_asks_who_is_calling(wire: Wire) -> None:
    path = f"/api/challenges/{make_challenge().id}"
    for method, address in [
        ("GET", "/api/challenges"),
        ("POST", "/api/challenges"),
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/complete"),
        ("GET", "/api/submissions"),
        ("POST", "/api/submissions/1/approve"),
        ("POST", "/api/submissions/1/reject"),
        ("POST", "/api/users/1/completions/1/revoke"),
    ]:
        assert_problem(wire.open(method, address), 401, "unauthenticated")


def test_learners_see_no_answers(wire: Wire, ada: Person) -> None:
    challenge = make_challenge(validation="answer", answers=["sun"])
    seen = wire.read(f"/api/challenges/{challenge.id}", ada)
    assert set(seen) == DETAIL
    assert "sun" not in wire.get("/api/challenges", ada).text
    assert wire.read(f"/api/challenges/{challenge.id}", wire.admin())["answers"] == ["sun"]


def test_texts_follow_the_language_of_the_reader(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{create(wire, wire.admin())['id']}"

    def title(header: str | None) -> tuple[str, str | None]:
        answer = wire.get(path, ada, headers={"Accept-Language": header} if header else {})
        return answer.json["title"], answer.headers["Content-Language"]

    assert title(None) == title("en") == title("de") == title("de, en;q=0.5") == ("Bike", "en")
    assert title("fr") == title("fr-CA") == title("de, fr;q=0.9, en;q=0.8") == ("Vélo", "fr")
    assert wire.read("/api/challenges", ada, headers={"Accept-Language": "fr"})["items"][0]["title"] == "Vélo"


def test_a_missing_translation_falls_back(wire: Wire, root: Person) -> None:
    path = f"/api/challenges/{create(wire, root, translations={'fr': TEXTS['fr']})['id']}"
    assert wire.read(path, root, headers={"Accept-Language": "en"})["title"] == "Vélo"
    plain = wire.post("/api/challenges", root, json={**NEW, "translations": {}})
    assert_problem(plain, 422, "validation_failed")


def test_filters_narrow_the_list(wire: Wire, ada: Person) -> None:
    make_challenge(slug="a", category="water", difficulty="hard", cadence="daily")
    make_challenge(slug="b", category="water", difficulty="easy")
    make_challenge(slug="c", category="food", difficulty="hard")
    assert slugs(wire, ada) == ["a", "b", "c"]
    assert slugs(wire, ada, "?category=water") == ["a", "b"]
    assert slugs(wire, ada, "?difficulty=hard") == ["a", "c"]
    assert slugs(wire, ada, "?cadence=daily") == ["a"]
    assert slugs(wire, ada, "?category=water&difficulty=hard") == ["a"]
    for wrong in ("category=air", "difficulty=", "cadence=hourly", "q=", "sort=points", "category=water&category=food"):
        assert_problem(wire.get(f"/api/challenges?{wrong}", ada), 422, "validation_failed")


def test_the_search_reads_both_languages_and_takes_signs_literally(wire: Wire, root: Person) -> None:
    create(wire, root, slug="bike")
    other = {"title": "100 % local", "description": "Buy_local"}
    create(wire, root, slug="local", translations={"en": other, "fr": other})
    for query, found in [
        ("VÉLO", ["bike"]),
        ("ride", ["bike"]),
        ("%25", ["local"]),
        ("_", ["local"]),
        ("l", ["bike", "local"]),
        ("zz", []),
        ("%27%20OR%201=1--", []),
    ]:
        assert slugs(wire, root, f"?q={query}") == found, query


def test_only_open_challenges_are_listed(wire: Wire, ada: Person, root: Person) -> None:
    hidden = [
        create(wire, root, slug="draft", is_published=False),
        create(wire, root, slug="later", starts_at="2999-01-01T00:00:00Z"),
        create(wire, root, slug="over", ends_at="2020-01-01T00:00:00+02:00"),
        create(wire, root, slug="archived"),
    ]
    create(wire, root, slug="open", starts_at="2020-01-01T00:00:00Z", ends_at="2999-01-01T00:00:00Z")
    wire.delete(f"/api/challenges/{hidden[3]['id']}", root)
    assert slugs(wire, ada) == slugs(wire, root) == ["open"]
    draft, later, over, archived = (f"/api/challenges/{item['id']}" for item in hidden)
    assert_problem(wire.get(draft, ada), 404, "not_found")
    assert_problem(wire.get(archived, ada), 404, "not_found")
    assert wire.read(later, ada)["starts_at"] == "2999-01-01T00:00:00Z"
    assert wire.read(over, ada)["ends_at"] == "2019-12-31T22:00:00Z"
    assert wire.read(draft, root)["is_published"] is False
    for path in (draft, archived):
        assert_problem(wire.post(f"{path}/complete", ada, json={}), 404, "not_found")
    for path, who in [(later, ada), (over, ada), (draft, root), (archived, root)]:
        assert_problem(wire.post(f"{path}/complete", who, json={}), 409, "challenge_closed")


def test_completing_answers_everything_at_once(wire: Wire, ada: Person) -> None:
    make_badge("first_step", points=10)
    make_badge("second_step", at_least=2, points=75)
    first, second = make_challenge(points=20), make_challenge(points=5)
    answer = wire.post(f"/api/challenges/{first.id}/complete", ada, json={})
    assert answer.status_code == 201
    body = answer.json
    assert set(body["completion"]) == COMPLETION
    assert (body["completion"]["user_id"], body["completion"]["challenge_id"]) == (ada.id, first.id)
    assert (body["completion"]["status"], body["completion"]["points"]) == ("validated", 20)
    assert body["completion"]["completed_at"].endswith("Z")
    earned = {"code": "first_step", "name": "First Step", "tier": "bronze", "points": 10}
    level, streak = {"before": 1, "after": 1}, {"daily": 1}
    assert body["rewards"] == {
        "points": 20,
        "xp": 20,
        "badges": [earned],
        "goals": [],
        "level": level,
        "streak": streak,
    }
    assert body["score"] == {"total": 30, "challenge_points": 20, "badge_points": 10}
    body = wire.post(f"/api/challenges/{second.id}/complete", ada).json
    assert body["rewards"]["level"] == {"before": 1, "after": 2}
    assert body["score"] == {"total": 110, "challenge_points": 25, "badge_points": 85}


def test_once_a_period(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge(cadence='daily').id}"
    with time_machine.travel("2026-05-01T21:30:00Z", tick=False):
        evening = Person(ada.actor, ada.email, wire.token(ada.email))
        assert wire.read(path, evening)["completed"] is False
        assert wire.post(f"{path}/complete", evening, json={}).json["completion"]["period"] == "2026-05-01"
        assert_problem(wire.post(f"{path}/complete", evening, json={}), 409, "already_completed")
        assert wire.read(path, evening)["completed"] is True
        assert wire.read("/api/challenges", evening)["items"][0]["completed"] is True
    # Half past midnight in Paris is still the first of May in UTC.
    with time_machine.travel("2026-05-01T22:30:00Z", tick=False):
        night = Person(ada.actor, ada.email, wire.token(ada.email))
        assert wire.read(path, night)["completed"] is False
        again = wire.post(f"{path}/complete", night, json={}).json
        assert (again["completion"]["period"], again["rewards"]["streak"]) == ("2026-05-02", {"daily": 2})
        assert wire.read(path, wire.join())["completed"] is False


def test_answers(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge(validation='answer', answers=['Énergie']).id}/complete"
    assert pointers(assert_problem(wire.post(path, ada, json={}), 422, "validation_failed")) == {"/answer": "required"}
    assert_problem(wire.post(path, ada, json={"answer": "coal"}), 422, "wrong_answer")
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 0
    assert wire.post(path, ada, json={"answer": " energie. "}).status_code == 201


def test_evidence_is_checked(wire: Wire, ada: Person) -> None:
    path = f"/api/challenges/{make_challenge().id}/complete"
    for evidence, pointer in [
        ({"url": "javascript:alert(1)"}, "/evidence/url"),
        ({"url": "file:///etc/passwd"}, "/evidence/url"),
        ({"text": ""}, "/evidence/text"),
        ({"photo": "x"}, "/evidence/photo"),
        ("text", "/evidence"),
    ]:
        problem = assert_problem(wire.post(path, ada, json={"evidence": evidence}), 422, "validation_failed")
        assert list(pointers(problem)) == [pointer]
    assert_problem(wire.post("/api/challenges/999999/complete", ada, json={}), 404, "not_found")


def test_a_submission_waits_for_staff(wire: Wire, ada: Person) -> None:
    examiner = wire.join("examiner")
    challenge = create(wire, wire.admin(), validation="approval", points=50)
    evidence = {"text": "I rode.\nTwice.", "url": "https://example.org/photo.jpg"}
    done = wire.post(f"/api/challenges/{challenge['id']}/complete", ada, json={"evidence": evidence})
    assert (done.status_code, done.json["completion"]["status"]) == (201, "pending")
    assert (done.json["rewards"]["points"], done.json["score"]["total"]) == (0, 0)
    assert wire.read(f"/api/challenges/{challenge['id']}", ada)["completed"] is False
    (waiting,) = wire.read("/api/submissions", examiner, headers={"Accept-Language": "fr"})["items"]
    assert set(waiting) == COMPLETION | {"display_name", "challenge_title", "evidence"}
    assert (waiting["display_name"], waiting["challenge_title"], waiting["evidence"]) == ("Ada", "Vélo", evidence)
    path = f"/api/submissions/{waiting['id']}"
    assert_problem(wire.get("/api/submissions", ada), 403, "forbidden")
    assert_problem(wire.post(f"{path}/approve", ada), 403, "forbidden")
    approved = wire.post(f"{path}/approve", examiner)
    assert (approved.status_code, approved.json["completion"]["status"]) == (200, "validated")
    assert approved.json["score"] == {"total": 50, "challenge_points": 50, "badge_points": 0}
    assert wire.read("/api/submissions", examiner)["items"] == []
    assert_problem(wire.post(f"{path}/approve", examiner), 409, "not_pending")
    assert_problem(wire.post("/api/submissions/999999/approve", examiner), 404, "not_found")
    assert wire.read(f"/api/challenges/{challenge['id']}", ada)["completed"] is True


def test_a_rejected_submission_may_be_tried_again(wire: Wire, ada: Person, root: Person) -> None:
    complete_path = f"/api/challenges/{make_challenge(validation='approval').id}/complete"
    first = wire.post(complete_path, ada, json={}).json["completion"]["id"]
    assert_problem(wire.post(complete_path, ada, json={}), 409, "already_completed")
    assert_problem(wire.post(f"/api/submissions/{first}/reject", root, json={}), 422, "validation_failed")
    rejected = wire.post(f"/api/submissions/{first}/reject", root, json={"reason": "No photo."})
    assert (rejected.status_code, rejected.json["completion"]["reason"]) == (200, "No photo.")
    assert rejected.json["completion"]["status"] == "rejected"
    assert wire.post(complete_path, ada, json={}).status_code == 201
    summaries = [event["summary"] for event in wire.items(f"{ada.path}/history", ada)]
    assert any("No photo." in summary for summary in summaries)


def test_nobody_approves_their_own(wire: Wire) -> None:
    teacher = wire.join("instructor")
    path = f"/api/challenges/{make_challenge(validation='approval').id}/complete"
    own = wire.post(path, teacher, json={}).json["completion"]["id"]
    assert assert_problem(wire.post(f"/api/submissions/{own}/approve", teacher), 403)["code"] == "self_review"


def test_a_revocation_takes_everything_back(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("first_step")
    done = complete(ada.actor, make_challenge(points=20)).completion
    path = f"{ada.path}/completions/{done.id}/revoke"
    for who in (ada, wire.join("instructor"), wire.join("examiner")):
        assert_problem(wire.post(path, who, json={"reason": "x"}), 403, "forbidden")
    assert_problem(wire.post(path, root, json={}), 422, "validation_failed")
    wrong = f"{wire.join().path}/completions/{done.id}/revoke"
    assert_problem(wire.post(wrong, root, json={"reason": "x"}), 404, "not_found")
    revoked = wire.post(path, root, json={"reason": "Done by a friend."})
    assert (revoked.status_code, revoked.json["completion"]["status"]) == (200, "revoked")
    assert revoked.json["score"] == {"total": 0, "challenge_points": 0, "badge_points": 0}
    progress = wire.read(f"{ada.path}/progress", ada)
    assert (progress["score"]["total"], progress["badges"], progress["level"]["xp"]) == (0, [], 0)
    assert (progress["challenges"]["completed"], progress["eco"]["co2e_grams_saved"]) == (0, 0)
    assert wire.read("/api/leaderboards/global/me", ada)["rank"] is None
    assert wire.read("/api/badges/first_step", ada)["holders"] == 0
    assert_problem(wire.post(path, root, json={"reason": "x"}), 409, "not_revocable")


def test_edits_are_checked(wire: Wire, root: Person) -> None:
    path = f"/api/challenges/{create(wire, root, slug='one')['id']}"
    create(wire, root, slug="two")
    assert_problem(wire.patch(path, root, json={"slug": "two"}), 409, "slug_taken")
    assert_problem(wire.post("/api/challenges", root, json={**NEW, "slug": "one"}), 409, "slug_taken")
    for changes, pointer in [
        ({"points": -1}, "/points"),
        ({"points": "5"}, "/points"),
        ({"slug": "No Slug"}, "/slug"),
        ({"validation": "answer"}, "/answers"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "/ends_at"),
        ({"starts_at": "2026-01-02T00:00:00"}, "/starts_at"),
        ({"colour": "red"}, "/colour"),
        ({"translations": {"en": {"title": "x"}}}, "/translations/en/description"),
    ]:
        problem = assert_problem(wire.patch(path, root, json=changes), 422, "validation_failed")
        assert list(pointers(problem)) == [pointer], changes
    assert_problem(wire.patch("/api/challenges/999999", root, json={"points": 1}), 404, "not_found")
    assert wire.read(path, root)["version"] == 1


def test_an_edit_does_not_change_what_was_earned(wire: Wire, ada: Person) -> None:
    challenge = make_challenge(points=20)
    complete(ada.actor, challenge)
    wire.patch(f"/api/challenges/{challenge.id}", wire.admin(), json={"points": 99})
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 20
    assert admin().user_id != ada.id


@pytest.mark.parametrize(
    ("cadence", "again_on"),
    [
        ("once", None),
        ("event", None),
        ("daily", "2026-05-07"),
        ("weekly", "2026-05-11"),
        ("monthly", "2026-06-01"),
        ("seasonal", "2026-06-01"),
    ],
)
def test_a_refusal_says_what_it_rests_on(wire: Wire, ada: Person, cadence: str, again_on: str | None) -> None:
    challenge = make_challenge(cadence=cadence)
    path = f"/api/challenges/{challenge.id}/complete"
    with time_machine.travel("2026-05-06T10:00:00Z", tick=False):
        done = wire.post(path, ada, json={}).json["completion"]
        refused = wire.post(path, ada, json={})
    assert_problem(refused, 409, "already_completed")
    why = refused.json["why"]
    assert (why["completion_id"], why["completed_at"], why["status"]) == (
        done["id"],
        "2026-05-06T10:00:00Z",
        "validated",
    )
    assert why["again_on"] == again_on


def test_a_closed_challenge_says_when_it_was_open(wire: Wire, ada: Person) -> None:
    over = make_challenge(ends_at=datetime(2026, 1, 1, tzinfo=UTC))
    refused = wire.post(f"/api/challenges/{over.id}/complete", ada, json={})
    assert_problem(refused, 409, "challenge_closed")
    assert refused.json["why"] == {"is_published": True, "starts_at": None, "ends_at": "2026-01-01T00:00:00Z"}


def test_a_challenge_can_promise_a_badge(wire: Wire, ada: Person, root: Person) -> None:
    make_badge("night_watch", criteria={"points": {"at_least": 100_000}})
    body = {**NEW, "slug": "night-walk", "reward_badge": "night_watch"}
    made = wire.post("/api/challenges", root, json=body)
    assert (made.status_code, made.json["reward_badge"]) == (201, "night_watch")
    path = f"/api/challenges/{made.json['id']}"
    for wrong, code in (("nothing", "unknown_badge"), ("Night Watch", "invalid"), (7, "wrong_type")):
        problem = assert_problem(wire.patch(path, root, json={"reward_badge": wrong}), 422, "validation_failed")
        assert pointers(problem) == {"/reward_badge": code}
    seen = wire.read(path, ada)
    assert (seen["reward_badge"], seen["reward_badges"]) == ("night_watch", ["night_watch"])
    (badge,) = wire.post(f"{path}/complete", ada, json={}).json["rewards"]["badges"]
    assert (badge["code"], badge["points"]) == ("night_watch", 10)
    for _ in range(2):
        (award,) = wire.read(f"{ada.path}/badges", ada)["items"]
        assert (award["origin"], award["why"]) == ("challenge", f"For the challenge “{made.json['title']}”")
        drain()
    assert_problem(wire.patch(path, root, json={"reward_badge": None}), 409, "challenge_in_use")
