"""The check finds whatever is wrong in either store, names it, and never cries wolf."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.services import badges, challenges
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import execute, make_learners

pytestmark = pytest.mark.usefixtures("committed_db")


def sound_stores() -> tuple[Actor, Actor]:
    """Return Ada and Bob, who completed, lost, earned and were given things; all of it is shown."""
    make_badge("first_step")
    make_badge("second_step", at_least=2)
    make_badge("gift", criteria={"points": {"at_least": 10_000}})
    ada, bob = make_learners(2)
    tasks = [make_challenge() for _ in range(3)]
    done = [complete(learner, task) for learner in (ada, bob) for task in tasks]
    complete(bob, make_challenge(validation="approval"))
    challenges.revoke_completion(admin(), bob.user_id, done[-1].completion.id, reason="A test.")
    for learner in (ada, bob):
        badges.award_badge(admin(), learner.user_id, "gift", reason="For the help.")
    badges.revoke_badge(admin(), bob.user_id, "gift", reason="Wrong person.")
    drain()
    return ada, bob


def found() -> set[str]:
    db.session.remove()
    return {finding.invariant for finding in check_stores().findings}


def test_sound_stores_have_no_findings() -> None:
    sound_stores()
    assert found() == set()


@pytest.mark.parametrize("table", ["activity_events", "xp_entries"])
def test_a_ledger_is_only_appended_to(table: str) -> None:
    sound_stores()
    for statement in (f"UPDATE {table} SET points = 0", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"), db.engine.begin() as connection:
            connection.execute(sa.text(statement))
    assert found() == set()


@pytest.mark.parametrize("collection", ["history", "progress", "awards", "badges"])
def test_missing_validator_is_found(collection: str) -> None:
    mongo.database().command("collMod", collection, validator={})
    try:
        assert found() == {"schema"}
    finally:
        apply_schema(mongo.database())


def test_missing_index_is_found() -> None:
    mongo.collection("history").drop_index("line")
    try:
        assert found() == {"schema"}
    finally:
        apply_schema(mongo.database())


def test_finding_names_the_learner_and_both_values() -> None:
    ada, _ = sound_stores()
    execute("UPDATE leaderboard_entries SET score = 7 WHERE board = 'global' AND user_id = :ada", ada=ada.user_id)
    db.session.remove()
    (finding,) = check_stores().findings
    assert finding.subject == f"global/all/{ada.user_id}"
    assert re.fullmatch(r"found '7 since (\S+Z)', expected '90 since \1'", finding.detail)


def test_events_that_wait_are_pending_not_wrong() -> None:
    ada, _ = sound_stores()
    complete(ada, make_challenge())
    db.session.remove()
    report = check_stores()
    assert (report.findings, report.pending) == ([], 1)


def test_documents_of_before_badges_could_end_are_as_sound() -> None:
    """What the first release left in both stores: nothing there speaks of an end."""
    sound_stores()
    payloads = db.session.scalars(sa.text("SELECT payload FROM activity_events WHERE type = 'badge.awarded'")).all()
    assert payloads
    assert not any("expires_at" in payload for payload in payloads)
    mongo.collection("awards").update_many({}, {"$unset": {"expires_at": ""}}, bypass_document_validation=True)
    assert found() == set()


def test_command_tells_one_learner_from_all_and_repairs(committed_db: Flask) -> None:
    ada, bob = sound_stores()
    mongo.collection("history").delete_one({"user_id": ada.user_id, "seq": 2})
    runner = committed_db.test_cli_runner()

    def run(*options: str) -> tuple[int, str]:
        result = runner.invoke(args=["check", *options])
        return result.exit_code, result.stdout

    assert run("--user", str(bob.user_id))[0] == 0
    status, told = run("--user", str(ada.user_id))
    assert (status, "delivered but absent" in told, "→ history: flask check --repair" in told) == (1, True, True)
    assert run("--user", "4711")[0] == 2
    status, told = run("--repair", "--json")
    report = json.loads(told)
    assert (status, report["findings"], report["pending"]) == (0, [], 1)
    assert report["actions"][0] == f"user {ada.user_id} seq 2: to be delivered again"
    drain()
    assert run("--repair")[1].startswith("both stores agree")


def test_a_check_of_many_cuts_finds_the_same() -> None:
    ada, bob = sound_stores()
    for learner in (ada, bob):
        mongo.collection("history").delete_one({"user_id": learner.user_id, "seq": 2})
    mongo.collection("progress").insert_one(
        {"_id": 4711, "seq": 1, "badges": [], "recent": [], "totals": {"challenge_points": 0, "badge_points": 0}}
    )
    execute("UPDATE eco_totals SET value = value + 1")
    whole, told = check_stores(), list[int]()
    assert check_stores(on_progress=told.append, seconds_a_cut=0) == whole
    assert {finding.user_id for finding in whole.findings} == {ada.user_id, bob.user_id, 4711, None}
    assert told[-1] == whole.learners == 3
