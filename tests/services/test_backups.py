"""A backup is both stores at one moment, proved by reading; whatever was changed since is refused with its reason."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy, DomainError
from rebootcamp.events.pair import Unpaired
from rebootcamp.events.relay import Relay
from rebootcamp.integrations import postgresql_tools
from rebootcamp.services.backups import Keep, find_backup, list_backups, take_backup, take_plain, verify_backup
from rebootcamp.services.backups.errors import BackupRunning, CutFailed, NoPlace, NotABackup, WindowOver
from rebootcamp.services.backups.figures import table_figures
from rebootcamp.services.backups.folders import opened
from rebootcamp.services.backups.manifest import load_manifest
from rebootcamp.services.integrity import repair_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, DDL, exclusive, share, shared
from rebootcamp.storage.mongo_schema import RESTORING, apply_schema, undeclared
from rebootcamp.storage.transactions import transaction
from tests.factories import complete, drain, make_badge, make_challenge
from tests.relay.tools import close_breaker, execute, fault, in_threads, journal_size, make_learners, until
from tests.services.backups import Bench, silent
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def bench(committed_db: Flask, tmp_path: Path) -> Bench:
    return Bench(replace(committed_db.config["REBOOTCAMP"], backup_dir=tmp_path / "backups"))


def locks_held() -> int:
    with transaction() as session:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid IN (:barrier, :ddl)"
        return int(session.execute(sa.text(held), {"barrier": BARRIER, "ddl": DDL}).scalar_one())


def test_a_backup_tells_what_is_in_both_stores(bench: Bench) -> None:
    ada, _ = sound_stores()
    complete(ada, make_challenge())
    backup = bench.take()
    told = backup.manifest
    assert (told.check.findings, told.check.pending, told.mode) == (0, 1, "snapshot")
    with transaction() as session:
        for table, figures in told.tables.items():
            assert session.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == figures.rows, table
    for name, found in told.collections.items():
        assert mongo.collection(name).count_documents({}) == found.documents, name
    assert {"user_id": 1, "seq": -1} in [index["key"] for index in told.collections["history"].indexes]
    assert told.collections["meta"].options["validator"]["$jsonSchema"]["required"] == ["_id", "store_id", "epoch"]
    assert load_manifest(backup.path) == told == verify_backup(backup.path, bench.settings)
    assert told.barrier_ms < 1000
    assert locks_held() == 0


def test_a_backup_is_for_its_owner_and_for_reading_only(bench: Bench) -> None:
    path = bench.take().path
    modes = {stat.S_IMODE(found.stat().st_mode) for found in path.rglob("*") if found.is_file()}
    assert (modes, stat.S_IMODE(path.stat().st_mode)) == ({0o400}, 0o500)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.readlink(path.parent / "latest") == path.name


def test_rows_restored_from_the_dump_have_the_hashes_of_the_manifest(bench: Bench) -> None:
    sound_stores()
    backup, url = bench.take(), make_url(bench.settings.database_url)
    copy = url.set(database="backup_copy").render_as_string(hide_password=False)
    admin = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS backup_copy WITH (FORCE)")
        cursor.execute("CREATE DATABASE backup_copy")
        postgresql_tools.run("pg_restore", str(backup.path / "postgresql.dump"), database_url=copy)
        engine = sa.create_engine(copy, connect_args={"options": "-c TimeZone=Asia/Tokyo -c DateStyle=German"})
        with Session(engine) as session:
            assert table_figures(session) == backup.manifest.tables
        engine.dispose()
        cursor.execute("DROP DATABASE backup_copy")
    admin.close()


def test_tables_that_are_not_ours_are_copied_too(bench: Bench) -> None:
    names = ("Odd", "two words", 'with "quotes"')
    try:
        for name in names:
            quoted = name.replace('"', '""')
            execute(f'CREATE TABLE "{quoted}" (it text)')
            execute(f'INSERT INTO "{quoted}" VALUES (:a), (:b), (:c)', a="a", b="two\nlines\\", c="\\.")
        backup = bench.take()
        assert {name: backup.manifest.tables[name].rows for name in names} == dict.fromkeys(names, 3)
        verify_backup(backup.path, bench.settings)
    finally:
        for name in names:
            quoted = name.replace('"', '""')
            execute(f'DROP TABLE IF EXISTS "{quoted}"')


def test_backups_of_a_busy_service_are_of_one_moment(committed_db: Flask, bench: Bench) -> None:
    make_badge("first_step")
    make_badge("tenth_step", at_least=10)
    learners, tasks = make_learners(4), [make_challenge() for _ in range(40)]
    is_over = threading.Event()

    def work(learner: Actor) -> int:
        for task in tasks:
            complete(learner, task)
            time.sleep(0.05)
        return len(tasks)

    def carry() -> int:
        while not is_over.is_set():
            Relay(7, 0.01).drain()
        return 0

    def back_up() -> int:
        try:
            taken = [bench.take() for _ in range(4)]
        finally:
            is_over.set()
        assert [backup.manifest.check.findings for backup in taken] == [0, 0, 0, 0]
        events = [backup.manifest.check.events for backup in taken]
        assert events == sorted(events)
        assert events[0] < journal_size()
        return len(taken)

    writers = [lambda learner=learner: work(learner) for learner in learners]
    assert in_threads(committed_db, *writers, carry, back_up)[-1] == 4
    drain()


def test_a_backup_waits_for_the_batch_that_is_under_way(committed_db: Flask, bench: Bench) -> None:
    is_held, may_go = threading.Event(), threading.Event()

    def carry() -> None:
        with transaction() as session:
            share(session, BARRIER)
            is_held.set()
            may_go.wait(10)

    def back_up() -> None:
        is_held.wait(10)
        threading.Timer(0.7, may_go.set).start()
        assert bench.take().manifest.check.findings == 0
        assert may_go.is_set()

    in_threads(committed_db, carry, back_up)


def test_tables_and_collections_do_not_change_while_they_are_copied(committed_db: Flask, bench: Bench) -> None:
    mongo.database().command("collMod", "history", validationLevel="moderate")

    def back_up() -> float:
        with fault({"times": 1}, failCommands=["find"], blockConnection=True, blockTimeMS=1500, **of_history()):
            bench.take()
        return time.monotonic()

    def prepare() -> float:
        until(lambda: locks_held() == 1 and (bench.settings.backup_dir / ".lock").exists())
        with pytest.raises(Busy), exclusive(DDL, "100ms"):
            pass
        assert committed_db.test_cli_runner().invoke(args=["mongo-init"]).exit_code == 0
        return time.monotonic()

    copied, prepared = in_threads(committed_db, back_up, prepare)
    assert prepared > copied - 1
    assert undeclared(mongo.database()) == []
    with exclusive(DDL), pytest.raises(Busy), shared(DDL, "100ms"):
        pass


def test_a_switch_of_the_pair_just_before_the_cut_is_followed(bench: Bench) -> None:
    """As a rebuild does it; the name that this process read before is stale when the barrier is up."""
    sound_stores()
    former = mongo.database()
    fresh = mongo.client()[f"{former.name}_0123abcd"]
    mongo.client().drop_database(fresh.name)
    apply_schema(fresh)
    for name in former.list_collection_names():
        if documents := list(former[name].find()):
            fresh[name].insert_many(documents)
    former["history"].delete_many({})
    execute("UPDATE app_meta SET mongo_database = :name", name=fresh.name)
    try:
        told = bench.take().manifest
        assert (told.mongo_database, told.check.findings) == (fresh.name, 0)
        assert told.collections["history"].documents == fresh["history"].count_documents({}) > 0
    finally:
        execute("UPDATE app_meta SET mongo_database = :name", name=former.name)
        mongo.forget()
        mongo.client().drop_database(fresh.name)


def of_history() -> dict[str, str]:
    return {"namespace": f"{mongo.database().name}.history"}


def test_a_cut_that_is_forgotten_is_made_once_more(bench: Bench) -> None:
    sound_stores()
    with fault({"times": 1}, failCommands=["find"], errorCode=239, **of_history()):
        assert bench.take().manifest.check.findings == 0
    assert len(list_backups(bench.settings.backup_dir)) == 1
    with fault(failCommands=["find"], errorCode=246, **of_history()), pytest.raises(CutFailed):
        bench.take()
    assert len(list_backups(bench.settings.backup_dir)) == 1
    assert locks_held() == 0


def test_a_copy_slower_than_the_memory_of_mongodb_is_thrown_away(committed_db: Flask, bench: Bench) -> None:
    sound_stores()
    window = {"setParameter": 1, "minSnapshotHistoryWindowInSeconds": 1}
    before = mongo.client().admin.command(window)["was"]
    try:
        slow = fault(failCommands=["find"], blockConnection=True, blockTimeMS=1500, **of_history())
        with slow, pytest.raises(WindowOver):
            bench.take()
    finally:
        mongo.client().admin.command({**window, "minSnapshotHistoryWindowInSeconds": before})
        close_breaker(committed_db)
    assert list_backups(bench.settings.backup_dir) == []
    bench.take()


def test_one_works_in_a_folder_at_a_time(bench: Bench) -> None:
    with opened(bench.settings.backup_dir), pytest.raises(BackupRunning):
        bench.take()
    bench.take()
    with (bench.settings.backup_dir / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_that_others_may_read_is_refused(bench: Bench) -> None:
    bench.settings.backup_dir.mkdir(mode=0o750)
    with pytest.raises(NoPlace, match="backup_no_place") as refusal:
        bench.take()
    assert "chmod 700" in refusal.value.detail_in("en")


def test_a_backup_is_not_begun_without_room_for_it(bench: Bench) -> None:
    backup = bench.take()
    copy = bench.copy(backup)
    told = load_manifest(copy)
    huge = replace(next(iter(told.files.values())), bytes=1 << 60)
    new = bench.settings.backup_dir / f"99990101T000000Z-{uuid4()}"
    new.mkdir()
    (new / "manifest.json").write_bytes(replace(told, files={"postgresql.dump": huge}).to_json())
    with pytest.raises(NoPlace) as refusal:
        bench.take()
    assert "are free" in refusal.value.detail_in("en")


def test_what_a_killed_run_left_is_swept_and_the_link_corrected(bench: Bench) -> None:
    first, second = bench.take(), bench.take()
    folder = bench.settings.backup_dir
    partial = folder / ".partial-20261121T000000Z-killed"
    (partial / "mongo").mkdir(parents=True)
    (partial / "mongo").chmod(0o500)
    (folder / ".latest-killed").symlink_to("nowhere")
    (folder / "latest").unlink()
    (folder / "latest").symlink_to(first.path.name)
    with opened(folder) as held:
        held.sweep()
    assert sorted(os.listdir(folder)) == sorted([".lock", "latest", first.path.name, second.path.name])
    assert os.readlink(folder / "latest") == max(first.path.name, second.path.name)


def test_days_weeks_and_months_keep_their_newest(bench: Bench) -> None:
    template = (bench.take().path / "manifest.json").read_bytes()
    folder = bench.settings.backup_dir
    stamps = [
        f"2026{month:02}{day:02}T{hour:02}0000Z" for month in (1, 2, 3) for day in (1, 2, 9, 10) for hour in (3, 15)
    ]
    for stamp in stamps:
        made = folder / f"{stamp}-{uuid4()}"
        made.mkdir()
        (made / "manifest.json").write_bytes(template)
    (folder / "20260101T000000Z-notes").mkdir()
    foreign = folder / f"20200101T000000Z-{uuid4()}"
    foreign.mkdir()
    with opened(folder) as held:
        oldest = list_backups(folder)[-1]
        held.prune(Keep(daily=3, weekly=3, monthly=3), verified=oldest)
    left = {path.name.partition("-")[0] for path in list_backups(folder)}
    today = max(left)[:8]
    assert {stamp[:8] for stamp in left} == {today, "20260310", "20260309", "20260302", "20260210", "20260101"}
    assert {stamp[9:11] for stamp in left if stamp.startswith("20260310")} == {"15"}
    assert foreign.exists()


def test_the_newest_backup_without_findings_is_never_removed(bench: Bench) -> None:
    folder = bench.settings.backup_dir
    clean = bench.take().path
    manifest = load_manifest(clean)
    spoilt = replace(manifest, check=replace(manifest.check, findings=2)).to_json()
    for stamp in ("20990101T000000Z", "20990102T000000Z", "20990103T000000Z"):
        made = folder / f"{stamp}-{uuid4()}"
        made.mkdir()
        (made / "manifest.json").write_bytes(spoilt)
    with opened(folder) as held:
        newest = list_backups(folder)[0]
        held.prune(Keep(daily=1), verified=newest)
    assert list_backups(folder) == [newest, clean]


def test_a_backup_is_found_by_name_by_id_or_as_the_newest(bench: Bench) -> None:
    folder = bench.settings.backup_dir
    with pytest.raises(NotABackup, match="not_a_backup"):
        find_backup(folder)
    first = bench.take()
    for name in (None, "latest", first.path.name, str(first.manifest.bid)[:8], str(first.path)):
        assert find_backup(folder, name) == first.path
    with pytest.raises(NotABackup):
        find_backup(folder, "ffffffff-nothing")


def test_wrong_keys_are_noticed_before_anything_is_done(bench: Bench, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("no key", encoding="ascii")
    for change in (
        {"backup_recipients": ("age1nonsense",)},
        {"backup_signing_key": nonsense},
        {"backup_signing_key": tmp_path / "missing"},
    ):
        with pytest.raises(DomainError, match="backup_key_unusable"):
            take_backup(bench.with_(**change), None, silent)
    assert not bench.settings.backup_dir.exists()


def test_a_repair_leaves_rules_alone_while_a_backup_reads() -> None:
    sound_stores()
    mongo.database().command("collMod", "history", validator={})
    said: list[str] = []
    with shared(DDL):
        repair_stores(said.append)
    assert undeclared(mongo.database()) == ["history"]
    assert any("left for later" in action for action in said)
    assert repair_stores(said.append).findings == []
    assert undeclared(mongo.database()) == []


def test_what_a_killed_restore_left_is_no_part_of_a_backup(bench: Bench) -> None:
    sound_stores()
    mongo.collection(RESTORING).insert_one({"_id": "restore", "place": "here"})
    try:
        told = bench.take().manifest
    finally:
        mongo.database().drop_collection(RESTORING)
    # Whoever restores this backup makes a collection of that name.
    assert RESTORING not in told.collections
    assert "history" in told.collections


def test_stores_that_are_no_pair_are_not_saved(bench: Bench) -> None:
    sound_stores()
    right = mongo.database_name()
    execute("UPDATE app_meta SET mongo_database = 'suite_nobodys'")
    try:
        with pytest.raises(Unpaired):
            bench.take()
        with pytest.raises(Unpaired):
            take_plain(bench.settings, bench.settings.backup_dir.parent / "plain")
        assert "suite_nobodys" not in mongo.client().list_database_names()
        assert list_backups(bench.settings.backup_dir) == []
    finally:
        mongo.client().drop_database("suite_nobodys")
        execute("UPDATE app_meta SET mongo_database = :name", name=right)
        mongo.follow(right)
