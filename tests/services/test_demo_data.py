"""The two demo dumps are one truth: each file against the other, and both loaded into real stores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from rebootcamp.app import create_app
from rebootcamp.cli.demo.dump import dump_demo
from rebootcamp.cli.demo.files import MONGO_DUMP, SQL_DUMP
from rebootcamp.cli.demo.history import PASSWORD, PASSWORD_HASH
from rebootcamp.config import Settings
from rebootcamp.integrations.passwords import needs_rehash, verify_password
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.badges import RuleMeasure
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.backfills import run_backfills
from rebootcamp.services.backups.plain import read_mongo, read_sql
from rebootcamp.services.badges import get_backfill, preview_badge
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, make_actor, make_badge
from tests.relay.tools import execute
from tests.stores import create_pair

Rows = list[dict[str, str]]
LARGEST = 8_000_000
DEMO_ACCOUNTS = {
    "admin@example.org": "admin",
    "instructor@example.org": "instructor",
    "examiner@example.org": "examiner",
    "student@example.org": "student",
}


@pytest.fixture(scope="module")
def tables() -> dict[str, Rows]:
    """The rows of the SQL dump, parsed from the file alone."""
    found: dict[str, Rows] = {}
    for name, (columns, text) in read_sql(SQL_DUMP).copies.items():
        names = columns.strip("()").split(", ")
        found[name] = [dict(zip(names, line.split("\t"), strict=True)) for line in text.splitlines()]
    return found


@pytest.fixture(scope="module")
def documents() -> dict[str, list[dict[str, Any]]]:
    return read_mongo(MONGO_DUMP)


@pytest.fixture(scope="module")
def loaded(settings: Settings) -> Flask:
    """An application on a pair of its own into which the dumps were loaded."""
    return load(settings, "demo_data")


@pytest.fixture
def runner(loaded: Flask) -> Iterator[FlaskCliRunner]:
    with using(loaded) as found:
        yield found


@pytest.fixture
def played(settings: Settings) -> Iterator[FlaskCliRunner]:
    """The same on a pair that the test may change."""
    with using(load(settings, "demo_played")) as found:
        yield found


def load(settings: Settings, name: str) -> Flask:
    application = create_app(create_pair(settings, name))
    result = application.test_cli_runner().invoke(args=["demo", "load"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return application


@contextmanager
def using(application: Flask) -> Iterator[FlaskCliRunner]:
    mongo.configure(application.config["REBOOTCAMP"])
    with application.app_context():
        yield application.test_cli_runner()
        db.session.remove()
        db.engine.dispose()


def test_every_event_is_in_both_dumps(tables: dict[str, Rows], documents: dict[str, list[dict[str, Any]]]) -> None:
    events = {(row["event_id"], int(row["user_id"]), int(row["seq"]), row["type"]) for row in tables["activity_events"]}
    history = {(doc["_id"], doc["user_id"], doc["seq"], doc["type"]) for doc in documents["history"]}
    assert len(events) == len(tables["activity_events"])
    assert history == events


def test_held_awards_are_the_grants(tables: dict[str, Rows], documents: dict[str, list[dict[str, Any]]]) -> None:
    grants = {
        (int(row["user_id"]), row["badge_code"], int(row["points"]), row["event_id"])
        for row in tables["badge_grants"]
        if row["revoked_at"] == "\\N"
    }
    awards = {
        (doc["user_id"], doc["badge"], doc["points"], doc["event_id"])
        for doc in documents["awards"]
        if doc["state"] == "held"
    }
    assert awards == grants
    assert any(doc["state"] == "revoked" for doc in documents["awards"])


def test_summaries_show_the_totals(tables: dict[str, Rows], documents: dict[str, list[dict[str, Any]]]) -> None:
    states = {
        int(row["user_id"]): (int(row["last_seq"]), int(row["challenge_points"]), int(row["badge_points"]))
        for row in tables["learner_states"]
    }
    summaries = {
        doc["_id"]: (doc["seq"], doc["totals"]["challenge_points"], doc["totals"]["badge_points"])
        for doc in documents["progress"]
    }
    assert summaries == states


def test_both_dumps_name_the_same_store(tables: dict[str, Rows], documents: dict[str, list[dict[str, Any]]]) -> None:
    (identity,), (mark,) = tables["app_meta"], documents["meta"]
    assert mark["store_id"] == identity["store_id"]
    assert mark["epoch"] == int(identity["epoch"])
    assert json.loads(MONGO_DUMP.read_text(encoding="utf-8"))["database"] == identity["mongo_database"]
    assert {doc["_id"] for doc in documents["badges"]} == {row["code"] for row in tables["badge_definitions"]}


def test_demo_set_is_rich_enough(tables: dict[str, Rows]) -> None:
    learners = [row for row in tables["users"] if row["role"] == "student"]
    days = [date.fromisoformat(row["local_date"]) for row in tables["activity_events"]]
    assert len(learners) >= 30
    assert len({row["timezone"] for row in learners}) >= 10
    assert {row["locale"] for row in learners} == {"en", "fr"}
    assert len(tables["challenges"]) >= 40
    assert len(tables["badge_definitions"]) >= 20
    assert {row["tier"] for row in tables["badge_definitions"]} == {"bronze", "silver", "gold", "legendary"}
    assert {row["tier"] for row in tables["badge_definitions"] if _has_holder(tables, row["code"])} >= {"legendary"}
    assert max(days) - min(days) >= timedelta(days=150)
    assert Counter(row["status"] for row in tables["challenge_completions"]).keys() == {
        "validated",
        "pending",
        "rejected",
        "revoked",
    }


def test_dumps_are_small_and_hold_no_secrets(tables: dict[str, Rows]) -> None:
    assert SQL_DUMP.stat().st_size + MONGO_DUMP.stat().st_size < LARGEST
    assert not tables.keys() & {"refresh_tokens", "idempotency_keys"}
    assert tables["outbox"] == []
    # An older psql stops at this word, and its key is random.
    assert "\\restrict" not in SQL_DUMP.read_text(encoding="utf-8")


def test_demo_accounts_have_the_published_password(tables: dict[str, Rows]) -> None:
    roles = {row["email"]: row["role"] for row in tables["users"]}
    assert roles.items() >= DEMO_ACCOUNTS.items()
    assert {row["password_hash"] for row in tables["users"]} == {PASSWORD_HASH}
    assert verify_password(PASSWORD_HASH, PASSWORD)
    assert not needs_rehash(PASSWORD_HASH)


def test_loaded_stores_agree(runner: FlaskCliRunner, tables: dict[str, Rows]) -> None:
    report = check_stores()
    assert report.findings == []
    assert report.pending == 0
    assert report.events == len(tables["activity_events"])
    result = runner.invoke(args=["check"])
    assert result.exit_code == 0
    assert "both stores agree" in result.output


def test_loading_twice_is_refused(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["demo", "load"])
    assert result.exit_code == 2
    assert "empty pair" in result.output
    again = runner.invoke(args=["prepare", "--demo"])
    assert again.exit_code == 0
    assert "nothing loaded" in again.output


def test_loaded_documents_are_dumped_to_the_same_bytes(runner: FlaskCliRunner, tmp_path: Path) -> None:
    dump_demo(tmp_path, runner.app.config["REBOOTCAMP"])
    assert (tmp_path / "mongo.json").read_bytes() == MONGO_DUMP.read_bytes()


def test_new_rows_follow_the_loaded_ones(runner: FlaskCliRunner) -> None:
    with transaction() as session:
        for entity, sequence in ((User, "users_id_seq"), (Challenge, "challenges_id_seq")):
            largest = session.scalar(sa.select(sa.func.max(entity.id)))
            assert session.scalar(sa.text(f"SELECT nextval('{sequence}')")) > largest


@pytest.mark.usefixtures("played")
def test_rules_go_on_where_the_loaded_learners_are() -> None:
    """Nobody's counters are taken for complete when they are not, nor the other way round."""
    rule = {"count": {"event": "challenge.completed", "distinct": "local_date", "at_least": 3}}
    newcomer = make_actor()
    would_gain = preview_badge(admin(), rule, None).would_gain
    code = make_badge("three_days", criteria=rule)
    assert not run_backfills(60)
    job = get_backfill(admin(), code)
    assert (job.state, job.awarded, would_gain > 30) == ("done", would_gain, True)
    with transaction() as session:
        behind = session.get_one(LearnerState, newcomer.user_id).measured_version
        assert session.scalar(sa.select(sa.func.max(RuleMeasure.since))) <= behind


