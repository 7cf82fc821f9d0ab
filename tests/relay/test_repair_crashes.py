"""kill -9 in the middle of a repair: the next one, or any relay, goes on."""

from __future__ import annotations

import signal

import pytest

from rebootcamp.services.integrity import check_stores, repair_stores
from rebootcamp.storage import mongo
from tests.factories import drain
from tests.relay.tools import documents, execute
from tests.relay.workers import Workers
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.mark.parametrize("failpoint", ["repair.enqueued", "repair.copied", "repair.moved", "repair.counted"])
def test_killed_repair_is_finished_by_the_next_one(workers: Workers, failpoint: str) -> None:
    ada, _ = sound_stores()
    before = documents()
    told = {"user_id": ada.user_id, "data": {"$ne": {}}}
    spoilt = mongo.collection("history").update_many(told, {"$set": {"data": {}}}).modified_count
    mongo.collection("progress").update_one({"_id": ada.user_id}, {"$inc": {"seq": 5}})
    execute("DELETE FROM leaderboard_counts")
    assert workers.run("repair", failpoints=failpoint).status == -signal.SIGKILL
    repair_stores(lambda action: None)
    drain()
    assert documents() == before
    assert check_stores().findings == []
    assert mongo.collection("_quarantine").count_documents({}) == spoilt + 1


def test_relay_finishes_what_a_killed_repair_had_begun(workers: Workers) -> None:
    ada, _ = sound_stores()
    before = documents()
    mongo.collection("history").delete_many({"user_id": ada.user_id})
    mongo.collection("progress").delete_one({"_id": ada.user_id})
    workers.run("repair", failpoints="repair.enqueued")
    drain()
    assert documents() == before
    assert check_stores().findings == []
