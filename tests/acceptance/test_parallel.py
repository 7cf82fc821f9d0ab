"""Many requests at the same moment, over several processes."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from tests.acceptance.service import Caller, Service, at_once

MANY = 32


@pytest.fixture
def ada(service: Service) -> Caller:
    """A learner."""
    return service.join()


def assert_rewarded_once(who: Caller, code: str) -> None:
    progress = who.read(f"{who.path}/progress")
    assert progress["score"] == {"total": 30, "challenge_points": 20, "badge_points": 10}
    assert [badge["code"] for badge in progress["badges"]] == [code]
    assert progress["consistency"]["seq"] == 3
    history = who.read(f"{who.path}/history")["items"]
    assert [event["type"] for event in history] == ["badge.awarded", "challenge.completed", "account.registered"]
    assert sum(item["points"] for item in who.read(f"{who.path}/score")["items"]) == 30


@pytest.fixture
def code(service: Service, ada: Caller) -> str:
    """A badge that Ada's first completion brings, and nobody else's in another test."""
    code = service.make_badge(1)
    # Other tests share the service: their badges must not be hers.
    for badge in ada.read("/api/badges?limit=100")["items"]:
        if badge["code"] != code:
            service.admin().send("PATCH", f"/api/badges/{badge['code']}", json={"is_active": False})
    return code


def test_one_key_is_one_completion_and_one_answer(service: Service, ada: Caller, code: str) -> None:
    challenge = service.make_challenge()
    answers = at_once([partial(ada.complete, challenge, "one-key")] * MANY)
    # Only who waits longer than two seconds is told to come back, which a loaded machine may cause.
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) <= {201, 409}
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in done].count(None) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_progress"}
    assert_rewarded_once(ada, code)
    again = ada.complete(challenge, "one-key")
    assert (again.content, again.headers["Idempotent-Replayed"]) == (done[0].content, "true")
    service.assert_stores_agree()
    assert_rewarded_once(ada, code)


@pytest.mark.parametrize("keyed", [True, False])
def test_many_keys_or_none_are_one_completion(service: Service, ada: Caller, code: str, keyed: bool) -> None:
    challenge = service.make_challenge(cadence="daily")
    keys = [f"key-{number}" if keyed else None for number in range(MANY)]
    answers = at_once([partial(ada.complete, challenge, key) for key in keys])
    codes = Counter(answer.json().get("code", "completed") for answer in answers)
    assert codes["completed"] == 1
    assert set(codes) <= {"completed", "already_completed", "busy", "database_unavailable"}
    assert codes["already_completed"] >= MANY // 2
    assert_rewarded_once(ada, code)
    service.assert_stores_agree()


def test_one_learner_may_do_many_things_at_once(service: Service, ada: Caller) -> None:
    challenges = [service.make_challenge(points=number + 1) for number in range(16)]
    answers = at_once([partial(ada.complete, challenge, f"c-{challenge}") for challenge in challenges])
    assert {answer.status_code for answer in answers} == {201}
    totals = sorted(answer.json()["score"]["challenge_points"] for answer in answers)
    assert totals[-1] == sum(range(1, 17))
    assert len(set(totals)) == 16
    progress = ada.read(f"{ada.path}/progress")
    assert progress["score"]["challenge_points"] == totals[-1]
    seqs = [event["seq"] for event in ada.read(f"{ada.path}/history?limit=100")["items"]]
    assert seqs == list(range(progress["consistency"]["seq"], 0, -1))


def test_many_learners_complete_the_same_challenge(service: Service) -> None:
    learners = at_once([service.join] * 8)
    challenge = service.make_challenge(points=7)
    answers = at_once([partial(learner.complete, challenge, "same-key") for learner in learners])
    assert [answer.status_code for answer in answers] == [201] * 8
    assert {answer.json()["completion"]["user_id"] for answer in answers} == {learner.id for learner in learners}
    for learner in learners:
        assert learner.read("/api/leaderboards/global/me")["score"] >= 7
    service.assert_stores_agree()


def test_a_badge_by_hand_is_given_once(service: Service, ada: Caller) -> None:
    code, body = service.make_badge(1_000_000), {"reason": "Kind."}
    give = partial(service.admin().send, "POST", f"{ada.path}/badges", json={"code": code, **body})
    assert Counter(answer.status_code for answer in at_once([give] * 8)) == {201: 1, 409: 7}
    take = partial(service.admin().send, "POST", f"{ada.path}/badges/{code}/revoke", json=body)
    assert Counter(answer.status_code for answer in at_once([take] * 8)) == {200: 1, 409: 7}
    assert ada.read(f"{ada.path}/progress")["score"]["total"] == 0


def test_an_approval_and_a_rejection_cannot_both_win(service: Service, ada: Caller) -> None:
    challenge = service.make_challenge(validation="approval", points=30)
    for _ in range(4):
        pending = ada.complete(challenge).json()["completion"]["id"]
        send = partial(service.admin().send, "POST")
        approve = partial(send, f"/api/submissions/{pending}/approve")
        reject = partial(send, f"/api/submissions/{pending}/reject", json={"reason": "No."})
        answers = at_once([approve, reject] * 4)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
        (decided,) = [answer.json()["completion"]["status"] for answer in answers if answer.status_code == 200]
        assert ada.read(f"{ada.path}/progress")["score"]["challenge_points"] == (30 if decided == "validated" else 0)
        if decided == "validated":
            break


@pytest.mark.parametrize("kind", ["challenges", "badges"])
def test_two_edits_of_one_version_cannot_both_win(service: Service, kind: str) -> None:
    edited = service.make_challenge() if kind == "challenges" else service.make_badge(1_000_000)
    path, admin = f"/api/{kind}/{edited}", service.admin()
    etag = admin.send("GET", path).headers["ETag"]
    edits = [
        partial(admin.send, "PATCH", path, json={"points": points}, headers={"If-Match": etag}) for points in range(8)
    ]
    answers = at_once(edits)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 7}
    (kept,) = [answer.json()["points"] for answer in answers if answer.status_code == 200]
    assert admin.read(path)["points"] == kept
