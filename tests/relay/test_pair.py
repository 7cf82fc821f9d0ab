"""MongoDB that shows another store is neither written to nor emptied."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask

from rebootcamp.events.pair import ForeignMongoDatabase, Unpaired
from rebootcamp.events.rebuild import rebuild
from rebootcamp.storage import mongo
from tests.factories import complete, drain, make_badge, make_challenge
from tests.relay.tools import (
    assert_stores_agree,
    documents,
    execute,
    journal_size,
    make_learners,
    started,
    until,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")


def give_away() -> Callable[[], object]:
    """Let MongoDB say that it shows another store; return what takes that back."""
    mark = mongo.collection("meta").find_one_and_update({}, {"$set": {"store_id": str(uuid4())}})
    return lambda: mongo.collection("meta").replace_one({}, mark)


def test_nothing_is_delivered_into_a_foreign_mongodb() -> None:
    (ada,) = make_learners(1)
    drain()
    before, take_back = documents(), give_away()
    complete(ada, make_challenge())
    with pytest.raises(ForeignMongoDatabase):
        drain()
    assert documents() == before
    assert [(entry.attempts, entry.dead_at) for entry in waiting()] == [(0, None)]
    take_back()
    drain()
    assert_stores_agree()


def test_badges_are_not_shown_in_a_foreign_mongodb() -> None:
    take_back = give_away()
    make_learners(1)
    execute("DELETE FROM outbox")
    make_badge("first_step")
    with pytest.raises(ForeignMongoDatabase):
        drain()
    assert documents()["badges"] == []
    take_back()
    drain()
    assert [badge["_id"] for badge in documents()["badges"]] == ["first_step"]


def test_a_foreign_mongodb_is_not_rebuilt() -> None:
    make_learners(1)
    drain()
    before = documents()
    give_away()
    with pytest.raises(ForeignMongoDatabase):
        rebuild(lambda step, done: None)
    assert (documents(), waiting()) == (before, [])


def test_nothing_is_delivered_where_the_pair_is_unknown_or_another() -> None:
    make_learners(1)
    mongo.collection("meta").delete_many({})
    with pytest.raises(Unpaired, match="unprepared_stores"):
        drain()
    mongo.collection("meta").insert_one({"_id": "store", "store_id": str(uuid4()), "epoch": 1})
    with pytest.raises(Unpaired, match="foreign_mongo_database"):
        drain()
    assert len(waiting()) == journal_size()


def test_the_relay_waits_and_says_why(committed_db: Flask) -> None:
    make_learners(1)
    take_back = give_away()
    with started(committed_db, "relay", LOG_LEVEL="WARNING") as working:
        assert working.stdout is not None
        line = working.stdout.readline()
        assert "ForeignMongoDatabase" in line
        assert "belongs to another store" in line
        take_back()
        until(lambda: not waiting())
