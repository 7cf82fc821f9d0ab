"""Without the relay, without MongoDB, without PostgreSQL: what is still right, what is refused, how it comes back."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import requests

from tests.acceptance.conftest import Plant
from tests.acceptance.service import Caller, Service, at_once, eventually


@pytest.fixture
def ada(plant: Plant) -> Caller:
    """A learner with one delivered completion and a badge for the second one."""
    service, ada = plant.service, plant.service.join()
    for badge in ada.read("/api/badges?limit=100")["items"]:
        retired = service.admin().send("PATCH", f"/api/badges/{badge['code']}", json={"is_active": False})
        assert retired.status_code == 200
    service.make_badge(2, points=15)
    assert ada.complete(service.make_challenge(points=20)).status_code == 201
    eventually(service.is_delivered)
    return ada


def seen(who: Caller) -> dict[str, Any]:
    """Return all that a learner can read, but for how far MongoDB is."""
    progress = who.read(f"{who.path}/progress")
    return {
        "progress": {name: part for name, part in progress.items() if name != "consistency"},
        "seq": progress["consistency"]["seq"],
        "history": who.read(f"{who.path}/history"),
        "history by type": who.read(f"{who.path}/history?type=challenge.completed&limit=1"),
        "badges": who.read(f"{who.path}/badges"),
        "score": who.read(f"{who.path}/score"),
        "board": who.read("/api/leaderboards/global?limit=100"),
        "me": who.read("/api/leaderboards/global/me"),
        "catalogue": who.read("/api/badges?limit=100"),
    }


def assert_second_completion_shows(who: Caller) -> None:
    found = seen(who)
    assert found["progress"]["score"] == {"total": 40, "challenge_points": 25, "badge_points": 15}
    assert (found["seq"], len(found["progress"]["badges"]), len(found["badges"]["items"])) == (4, 1, 1)
    assert [event["seq"] for event in found["history"]["items"]] == [4, 3, 2, 1]
    assert [event["seq"] for event in found["progress"]["recent"]] == [4, 3, 2, 1]
    assert [event["seq"] for event in found["history by type"]["items"]] == [3]
    assert sum(item["points"] for item in found["score"]["items"]) == 40
    assert found["me"]["score"] == 40
    assert who.id in [item["user"]["id"] for item in found["board"]["items"]]


def consistency(who: Caller) -> dict[str, Any]:
    found: dict[str, Any] = who.read(f"{who.path}/progress")["consistency"]
    return found


def refused(answer: requests.Response) -> tuple[int, str]:
    """Return status and code of a refusal that says when to come back."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    return answer.status_code, answer.json()["code"]


def test_without_the_relay_reads_are_right_at_once(plant: Plant, ada: Caller) -> None:
    plant.service.stop_relay()
    assert ada.complete(plant.service.make_challenge(points=5)).status_code == 201
    assert consistency(ada) == {"seq": 4, "projected_seq": 2, "degraded": False}
    assert_second_completion_shows(ada)
    before = seen(ada)
    assert plant.service.ready()["checks"]["outbox"]["pending"] >= 2
    plant.service.start_relay()
    plant.service.assert_stores_agree()
    assert consistency(ada) == {"seq": 4, "projected_seq": 4, "degraded": False}
    assert seen(ada) == before


