"""Outages of MongoDB: nothing is counted against an event, nothing is lost, commands go on."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay
from rebootcamp.storage import mongo
from tests.factories import complete, drain, make_badge, make_challenge
from tests.relay.tools import (
    assert_stores_agree,
    close_breaker,
    documents,
    fault,
    journal_size,
    make_learners,
    restore_outbox,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")

CLOSED: dict[str, Any] = {"closeConnection": True}
UNSURE: dict[str, Any] = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


def two_learners_with_a_badge() -> list[Actor]:
    make_badge("first_step")
    learners, task = make_learners(2), make_challenge()
    for learner in learners:
        complete(learner, task)
    return learners


@pytest.mark.parametrize(
    ("command", "data"),
    [
        pytest.param("insert", CLOSED, id="insert, connection closed"),
        pytest.param("update", CLOSED, id="update, connection closed"),
        pytest.param("insert", UNSURE, id="insert, write concern"),
        pytest.param("update", UNSURE, id="update, write concern"),
        pytest.param("find", {"errorCode": 10107}, id="find, not primary"),
        pytest.param("insert", {"errorCode": 11600}, id="insert, interrupted"),
    ],
)
def test_outage_is_no_attempt_and_loses_nothing(committed_db: Flask, command: str, data: dict[str, Any]) -> None:
    learners, task = two_learners_with_a_badge(), make_challenge()
    Relay(1, 0.01).deliver_batch()
    left = len(waiting())
    with fault(failCommands=[command], **data):
        with pytest.raises(mongo.MongoUnavailable):
            Relay(100, 0.01).deliver_batch()
        complete(learners[0], task)
    assert len(waiting()) == left + 1
    assert {(entry.attempts, entry.dead_at) for entry in waiting()} == {(0, None)}
    close_breaker(committed_db)
    drain()
    assert waiting() == []
    assert_stores_agree()


def test_one_lost_answer_is_asked_again_by_the_driver_and_doubles_nothing() -> None:
    two_learners_with_a_badge()
    with fault({"times": 1}, failCommands=["insert"], closeConnection=True):
        assert drain() == journal_size()
    assert_stores_agree()


@pytest.mark.parametrize("command", ["insert", "update"])
def test_lost_write_concern_on_a_redelivery_is_not_taken_for_done(committed_db: Flask, command: str) -> None:
    two_learners_with_a_badge()
    drain()
    before = documents()
    restore_outbox()
    with (
        fault(failCommands=[command], **UNSURE),
        pytest.raises(mongo.MongoUnavailable),
    ):
        Relay(100, 0.01).deliver_batch()
    assert len(waiting()) == journal_size()
    assert {entry.attempts for entry in waiting()} == {0}
    close_breaker(committed_db)
    drain()
    assert documents() == before
    assert_stores_agree()


def test_server_that_does_not_answer_is_left_after_the_time_limit(committed_db: Flask) -> None:
    two_learners_with_a_badge()
    with (
        fault(failCommands=["insert"], blockConnection=True, blockTimeMS=3000),
        pytest.raises(mongo.MongoUnavailable),
    ):
        Relay(100, 0.01).deliver_batch()
    assert {entry.attempts for entry in waiting()} == {0}
    close_breaker(committed_db)
    drain()
    assert_stores_agree()
