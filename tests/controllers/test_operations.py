"""Health and figures over HTTP; what happens without a store is in the acceptance tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from flask import current_app
from sqlalchemy.engine import make_url

from rebootcamp.app import create_app
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import complete, drain, make_challenge
from tests.relay.tools import execute


def samples(text: str) -> dict[str, float]:
    """Return the value of each sample line of the Prometheus text format."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z_:][a-zA-Z0-9_:]*(\{.*\})? [0-9.e+-]+(Inf)?", line) for line in lines)
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_the_process_says_that_it_lives(wire: Wire) -> None:
    answer = wire.get("/livez")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_readiness_tells_of_both_stores_and_the_outbox(wire: Wire, ada: Person) -> None:
    complete(ada.actor, make_challenge())
    answer = wire.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    checks = answer.json["checks"]
    assert set(checks) == {"postgresql", "mongodb", "outbox", "mails", "jobs"}
    for store in ("postgresql", "mongodb"):
        assert checks[store]["status"] == "up"
        assert checks[store]["latency_ms"] > 0
    # Two people joined, one of them completed something.
    assert checks["outbox"]["pending"] == 3
    assert checks["outbox"]["oldest_seconds"] >= 0
    assert checks["outbox"]["dead_letters"] == 0
    drain()
    assert wire.read("/readyz")["checks"]["outbox"] == {"pending": 0, "oldest_seconds": 0.0, "dead_letters": 0}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda mark: mark.update_one({}, {"$set": {"store_id": str(uuid4())}}), "foreign_mongo_database"),
        (lambda mark: mark.delete_many({}), "unprepared_stores"),
        (lambda mark: execute("UPDATE app_meta SET mongo_database = 'nobodys'"), "unprepared_stores"),
    ],
)
def test_a_foreign_pair_is_not_ready(wire: Wire, change: Callable[[Any], object], code: str) -> None:
    change(mongo.collection("meta"))
    answer = wire.get("/readyz", headers={"Accept-Language": "fr"})
    problem = assert_problem(answer, 503, code)
    assert problem["title"] == "Bases non appariées"
    assert problem["checks"]["postgresql"]["status"] == problem["checks"]["mongodb"]["status"] == "up"


def test_a_database_without_tables_is_not_ready_and_says_so(wire: Wire) -> None:
    settings = wire.app.config["REBOOTCAMP"]
    with closing(psycopg2.connect(settings.database_url.replace("+psycopg2", ""))) as own:
        own.autocommit = True
        own.cursor().execute("DROP DATABASE IF EXISTS bare WITH (FORCE)")
        own.cursor().execute("CREATE DATABASE bare")
    url = make_url(settings.database_url).set(database="bare").render_as_string(hide_password=False)
    bare = create_app(replace(settings, database_url=url))
    try:
        for path, status in (("/readyz", 503), ("/metrics", 200)):
            answer = bare.test_client().get(path, headers={"Accept-Language": "fr"})
            assert answer.status_code == status, answer.text
            if status == 503:
                problem = assert_problem(answer, 503, "unprepared_database")
                assert "flask prepare" in problem["detail"]
                assert (problem["checks"]["postgresql"]["status"], problem["checks"]["outbox"]) == ("up", None)
            else:
                assert samples(answer.text)["rebootcamp_ready"] == 0
    finally:
        with bare.app_context():
            for engine in db.engines.values():
                engine.dispose()


def test_jobs_that_failed_or_died_are_told(wire: Wire) -> None:
    assert wire.read("/readyz")["checks"]["jobs"] == {"troubled": []}
    run = "INSERT INTO job_runs (name, started_at, finished_at, counts, error) VALUES (:name, now(), {}, '{{}}', {})"
    execute(run.format("now()", "'a reason'"), name="statistics")
    execute(run.format("NULL", "NULL"), name="expired-tokens")
    execute(run.format("now()", "NULL"), name="answer-attempts")
    answer = wire.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["jobs"]) == (200, {"troubled": ["expired-tokens", "statistics"]})
    wire.conforms(answer, "readyz")
    execute(run.format("now()", "NULL"), name="statistics")
    assert wire.read("/readyz")["checks"]["jobs"] == {"troubled": ["expired-tokens"]}


