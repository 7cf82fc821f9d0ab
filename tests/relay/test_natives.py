"""Native documents: each row has its document, whatever is killed, copied or switched meanwhile."""

from __future__ import annotations

import gzip
import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from bson import decode_all
from flask import Flask
from sqlalchemy.engine import make_url

from rebootcamp.app import create_app
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy, StaleEdit
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.natives import NativeCopy
from rebootcamp.events.pair import ForeignMongoDatabase
from rebootcamp.integrations import postgresql_tools
from rebootcamp.models.mongo.workshops import CommentDocument
from rebootcamp.models.sql.workshops import Workshop, WorkshopComment
from rebootcamp.services import workshops
from rebootcamp.services.workshops.looks import note_view
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, barrier, exclusive
from rebootcamp.storage.mongo_schema import RESTORING, apply_schema
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import make_actor
from tests.factories.workshops import make_stay, make_workshop
from tests.relay.slow_way import slow_way
from tests.relay.test_rebuild import drop_rebuilt, made_anew, rebuilt_names
from tests.relay.tools import count, in_threads, until
from tests.relay.workers import Workers
from tests.services.backups import Bench

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def swept(app: Flask) -> Iterator[None]:
    """No database of another test is in the way, nor left to one."""
    drop_rebuilt()
    yield
    drop_rebuilt()
    apply_schema(mongo.client()["suite"])


@pytest.fixture
def ada(workshop: Workshop) -> Actor:
    """A participant."""
    ada = make_actor()
    make_stay(workshop, ada)
    return ada


@pytest.fixture
def workshop() -> Workshop:
    return make_workshop(capacity=50)


def say(who: Actor, workshop: Workshop, text: str = "Hello") -> int:
    return workshops.add_comment(who, workshop.id, text).id


def texts() -> dict[str, str]:
    """Return what MongoDB holds."""
    return {document["_id"]: document["text"] for document in mongo.collection("comments").find()}


def assert_each_row_has_its_document() -> None:
    db.session.remove()
    mongo.forget()
    rows = db.session.scalars(sa.select(WorkshopComment).where(WorkshopComment.state != "deleted")).all()
    stored = texts()
    for row in rows:
        text = stored[CommentDocument.identify(row.id, row.version)]
        assert hashlib.sha256(text.encode()).digest() == row.text_hash


@pytest.mark.parametrize(
    ("failpoint", "rows"), [("comment.written", 0), ("transaction.before_commit", 0), ("transaction.after_commit", 1)]
)
def test_killed_between_document_and_row_nothing_was_said(
    workers: Workers, workshop: Workshop, ada: Actor, failpoint: str, rows: int
) -> None:
    assert workers.run("comment", ada.user_id, workshop.id, failpoints=failpoint).status == -signal.SIGKILL
    assert (count(WorkshopComment), len(texts())) == (rows, 1)
    assert workers.run("comment", ada.user_id, workshop.id).status == 0
    assert (count(WorkshopComment), len(texts())) == (rows + 1, 2)
    page = workshops.list_comments(ada, workshop.id, PageRequest())
    assert [comment.text for comment in page.items] == ["Said by a worker."] * (rows + 1)
    assert_each_row_has_its_document()


@pytest.mark.parametrize("failpoint", ["comment.written", "transaction.before_commit"])
def test_killed_in_an_edit_the_former_version_counts_and_the_next_edit_wins(
    workers: Workers, workshop: Workshop, ada: Actor, failpoint: str
) -> None:
    one = say(ada, workshop)
    job = "edit_comment", ada.user_id, workshop.id, one
    assert workers.run(*job, failpoints=failpoint).status == -signal.SIGKILL
    assert texts() == {f"{one}:1": "Hello", f"{one}:2": "Edited by a worker."}
    assert said(ada, workshop) == ["Hello"]
    assert versions(ada, workshop, one) == ["Hello"]
    assert workshops.edit_comment(ada, workshop.id, one, "Better", None).version == 2
    assert texts() == {f"{one}:1": "Hello", f"{one}:2": "Better"}
    assert versions(ada, workshop, one) == ["Hello", "Better"]
    assert_each_row_has_its_document()


def said(who: Actor, workshop: Workshop) -> list[str | None]:
    return [comment.text for comment in workshops.list_comments(who, workshop.id, PageRequest()).items]


def versions(who: Actor, workshop: Workshop, one: int) -> list[str]:
    page = workshops.list_comment_versions(who, workshop.id, one, PageRequest())
    return [version.text for version in page.items]


def test_a_writer_waits_for_a_cut_and_gives_up_in_time(committed_db: Flask, workshop: Workshop, ada: Actor) -> None:
    def write() -> float:
        began = time.monotonic()
        say(ada, workshop)
        return time.monotonic() - began

    def hold() -> float:
        with barrier() as held:
            is_up.set()
            time.sleep(0.5)
            seen.append(len(texts()))
            held.lift()
        return 0

    def wait() -> float:
        assert is_up.wait(10)
        return write()

    is_up, seen = threading.Event(), list[int]()
    _, waited = in_threads(committed_db, hold, wait)
    assert seen == [0]
    assert 0.3 < waited < 1.9
    with exclusive(BARRIER), pytest.raises(Busy):
        write()
    assert (count(WorkshopComment), len(texts())) == (1, 1)


