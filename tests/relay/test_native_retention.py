"""Native documents go when they should: with their authors, with time, and when no row counts them."""

from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Unauthenticated
from rebootcamp.events.natives import AGE_INDEX
from rebootcamp.models.mongo import NATIVES
from rebootcamp.models.mongo.workshops import CommentDocument
from rebootcamp.models.sql.workshops import Workshop, WorkshopComment
from rebootcamp.services import workshops
from rebootcamp.services.erasures import erase_account, replay_erasures
from rebootcamp.services.jobs import DONE, RUNNING, Outcome, run_job
from rebootcamp.services.workshops.looks import forget_noted, note_view
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import MongoUnavailable
from rebootcamp.storage.mongo_schema import declarations
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import drain, make_actor
from tests.factories.workshops import make_stay
from tests.relay.test_natives import ada as ada  # noqa: PLC0414
from tests.relay.test_natives import assert_each_row_has_its_document, document_of, say, texts
from tests.relay.test_natives import swept as swept  # noqa: PLC0414
from tests.relay.test_natives import workshop as workshop  # noqa: PLC0414
from tests.relay.tools import close_breaker, count, execute, fault, in_threads, started, until

pytestmark = pytest.mark.usefixtures("committed_db")


def test_every_native_of_a_person_goes_with_the_account() -> None:
    of_people = {
        declared["collection"]
        for declared in declarations()
        if not declared["projection"] and "user_id" in declared["validator"]["$jsonSchema"]["properties"]
    }
    assert {native.collection_name for native in NATIVES} == of_people
    aged = {
        declared["collection"]
        for declared in declarations()
        for index in declared["indexes"]
        if index == {"name": AGE_INDEX, "keys": {"at": 1, "_id": 1}}
    }
    assert of_people <= aged


def test_an_erased_persons_comments_are_gone_when_mongodb_is_back(
    committed_db: Flask, workshop: Workshop, ada: Actor, tmp_path: Path
) -> None:
    bob, log = make_actor(), tmp_path / "erasures.jsonl"
    make_stay(workshop, bob)
    kept, erased = say(bob, workshop, "Kept"), say(ada, workshop, "Erased")
    workshops.edit_comment(ada, workshop.id, erased, "Erased, too", None)
    execute("UPDATE workshop_comments SET moderation_reason = 'Ada, be kind' WHERE user_id = :id", id=ada.user_id)
    note_view(workshop.id, ada.user_id)
    note_view(workshop.id, bob.user_id)
    drain()
    with fault(failCommands=["find", "insert", "update", "delete"], errorCode=91):
        assert erase_account(ada.user_id, log) is True
        assert count(WorkshopComment) == 2
        with pytest.raises(MongoUnavailable):
            drain()
    close_breaker(committed_db)
    assert len(texts()) == 3
    drain()
    assert_gone(ada, {f"{kept}:1": "Kept"}, bob)
    # As a restored backup brings it all back.
    execute("UPDATE users SET erased_at = NULL, is_active = true WHERE id = :id", id=ada.user_id)
    execute("UPDATE workshop_comments SET state = 'visible', moderation_reason = 'Ada!' WHERE id = :id", id=erased)
    CommentDocument.put(document_of("Erased", erased, 1, user_id=ada.user_id))
    assert replay_erasures(log) == 1
    drain()
    assert_gone(ada, {f"{kept}:1": "Kept"}, bob)


def assert_gone(who: Actor, kept: dict[str, str], other: Actor) -> None:
    db.session.remove()
    columns = WorkshopComment.state, WorkshopComment.moderation_reason
    rows = db.session.execute(sa.select(*columns).where(WorkshopComment.user_id == who.user_id)).all()
    assert [tuple(row) for row in rows] == [("deleted", None)]
    assert texts() == kept
    assert mongo.collection("workshop_views").distinct("user_id") == [other.user_id]


def test_what_is_being_said_during_an_erasure_is_erased_with_the_rest(
    committed_db: Flask, workshop: Workshop, ada: Actor, tmp_path: Path
) -> None:
    is_said = threading.Event()

    def write() -> None:
        with transaction():
            say(ada, workshop)
            is_said.set()
            time.sleep(0.4)

    def erase() -> None:
        assert is_said.wait(10)
        erase_account(ada.user_id, tmp_path / "erasures.jsonl")

    in_threads(committed_db, write, erase)
    drain()
    db.session.remove()
    assert db.session.scalars(sa.select(WorkshopComment.state)).all() == ["deleted"]
    assert texts() == {}


