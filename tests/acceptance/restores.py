"""Restores that may be killed: `python -m tests.acceptance.restores` forks a process for each command line.

Nothing is connected to before the fork, so each is as fresh as a command that somebody types; only the imports are
not paid for again.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask.cli import ScriptInfo
from pymongo import MongoClient
from sqlalchemy.engine import make_url

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core import failpoints
from rebootcamp.models.sql.accounts import User
from rebootcamp.services import tokens
from rebootcamp.services.backups import Manifest
from rebootcamp.services.backups.loading import open_source
from rebootcamp.services.backups.pairs import Place
from rebootcamp.services.backups.restoring import Restore, begin
from rebootcamp.services.erasures import erase_account
from rebootcamp.storage import mongo
from rebootcamp.storage.databases import Databases, Found, connect, databases
from rebootcamp.storage.sql import db
from tests.factories import PASSWORD, complete, drain, make_actor, make_challenge
from tests.relay.tools import environment


def serve() -> None:
    """Fork a process for each line of the standard input; tell its pid, then how it ended."""
    app = create_app(Settings.from_env())
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            with open(job["output"], "wb") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ["TEST_FAILPOINTS"] = job["failpoints"]
            failpoints.arm(job["failpoints"])
            try:
                app.cli.main(job["arguments"], prog_name="flask", obj=ScriptInfo(create_app=lambda: app))
            except SystemExit as end:
                sys.stdout.flush()
                os._exit(int(end.code or 0))
            finally:
                os._exit(99)
        print(end_of(child, job["seconds"]), flush=True)


def end_of(child: int, seconds: float | None) -> int:
    """Wait for a child, and kill it after some seconds; return its exit code, or the negative number of a signal."""
    deadline = time.monotonic() + seconds if seconds is not None else math.inf
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = math.inf
        time.sleep(0.001)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    output: str

    @property
    def told(self) -> dict[str, Any]:
        """Return the last line, which is for machines."""
        found: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return found


class Commands:
    """The other side: asks for a command, may kill it, waits for its end."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self._process = process
        self._output = place / "output"

    def run(self, *arguments: str, failpoints: str = "", seconds: float | None = None) -> Done:
        """Run a command to its end, to its death at a failpoint, or until it is killed after some seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"arguments": arguments, "failpoints": failpoints, "seconds": seconds, "output": str(self._output)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return Done(status, self._output.read_text(encoding="utf-8"))


@contextmanager
def commands_on(settings: Settings, place: Path, **extra: str) -> Iterator[Commands]:
    """Run the forking process for the length of the block."""
    own = {"BACKUP_DIR": str(place / "backups"), "ERASURE_LOG": str(place / "erasures.jsonl"), "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "tests.acceptance.restores"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(settings, **(own | extra)), text=True, **pipes) as process:
        try:
            yield Commands(process, place)
        finally:
            assert process.stdin is not None
            process.stdin.close()


@dataclass(frozen=True)
class Seen:
    """What a pair holds, read without the application: nobody need be able to serve it."""

    store_id: str
    mongo_database: str
    epoch: int
    token_epoch: int
    events: int
    refresh_tokens: int
    emails: tuple[str, ...]


class Stores:
    """Both servers, looked at from beside."""

    def __init__(self, settings: Settings) -> None:
        self.url = make_url(settings.database_url)
        self.name = str(self.url.database)
        self._uri = settings.mongodb_uri

    def all(self) -> list[Found]:
        """Return the databases that have to do with this pair."""
        with self._databases() as found:
            return [
                one
                for one in found.all()
                if one.name.startswith(self.name) or (one.mark and one.mark.live == self.name)
            ]

    def names(self) -> list[str]:
        """Return their names."""
        return [found.name for found in self.all()]

    def find(self, name: str) -> Found:
        """Return one of them."""
        return next(found for found in self.all() if found.name == name)

    def seen(self, name: str | None = None) -> Seen:
        """Return what a pair holds; fail where its halves do not belong together."""
        with closing(connect(self.url, name or self.name)) as connection, connection.cursor() as cursor:
            cursor.execute(
                """SELECT store_id::text, mongo_database, epoch, token_epoch,
                   (SELECT count(*) FROM activity_events), (SELECT count(*) FROM refresh_tokens),
                   (SELECT count(*) FROM outbox), (SELECT array_agg(email ORDER BY email) FROM users) FROM app_meta"""
            )
            row = cursor.fetchone()
            assert row is not None
        *values, pending, emails = row
        found = Seen(*values, emails=tuple(emails or ()))
        with self.mongo() as client:
            database = client[found.mongo_database]
            meta = database["meta"].find_one({"_id": "store"})
            assert meta == {"_id": "store", "store_id": found.store_id, "epoch": found.epoch}
            assert database["history"].count_documents({}) == found.events - pending
        return found

    def sql(self, statement: str, name: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        with closing(connect(self.url, name or self.name)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def rename(self, name: str, new: str) -> None:
        """Do as an administrator does by hand."""
        with closing(connect(self.url, "postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RENAME TO "{new}"')

    def drop(self, name: str, mongo_database: str) -> None:
        """Drop a pair."""
        with self._databases() as found, self.mongo() as client:
            found.drop(name)
            client.drop_database(mongo_database)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Be another restore of this pair."""
        with self._databases() as found:
            found.hold(self.name)
            yield

    def mongo_names(self) -> set[str]:
        """Return the names of the databases of MongoDB that have to do with this pair."""
        with self.mongo() as client:
            return {name for name in client.list_database_names() if name.startswith(self.name)}

    @contextmanager
    def mongo(self) -> Iterator[MongoClient[dict[str, Any]]]:
        """Connect to MongoDB."""
        with MongoClient[dict[str, Any]](self._uri) as client:
            yield client

    @contextmanager
    def _databases(self) -> Iterator[Databases]:
        with databases(self.url) as found:
            yield found


