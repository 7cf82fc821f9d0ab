"""PostgreSQL names the MongoDB database in use; whoever runs follows it, without a restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rebootcamp.core.actors import Actor
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.relay import Relay
from rebootcamp.events.store import fetch_pending
from rebootcamp.services import progress
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema, declarations
from rebootcamp.web import authentication
from tests.factories import complete, drain, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, execute, in_threads, make_learners, started, until, waiting

pytestmark = pytest.mark.usefixtures("committed_db")

OTHER = "suite_other"


@pytest.fixture(autouse=True)
def other(app: Flask) -> Iterator[None]:
    """The database to switch to, gone before and after."""
    mongo.client().drop_database(OTHER)
    yield
    mongo.client().drop_database(OTHER)


def switch() -> str:
    """Copy everything to the other database and name that one; return the former name. Nothing may be under way."""
    former = mongo.database()
    apply_schema(mongo.client()[OTHER])
    for name in former.list_collection_names():
        if documents := list(former[name].find()):
            mongo.client()[OTHER][name].insert_many(documents)
    execute("UPDATE app_meta SET mongo_database = :name", name=OTHER)
    return former.name


def learner() -> Actor:
    (ada,) = make_learners(1)
    make_badge("first_step")
    complete(ada, make_challenge())
    drain()
    return ada


def get(client: FlaskClient, who: Actor, path: str) -> Any:
    """Read as a signed-in person."""
    verifier = client.application.extensions[authentication.EXTENSION]
    claims = authentication.TokenClaims(who.user_id, 1, 1, float("inf"))
    verifier.remembered["token"] = claims
    answer = client.get(f"/api/users/{who.user_id}/{path}", headers={"Authorization": "Bearer token"})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_requests_follow_a_switch(client: FlaskClient) -> None:
    ada = learner()
    before = get(client, ada, "progress")
    former = switch()
    assert get(client, ada, "progress") == before
    assert mongo.database_name() == OTHER
    complete(ada, make_challenge())
    drain()
    # What the former database shows is behind for ever: nobody may read it any more.
    assert mongo.client()[former]["history"].count_documents({}) == mongo.collection("history").count_documents({}) - 1
    for _ in range(2):
        body = get(client, ada, "progress")
        assert (body["consistency"]["seq"], body["consistency"]["projected_seq"]) == (4, 4)
        assert len(get(client, ada, "history")["items"]) == 4
        assert len(get(client, ada, "badges")["items"]) == 1
    assert_stores_agree()


def test_a_progress_that_was_begun_before_a_switch_is_told_anew() -> None:
    ada = learner()
    switch()
    complete(ada, make_challenge())
    drain()
    mongo.collection("progress").update_one({"_id": ada.user_id}, {"$set": {"totals.badge_points": 11}})
    # As in a process that asked PostgreSQL before the switch and starts its next request now.
    mongo.follow("suite")
    mongo.forget()
    found = progress.get_progress(ada.user_id, ada.user_id)
    assert found is not None
    assert (found.projected_seq, found.summary.totals["badge_points"]) == (4, 11)


def test_lists_read_the_database_that_goes_with_what_is_pending() -> None:
    ada = learner()
    former = switch()
    complete(ada, make_challenge())
    drain()
    # As if the switch had come after the caller was confirmed.
    mongo.follow(former)
    assert len(progress.list_history(ada, ada.user_id, PageRequest(), event_type=None).page.items) == 4
    mongo.follow(former)
    assert fetch_pending(ada.user_id) == []
    assert mongo.database_name() == OTHER


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_a_request_inherits_no_name_from_the_one_before(client: FlaskClient, is_signed_in: bool) -> None:
    ada = learner()
    former = switch()
    mongo.follow(former)
    if is_signed_in:
        get(client, ada, "score")
        # The caller's row brought it: no statement was spent.
        mongo.presume()
    else:
        client.get("/livez")
    assert mongo.database_name() == OTHER


def test_a_thread_that_was_late_does_not_mislead_the_others(committed_db: Flask) -> None:
    learner()
    former = switch()
    mongo.forget()
    assert mongo.database_name() == OTHER
    in_threads(committed_db, lambda: mongo.follow(former))
    assert mongo.database_name() == OTHER
    assert in_threads(committed_db, mongo.database_name) == [OTHER]


def test_a_running_relay_follows_a_switch(committed_db: Flask) -> None:
    ada = learner()
    stop = threading.Event()

    def change() -> None:
        try:
            complete(ada, make_challenge())
            until(lambda: not waiting())
            former = switch()
            complete(ada, make_challenge())
            until(lambda: not waiting())
            shown = [mongo.client()[name]["history"].count_documents({}) for name in (former, OTHER)]
            assert shown[1] == shown[0] + 1
        finally:
            stop.set()

    in_threads(committed_db, lambda: Relay(10, 0.01).run(stop), change)
    assert_stores_agree()


def test_commands_follow_a_switch_whatever_the_settings_say(committed_db: Flask) -> None:
    learner()
    switch()
    for command in ("prepare", "mongo-init", "check"):
        with started(committed_db, command) as done:
            output, _ = done.communicate(timeout=30)
            assert done.returncode == 0, output
            assert command == "check" or f"{len(declarations())} collections in {OTHER}" in output