def test_the_groups_have_members_who_came_and_went(tables: dict[str, Rows]) -> None:
    groups, stays = tables["groups"], tables["group_memberships"]
    current = Counter(stay["group_id"] for stay in stays if stay["left_at"] == "\\N")
    assert {group["id"]: int(group["members"]) for group in groups} == current
    assert Counter(group["kind"] for group in groups) == {"class": 3, "team": 3}
    assert {group["is_open"] for group in groups} == {"t", "f"}
    assert any(group["archived_at"] != "\\N" for group in groups)
    assert len(current) < len(stays)


def _has_holder(tables: dict[str, Rows], code: str) -> bool:
    return any(row["badge_code"] == code and row["revoked_at"] == "\\N" for row in tables["badge_grants"])


def test_production_is_not_prepared_while_everybody_knows_a_password(app: Flask) -> None:
    """Found by the published hash, or by an address of the demo whose password is the published one."""
    production = create_app(replace(app.config["REBOOTCAMP"], app_env="production"))
    student = make_actor(email="student@example.org", password=PASSWORD)
    learner = make_actor(email="learner@school.example")
    execute("UPDATE users SET password_hash = :hash WHERE id = :id", hash=PASSWORD_HASH, id=learner.user_id)
    make_actor(email="admin@example.org", password="a password of one's own")

    def prepare() -> tuple[int, str]:
        with production.app_context():
            done = production.test_cli_runner().invoke(args=["prepare"])
        return done.exit_code, done.output.strip().splitlines()[-1]

    code, line = prepare()
    assert (code, "2 active accounts" in line, "student@example.org" in line) == (2, True, True)
    execute("UPDATE users SET is_active = false WHERE id = :id", id=student.user_id)
    code, line = prepare()
    assert (code, "1 active accounts" in line, "learner@school.example" in line) == (2, True, True)
    execute("UPDATE users SET is_active = false WHERE id = :id", id=learner.user_id)
    assert prepare()[0] == 0
    assert app.test_cli_runner().invoke(args=["prepare"]).exit_code == 0