def test_no_row_is_newer_than_the_documents_of_a_cut(committed_db: Flask, workshop: Workshop, ada: Actor) -> None:
    """What `common_cut` does, with the time between its two snapshots drawn out."""
    is_up = threading.Event()

    def cut() -> tuple[int, int]:
        with barrier() as held, mongo.client().start_session(snapshot=True) as then:
            mongo.database()["meta"].find_one({}, session=then)
            is_up.set()
            time.sleep(0.5)
            rows = count(WorkshopComment)
            documents = len(list(mongo.collection("comments").find({}, session=then)))
            held.lift()
        return rows, documents

    def write() -> tuple[int, int]:
        assert is_up.wait(10)
        return say(ada, workshop), 0

    ((rows, documents), _) = in_threads(committed_db, cut, write)
    assert rows <= documents
    assert count(WorkshopComment) == 1


def test_a_backup_beside_writers_has_a_document_for_each_row(
    committed_db: Flask, workshop: Workshop, tmp_path: Path
) -> None:
    people = [make_actor() for _ in range(12)]
    is_ready, is_over = threading.Event(), threading.Event()
    for who in people:
        make_stay(workshop, who)
    settings = replace(committed_db.config["REBOOTCAMP"], backup_dir=tmp_path / "backups")

    def write(some: list[Actor]) -> Callable[[], list[Path]]:
        def work() -> list[Path]:
            assert is_ready.wait(10)
            for who in some:
                for number in range(10):
                    if not is_over.is_set():
                        one = say(who, workshop, f"Number {number}")
                        workshops.edit_comment(who, workshop.id, one, "Edited", None)
            return []

        return work

    def back_up() -> list[Path]:
        # The snapshot of PostgreSQL is taken that much later than that of MongoDB.
        with slow_way(settings.database_url, b"pg_export_snapshot", 0.2) as url:
            slow = replace(settings, database_url=url)
            with create_app(slow).app_context():
                is_ready.set()
                try:
                    return [Bench(slow).take().path for _ in range(2)]
                finally:
                    is_over.set()
                    db.engine.dispose()

    paths, *_ = in_threads(committed_db, back_up, *[write(people[start::3]) for start in range(3)])
    found = [rows_without_document(committed_db, path) for path in paths]
    assert [missing for _, missing in found] == [[], []]
    assert found[0][0] < found[1][0]
    assert_each_row_has_its_document()


def rows_without_document(app: Flask, backup: Path) -> tuple[int, list[str]]:
    """Return how many comments a backup has, and those whose text it lacks."""
    documents = decode_all(gzip.decompress((backup / "mongo" / "comments.bson.gz").read_bytes()))
    hashes = {document["_id"]: document["hash"] for document in documents}
    url = make_url(app.config["REBOOTCAMP"].database_url)
    connection = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS natives_copy WITH (FORCE)")
        cursor.execute("CREATE DATABASE natives_copy")
        copy = url.set(database="natives_copy")
        dump = str(backup / "postgresql.dump")
        postgresql_tools.run("pg_restore", dump, database_url=copy.render_as_string(hide_password=False))
        engine = sa.create_engine(copy)
        with engine.connect() as restored:
            select = "SELECT id || ':' || version AS id, encode(text_hash, 'hex') AS hash FROM workshop_comments"
            rows = restored.execute(sa.text(select)).all()
        engine.dispose()
        cursor.execute("DROP DATABASE natives_copy")
    connection.close()
    return len(rows), [row.id for row in rows if hashes.get(row.id) != row.hash]


def test_what_is_written_between_copy_and_switch_is_not_lost(
    committed_db: Flask, workshop: Workshop, ada: Actor
) -> None:
    first, is_held, is_written = say(ada, workshop, "First"), threading.Event(), threading.Event()

    def hold_the_switch() -> None:
        with transaction() as session:
            session.execute(sa.text("SELECT 1 FROM app_meta FOR UPDATE"))
            is_held.set()
            until(copied)
            # Time enough for a writer whom nothing holds off.
            is_written.wait(0.7)

    def copied() -> bool:
        """Tell whether all is copied and PostgreSQL about to name the new database."""
        select = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE app_meta%%'"
        )
        with db.engine.connect() as connection:
            return bool(connection.exec_driver_sql(select).scalar())

    def make() -> None:
        assert is_held.wait(10)
        made_anew()

    def write() -> None:
        assert is_held.wait(10)
        until(copied)
        mongo.forget()
        say(ada, workshop, "Second")
        workshops.edit_comment(ada, workshop.id, first, "First, again", None)
        is_written.set()

    in_threads(committed_db, hold_the_switch, make, write)
    mongo.forget()
    assert [mongo.database_name()] == rebuilt_names()
    assert said(ada, workshop) == ["First, again", "Second"]
    assert_each_row_has_its_document()


