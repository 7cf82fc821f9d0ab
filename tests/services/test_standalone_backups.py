"""A standalone mongod shows no past: relays wait while it is copied, and the manifest says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from rebootcamp.app import create_app
from rebootcamp.cli.dev.processes import free_port, spawn, stop
from rebootcamp.config import Settings
from rebootcamp.integrations.programs import package_file
from rebootcamp.services.backups import verify_backup
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER
from rebootcamp.storage.sql import db
from rebootcamp.storage.statements import fetch_one
from tests.relay.tools import fault, in_threads, until
from tests.services.backups import Bench
from tests.services.test_integrity import sound_stores
from tests.stores import create_pair, empty_stores

HELD = (
    "SELECT count(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND objid = %(lock)s AND mode = 'ExclusiveLock'"
)


@pytest.fixture(scope="module")
def standalone(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A pair whose MongoDB is no replica set."""
    place, port = tmp_path_factory.mktemp("standalone"), free_port()
    (place / "data").mkdir()
    binary = package_file("fiftyone", "db/bin/mongod")
    assert binary is not None
    options = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    command = [
        binary,
        "--dbpath",
        place / "data",
        "--port",
        str(port),
        *options,
        "--setParameter",
        "enableTestCommands=1",
    ]
    process = spawn(command, log=place / "mongod.log", run_dir=place)
    uri = f"mongodb://127.0.0.1:{port}/?w=majority&journal=true"
    try:
        with MongoClient(uri, serverSelectionTimeoutMS=500) as client:
            until(lambda: is_there(client), 60)
        yield create_pair(replace(settings, mongodb_uri=uri), "standalone")
    finally:
        mongo.close()
        stop(process)


def is_there(client: MongoClient[dict[str, object]]) -> bool:
    try:
        return "setName" not in client.admin.command("hello")
    except PyMongoError:
        return False


@pytest.fixture
def app(standalone: Settings) -> Iterator[Flask]:
    application = create_app(standalone)
    with application.app_context():
        empty_stores()
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def test_relays_wait_as_long_as_a_standalone_is_copied(app: Flask, tmp_path: Path) -> None:
    sound_stores()
    bench = Bench(replace(app.config["REBOOTCAMP"], backup_dir=tmp_path / "backups"))
    is_over = threading.Event()

    def is_held() -> bool:
        row = fetch_one(HELD, {"lock": BARRIER})
        return row is not None and row["held"] == 1

    def back_up() -> float:
        # Longer than a barrier lives whose holder is frozen: this one is not.
        with fault({"times": 1}, failCommands=["find"], blockConnection=True, blockTimeMS=6000, **of_history()):
            taken = bench.take()
        is_over.set()
        assert (taken.manifest.mode, taken.manifest.cluster_time) == ("barrier", None)
        assert (taken.manifest.check.findings, taken.manifest.check.pending) == (0, 0)
        assert verify_backup(taken.path, bench.settings) == taken.manifest
        return taken.manifest.barrier_ms

    def watch() -> float:
        until(is_held)
        started = time.monotonic()
        while is_held():
            time.sleep(0.05)
        return (time.monotonic() - started) * 1000

    barrier, seen = in_threads(app, back_up, watch)
    assert barrier > 6000
    assert abs(barrier - seen) < 2000
    assert is_over.is_set()


def of_history() -> dict[str, str]:
    return {"namespace": f"{mongo.database().name}.history"}


def test_the_check_needs_no_snapshots(app: Flask) -> None:
    sound_stores()
    assert check_stores().findings == []
    assert fetch_one(HELD, {"lock": BARRIER}) == {"held": 0}