def test_who_is_erased_meanwhile_says_nothing(
    committed_db: Flask, workshop: Workshop, ada: Actor, tmp_path: Path
) -> None:
    is_erased = threading.Event()

    def erase() -> None:
        with transaction():
            erase_account(ada.user_id, tmp_path / "erasures.jsonl")
            is_erased.set()
            time.sleep(0.4)

    def write() -> None:
        assert is_erased.wait(10)
        with pytest.raises(Unauthenticated):
            say(ada, workshop)

    in_threads(committed_db, erase, write)
    assert (count(WorkshopComment), texts()) == (0, {})


def tidied(**time_later: float) -> dict[str, int]:
    """Run the job some time from now."""
    outcomes = list[Outcome]()
    with time_machine.travel(clock.now() + timedelta(**time_later), tick=True):
        # The lock of the run before may outlive it for a moment.
        until(lambda: (outcome := run_job("workshop-log")).state != RUNNING and outcomes.append(outcome) is None)
    (outcome,) = outcomes
    assert (outcome.state, outcome.error) == (DONE, None)
    db.session.remove()
    return dict(outcome.counts or {})


def test_the_job_removes_what_no_comment_counts(workshop: Workshop, ada: Actor) -> None:
    one, two = say(ada, workshop, "One"), say(ada, workshop, "Two")
    workshops.edit_comment(ada, workshop.id, one, "One, again", None)
    workshops.delete_comment(ada, workshop.id, two)
    for orphan in (document_of("No row", 900, 1), document_of("Killed", one, 3), document_of("Gone", two, 2)):
        CommentDocument.put(orphan)
    kept = {f"{one}:1": "One", f"{one}:2": "One, again"}
    assert tidied(hours=23) == {"views": 0, "texts": 2, "orphans": 0}
    assert texts() == {**kept, "900:1": "No row", f"{one}:3": "Killed"}
    assert tidied(hours=25) == {"views": 0, "texts": 0, "orphans": 2}
    assert texts() == kept
    CommentDocument.put(document_of("Came back", two, 1))
    assert tidied(hours=25) == {"views": 0, "texts": 0, "orphans": 1}
    assert_each_row_has_its_document()


def test_a_job_killed_between_texts_and_rows_is_completed_by_the_next(
    committed_db: Flask, workshop: Workshop, ada: Actor
) -> None:
    workshops.delete_comment(ada, workshop.id, say(ada, workshop))
    command = ("jobs", "run", "workshop-log")
    with started(committed_db, *command, TEST_FAILPOINTS="workshop_log.texts_removed") as killed:
        assert killed.wait(30) == -signal.SIGKILL
    assert texts() == {}
    until(lambda: tidied()["texts"] == 0)
    assert db.session.scalars(sa.select(WorkshopComment.text_hash)).all() == [b""]


def test_views_are_noted_once_a_day_and_kept_for_a_year(workshop: Workshop, ada: Actor) -> None:
    for _ in range(3):
        note_view(workshop.id, ada.user_id)
        forget_noted()
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        note_view(workshop.id, ada.user_id)
    today = mongo.collection("workshop_views").find_one({}, sort=[("at", 1)])
    assert today is not None
    assert today["_id"] == f"{workshop.id}:{ada.user_id}:{today['at']:%Y-%m-%d}"
    assert mongo.collection("workshop_views").count_documents({}) == 2
    assert tidied(days=364, hours=23)["views"] == 0
    assert tidied(days=365, hours=1)["views"] == 1
    assert mongo.collection("workshop_views").count_documents({}) == 1


def test_a_view_never_fails_nor_keeps_a_reader_waiting(committed_db: Flask, workshop: Workshop, ada: Actor) -> None:
    mongo.database_name()
    began = time.monotonic()
    with fault(failCommands=["insert"], blockConnection=True, blockTimeMS=3000):
        for _ in range(5):
            note_view(workshop.id, ada.user_id)
        assert time.monotonic() - began < 2
    close_breaker(committed_db)
    with fault(failCommands=["insert"], errorCode=121):
        note_view(workshop.id, ada.user_id)
    assert mongo.collection("workshop_views").count_documents({}) <= 1
    note_view(workshop.id, ada.user_id)
    mongo.collection("workshop_views").delete_many({})
    # It is known here that this was noted.
    note_view(workshop.id, ada.user_id)
    assert mongo.collection("workshop_views").count_documents({}) == 0