def test_what_comes_and_goes_while_natives_are_copied_is_so_in_the_copy(workshop: Workshop, ada: Actor) -> None:
    def put(document: dict[str, Any]) -> None:
        mongo.collection("comments").insert_one(document)

    fresh, former = mongo.client()["suite_00000000"], mongo.database()
    apply_schema(fresh)
    for comment_id in range(1, 5):
        put(document_of("Before", comment_id, 1, at=clock.now() - timedelta(days=300)))
    copy = NativeCopy(former, fresh)
    copy.begin()
    assert fresh["comments"].count_documents({}) == 4
    put(document_of("New", 6, 1))
    # A killed edit's document gave way to another one.
    mongo.collection("comments").delete_many({"_id": {"$in": ["2:1", "3:1"]}})
    put(document_of("Another", 2, 1))
    # A clock that is far behind.
    put(document_of("Late", 7, 1, at=clock.now() - timedelta(days=30)))
    note_view(workshop.id, ada.user_id)
    copy.finish()
    for name in ("comments", "workshop_views"):
        assert list(fresh[name].find().sort("_id")) == list(former[name].find().sort("_id"))
    assert fresh["workshop_views"].count_documents({}) == 1


def test_rebuilds_beside_writers_lose_no_text(committed_db: Flask, workshop: Workshop) -> None:
    people, is_over = [make_actor() for _ in range(4)], threading.Event()
    for who in people:
        make_stay(workshop, who)

    def write(who: Actor) -> Callable[[], None]:
        def work() -> None:
            for _ in range(10):
                mongo.forget()
                workshops.edit_comment(who, workshop.id, say(who, workshop), "Edited", None)
                if is_over.wait(0.05):
                    return

        return work

    def make() -> None:
        try:
            for _ in range(3):
                made_anew()
        finally:
            is_over.set()

    in_threads(committed_db, make, *[write(who) for who in people])
    assert count(WorkshopComment) >= len(people)
    assert_each_row_has_its_document()


def test_a_rebuild_copies_no_half_finished_restore(workshop: Workshop, ada: Actor) -> None:
    say(ada, workshop)
    note_view(workshop.id, ada.user_id)
    for name in (RESTORING, "awards.fresh"):
        mongo.collection(name).insert_one({"_id": "restore"})
    former = made_anew().former
    assert {RESTORING, "awards.fresh"}.isdisjoint(mongo.database().list_collection_names())
    assert mongo.collection("workshop_views").count_documents({}) == 1
    assert said(ada, workshop) == ["Hello"]
    # Who had read the name before the switch finds the text all the same.
    one = say(ada, workshop, "After")
    mongo.follow(former)
    assert said(ada, workshop) == ["Hello", "After"]
    mongo.follow(former)
    assert versions(ada, workshop, one) == ["After"]
    for name in (RESTORING, "awards.fresh"):
        mongo.client()[former].drop_collection(name)


def test_nothing_is_written_to_the_database_of_another_store(workshop: Workshop, ada: Actor) -> None:
    mongo.collection("meta").update_one({"_id": "store"}, {"$set": {"store_id": "another"}})
    with pytest.raises(ForeignMongoDatabase):
        say(ada, workshop)
    assert (count(WorkshopComment), texts()) == (0, {})


def test_whoever_writes_last_under_the_lock_is_the_one_who_stays() -> None:
    """What a killed writer left gives way; what of him arrives late does not."""
    left = document_of("Left")
    CommentDocument.put(left)
    CommentDocument.put({**left, "text": "Right", "at": left["at"] + timedelta(milliseconds=1)})
    mongo.collection("comments").delete_one({"_id": left["_id"], "at": left["at"]})
    with pytest.raises(Exception, match="duplicate key"):
        mongo.collection("comments").insert_one(left)
    assert CommentDocument.remove(["5:2"], left["at"]) == 0
    assert texts() == {"5:2": "Right"}


def test_an_edit_waits_for_another_and_then_is_stale(committed_db: Flask, workshop: Workshop, ada: Actor) -> None:
    one, is_edited = say(ada, workshop), threading.Event()

    def edit() -> None:
        with transaction():
            workshops.edit_comment(ada, workshop.id, one, "First", None)
            is_edited.set()
            time.sleep(0.4)

    def edit_too() -> None:
        assert is_edited.wait(10)
        with pytest.raises(StaleEdit):
            workshops.edit_comment(ada, workshop.id, one, "Second", None)

    in_threads(committed_db, edit, edit_too)
    assert versions(ada, workshop, one) == ["Hello", "First"]
    assert_each_row_has_its_document()


def document_of(text: str, comment_id: int = 5, version: int = 2, **fields: Any) -> dict[str, Any]:
    """Return a version that no row counts."""
    ids = {"_id": f"{comment_id}:{version}", "comment_id": comment_id, "version": version}
    values = {"workshop_id": 1, "user_id": 1, "allow_list": 1, "at": clock.now(), **fields}
    return {**ids, **values, "text": text, "hash": hashlib.sha256(text.encode()).hexdigest()}