class Shop:
    """A pair with a backup of it, and the commands that bring the backup back."""

    def __init__(self, settings: Settings, place: Path, commands: Commands) -> None:
        self.settings, self.place, self._commands = settings, place, commands
        self.stores = Stores(settings)
        self.app = create_app(settings)
        self.grow()
        self.bid = self.run("backup").told["bid"]
        self.short = self.bid[:8]
        self.saved = self.stores.seen()

    def run(self, *arguments: str, **options: Any) -> Done:
        """Run a command."""
        return self._commands.run(*arguments, **options)

    def grow(self, *, delivered: bool = True) -> Seen:
        """Add a learner with a completion and a device; return what the pair holds then."""
        mongo.configure(self.settings)
        with self.app.app_context():
            learner = make_actor()
            complete(learner, make_challenge())
            if delivered:
                drain()
            email = db.session.scalars(sa.select(User.email).where(User.id == learner.user_id)).one()
            tokens.sign_in(email, PASSWORD)
            self._let_go()
        return self.stores.seen()

    @staticmethod
    def _let_go() -> None:
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()

    def erase(self, email: str) -> None:
        """Erase an account."""
        mongo.configure(self.settings)
        with self.app.app_context():
            user_id = db.session.scalars(sa.select(User.id).where(User.email == email)).one()
            erase_account(user_id, self.place / "erasures.jsonl")
            drain()
            self._let_go()

    def copy_of_backup(self, place: Path, backup: Path | None = None) -> Path:
        """Return a copy of a backup that may be changed."""
        copy = place / "copy"
        shutil.copytree(backup or self.place / "backups" / "latest", copy)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o700)
        return copy

    @contextmanager
    def beginning(self, settings: Settings, *, is_forced: bool) -> Iterator[Restore]:
        """Begin to restore the backup in this process."""
        mongo.configure(settings)
        url = make_url(settings.database_url)
        source = open_source(self.place / "backups" / "latest", settings)
        with databases(url) as found:
            job = begin(Place(found, url, settings.mongodb_database), source, None, is_forced=is_forced)
            assert job is not None
            yield job

    def seal(self, copy: Path, manifest: Manifest) -> None:
        """Let a backup say something else of itself."""
        (copy / "manifest.json").write_bytes(manifest.to_json())

    @property
    def live(self) -> Found:
        """Return the live database."""
        return self.stores.find(self.stores.name)

    def check(self) -> None:
        """Prove that both stores agree."""
        done = self.run("check")
        assert done.status == 0, done.output


@contextmanager
def open_shop(settings: Settings, place: Path) -> Iterator[Shop]:
    """Open a shop on a prepared, empty pair for the length of the block."""
    with commands_on(settings, place) as commands:
        yield Shop(settings, place, commands)


def assert_restored(shop: Shop, stores: Stores, before: Seen | None) -> None:
    """The pair holds what was saved, under a new name, and nothing that was handed out before is worth anything."""
    found = stores.seen()
    epoch, token_epoch = (before.epoch, before.token_epoch) if before else (shop.saved.epoch, shop.saved.token_epoch)
    assert found.epoch > max(epoch, shop.saved.epoch)
    assert found.token_epoch > max(token_epoch, shop.saved.token_epoch)
    assert shop.saved.refresh_tokens > 0
    assert found.refresh_tokens == 0
    same = replace(
        found,
        mongo_database=shop.saved.mongo_database,
        epoch=shop.saved.epoch,
        token_epoch=shop.saved.token_epoch,
        refresh_tokens=shop.saved.refresh_tokens,
    )
    assert same == shop.saved
    assert stores.find(stores.name).is_open


def assert_tidy(stores: Stores) -> None:
    """Nothing half done lies about."""
    assert [name for name in stores.names() if "_new_" in name] == []
    used = {found.mark.mongo_database for found in stores.all() if found.mark} | {stores.seen().mongo_database}
    assert stores.mongo_names() <= used
    with stores.mongo() as client:
        assert [name for name in stores.mongo_names() if "restoring" in client[name].list_collection_names()] == []


if __name__ == "__main__":
    serve()