def test_mails_that_wait_or_died_are_told_and_keep_nobody_out(wire: Wire, ada: Person) -> None:
    assert wire.read("/readyz")["checks"]["mails"] == {"waiting": 0, "oldest_seconds": 0.0, "dead": 0}
    columns = "key, user_id, kind, data, created_at, attempts, next_attempt_at, dead_at"
    for key, dead_at in (("one", "NULL"), ("two", "NULL"), ("three", "now()")):
        values = f":key, :user, 'workshop_left', '{{}}', now() - interval '1 hour', 0, now(), {dead_at}"
        execute(f"INSERT INTO mails ({columns}) VALUES ({values})", key=key, user=ada.id)
    answer = wire.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    wire.conforms(answer, "readyz")
    told = answer.json["checks"]["mails"]
    assert (told["waiting"], told["dead"], 3599 < told["oldest_seconds"] < 3660) == (2, 1, True)
    found = samples(wire.get("/metrics").text)
    assert (found["rebootcamp_mails_waiting"], found["rebootcamp_mails_dead"]) == (2, 1)
    assert found["rebootcamp_mails_oldest_seconds"] > 3599


def test_what_to_watch_is_in_the_figures(wire: Wire, ada: Person) -> None:
    complete(ada.actor, make_challenge())
    execute("UPDATE outbox SET dead_at = now() WHERE seq = 2")
    found = samples(wire.get("/metrics").text)
    watched = {name: found[f"rebootcamp_{name}"] for name in ("ready", "postgresql_up", "mongodb_up", "troubled_jobs")}
    assert watched == {"ready": 1, "postgresql_up": 1, "mongodb_up": 1, "troubled_jobs": 0}
    assert (found["rebootcamp_outbox_pending"], found["rebootcamp_outbox_dead_letters"]) == (2, 1)
    assert found["rebootcamp_outbox_oldest_seconds"] >= 0


def end_connections() -> None:
    """End every session of the service, as a restart of PostgreSQL does; return when they are gone."""
    sessions = "FROM pg_stat_activity WHERE application_name = 'rebootcamp' AND pid <> pg_backend_pid()"
    with closing(psycopg2.connect(current_app.config["REBOOTCAMP"].database_url.replace("+psycopg2", ""))) as own:
        own.autocommit = True
        with own.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {sessions} AND datname = current_database()")
            for _ in range(200):
                cursor.execute(f"SELECT count(*) {sessions} AND datname = current_database()")
                if cursor.fetchone() == (0,):
                    return
    raise AssertionError("sessions stayed")


def test_a_restart_of_postgresql_costs_nobody_an_answer(wire: Wire, ada: Person) -> None:
    tasks = [make_challenge() for _ in range(3)]
    for engine in db.engines.values():
        for connection in [engine.connect() for _ in range(3)]:
            connection.close()
    for task in tasks:
        end_connections()
        answer = wire.post(f"/api/challenges/{task.id}/complete", ada, json={})
        assert answer.status_code == 201, answer.text


def test_figures_count_by_route_never_by_address(wire: Wire, ada: Person) -> None:
    def count(rule: str, method: str, status: str) -> float:
        label = f'rebootcamp_http_request_seconds_count{{method="{method}",rule="{rule}",status="{status}"}}'
        return samples(wire.get("/metrics").text).get(label, 0.0)

    rule = "/api/users/&lt;id:user_id&gt;/progress".replace("&lt;", "<").replace("&gt;", ">")
    before = count(rule, "GET", "2xx"), count(rule, "GET", "4xx"), count("unmatched", "GET", "4xx")
    for _ in range(3):
        wire.get(f"{ada.path}/progress", ada)
    wire.get(f"{ada.path}/progress")
    wire.get("/no/such/address?token=secret")
    assert (count(rule, "GET", "2xx"), count(rule, "GET", "4xx")) == (before[0] + 3, before[1] + 1)
    assert count("unmatched", "GET", "4xx") == before[2] + 1
    text = wire.get("/metrics").text
    assert "such/address" not in text
    assert f"/users/{ada.id}/" not in text
    assert wire.get("/metrics").mimetype == "text/plain"


def test_an_invented_method_makes_no_new_figure(wire: Wire) -> None:
    for number in range(3):
        wire.open(f"INVENTED{number}", "/livez")
    assert "INVENTED" not in wire.get("/metrics").text


def test_nobody_needs_a_token_and_nothing_else_is_told(wire: Wire) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert wire.get(path).status_code == 200
        assert wire.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 200
    settings = wire.app.config["REBOOTCAMP"]
    told = wire.get("/readyz").text + wire.get("/metrics").text
    assert settings.secret_key not in told
    assert settings.database_url not in told