def test_without_mongodb_the_same_numbers_are_read_and_commands_succeed(plant: Plant, ada: Caller) -> None:
    service, mongo = plant.service, plant.servers.mongo
    assert mongo is not None
    challenge, before = service.make_challenge(points=5), seen(ada)
    mongo.kill()
    assert consistency(ada) == {"seq": 2, "projected_seq": 0, "degraded": True}
    assert seen(ada) == before
    done = ada.complete(challenge, "during-the-outage")
    assert (done.status_code, done.json()["score"]["total"]) == (201, 40)
    assert_second_completion_shows(ada)
    answer = ada.send("GET", f"{ada.path}/progress")
    assert (answer.json()["consistency"]["degraded"], answer.headers.get("ETag")) == (True, None)
    ready = service.send("GET", "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["mongodb"] == {"status": "down", "latency_ms": None}
    during = seen(ada)
    lose_postgresql_too(plant, ada)
    assert seen(ada) == during
    mongo.start()
    assert_mongodb_is_used_again(service, ada, during)


def lose_postgresql_too(plant: Plant, ada: Caller) -> None:
    """Without both stores the service says so, and with one of them it is as good as before."""
    assert plant.servers.postgres is not None
    plant.servers.postgres.kill()
    assert refused(ada.send("GET", f"{ada.path}/progress")) == (503, "database_unavailable")
    assert plant.service.send("GET", "/livez").status_code == 200
    plant.servers.postgres.start()
    eventually(lambda: plant.service.ready().get("status") == "degraded")
    assert consistency(ada)["degraded"] is True


def assert_mongodb_is_used_again(service: Service, ada: Caller, during: dict[str, Any]) -> None:
    eventually(lambda: all(not consistency(ada)["degraded"] for _ in range(8)))
    service.assert_stores_agree()
    assert consistency(ada) == {"seq": 4, "projected_seq": 4, "degraded": False}
    assert seen(ada) == during


def test_an_outage_is_paid_for_once_not_by_every_request(plant: Plant, ada: Caller) -> None:
    """A server that hangs is the worst one: every request could wait for it."""
    assert plant.servers.mongo is not None
    challenge = plant.service.make_challenge(points=5)
    os.kill(plant.servers.mongo.pid, signal.SIGSTOP)
    try:
        # Each of two workers must meet the outage before it knows about it.
        at_once([lambda: consistency(ada)] * 8)
        started = time.monotonic()
        assert ada.complete(challenge).status_code == 201
        assert_second_completion_shows(ada)
        assert time.monotonic() - started < 3
        during = seen(ada)
    finally:
        os.kill(plant.servers.mongo.pid, signal.SIGCONT)
    assert_mongodb_is_used_again(plant.service, ada, during)


def assert_everything_is_refused(service: Service, ada: Caller, challenge: int) -> None:
    for path in (f"{ada.path}/progress", f"{ada.path}/history", "/api/challenges", "/api/leaderboards/global"):
        assert refused(ada.send("GET", path)) == (503, "database_unavailable")
        revalidation = {"If-None-Match": "*", "Accept-Language": "fr"}
        again = ada.send("GET", path, headers=revalidation)
        assert refused(again) == (503, "database_unavailable")
        assert again.json()["title"] == "Base de données indisponible"
    for key in (None, "kept-for-later"):
        assert refused(ada.complete(challenge, key)) == (503, "database_unavailable")
    credentials = {"email": "nobody@example.org", "password": "correct horse battery"}
    assert refused(service.send("POST", "/api/auth/login", json=credentials)) == (503, "database_unavailable")
    assert service.send("GET", "/livez").status_code == 200
    assert service.send("GET", "/api/openapi.json").status_code == 200
    assert service.send("GET", f"{ada.path}/progress").status_code == 401
    ready = service.send("GET", "/readyz")
    assert refused(ready) == (503, "database_unavailable")
    assert ready.json()["checks"]["postgresql"]["status"] == "down"


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_without_postgresql_everything_is_refused_and_comes_back_alone(plant: Plant, ada: Caller, way: str) -> None:
    service, postgres = plant.service, plant.servers.postgres
    assert postgres is not None
    assert service.web is not None
    challenge, before, workers = service.make_challenge(points=5), seen(ada), service.workers()
    getattr(postgres, way)()
    # Backends outlive a killed postmaster for a moment, and may still answer.
    eventually(lambda: ada.send("GET", "/api/challenges").status_code == 503)
    assert_everything_is_refused(service, ada, challenge)
    postgres.start()
    eventually(lambda: service.send("GET", "/readyz").status_code == 200)
    found = seen(ada)
    assert found == before
    done = eventually(
        lambda: answer if (answer := ada.complete(challenge, "kept-for-later")).status_code < 500 else None
    )
    assert (done.status_code, done.headers.get("Idempotent-Replayed")) == (201, None)
    assert (service.workers(), service.web.poll()) == (workers, None)
    assert service.relay is not None
    assert service.relay.poll() is None
    service.assert_stores_agree()
    assert_second_completion_shows(ada)


def test_reads_survive_a_restart_of_postgresql_without_an_error(plant: Plant, ada: Caller) -> None:
    """Pooled connections are dead after a restart; a read is asked again, and nobody notices."""
    assert plant.servers.postgres is not None
    for _ in range(8):
        ada.read(f"{ada.path}/progress")
    plant.servers.postgres.stop()
    plant.servers.postgres.start()
    answers = [ada.send("GET", f"{ada.path}/{name}") for name in ("progress", "history", "score", "badges") * 4]
    assert {answer.status_code for answer in answers} == {200}


def test_a_restart_of_postgresql_costs_each_worker_one_refused_command_at_most(plant: Plant, ada: Caller) -> None:
    assert plant.servers.postgres is not None
    challenges = [plant.service.make_challenge(points=1) for _ in range(8)]
    # In parallel, so that every worker holds several connections.
    assert plant.is_settled()
    plant.servers.postgres.stop()
    plant.servers.postgres.start()
    answers = [ada.complete(challenge) for challenge in challenges]
    assert [answer.status_code for answer in answers].count(503) <= len(plant.service.workers())
    assert {answer.status_code for answer in answers} <= {201, 503}
