"""Bringing a backup back: beside the live pair, proved, and only then in its place, both stores in one commit.

Whatever kills a restore leaves the live pair as it was or the restored one in its place. What else it leaves bears
a mark (`storage.databases.Mark`), by which the next run goes on: it opens what was closed, drops what was being
filled, and finishes what was switched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import pymongo
import sqlalchemy as sa
from pymongo.database import Database
from sqlalchemy.orm import Session

from rebootcamp.core.failpoints import failpoint
from rebootcamp.services.backups.loading import Source, load_collections, load_dump
from rebootcamp.services.backups.pairs import (
    MONGO_SECONDS,
    NEW,
    OLD,
    SWITCHED,
    Live,
    Place,
    Target,
    choose_target,
    claim_mongo,
    finish,
    look_at_live,
    newest_epochs,
    resume,
    sweep,
)
from rebootcamp.services.backups.proof import prove
from rebootcamp.storage import mongo
from rebootcamp.storage.databases import SWITCHING, Mark, connect, hold
from rebootcamp.storage.locks import DDL
from rebootcamp.storage.mongo import Doc

Say = Callable[[str], None]

# Whoever was in the middle of an answer has given up by then, so none is made of both pairs.
QUIET_SECONDS: Final = 1.0
LOCK_WAIT: Final = "60s"
# Rows that are good for one use, or for one device: some of those in a backup were used or revoked since.
ONE_TIME_TABLES: Final = ("refresh_tokens",)


@dataclass(frozen=True)
class Restore:
    """One restore on its way: where, what, what was there before, and the names."""

    place: Place
    source: Source
    live: Live
    target: Target
    is_forced: bool

    @property
    def database_url(self) -> str:
        """Return the address of the restored database until the switch."""
        return self.place.url.set(database=self.target.new).render_as_string(hide_password=False)

    @property
    def mongo_database(self) -> Database[Doc]:
        """Return the restored half of MongoDB."""
        return mongo.client()[self.target.mongo_database]

    def fill(self, say: Say) -> None:
        """Load both stores beside the live pair."""
        databases, target = self.place.databases, self.target
        databases.create(target.new, self._mark(NEW))
        failpoint("restore.marked")
        claim_mongo(self.place, target.mongo_database)
        failpoint("restore.claimed")
        say(f"PostgreSQL into {target.new}")
        load_dump(self.source, self.database_url)
        failpoint("restore.loaded_sql")
        say(f"MongoDB into {target.mongo_database}")
        load_collections(self.source, self.mongo_database)
        failpoint("restore.loaded_mongo")

    def prove(self) -> None:
        """Raise `NotAsSaved` unless both stores hold what the manifest says."""
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool)
        with Session(engine) as session:
            prove(self.source.manifest, session, self.mongo_database)
        failpoint("restore.proved")

    def adopt(self) -> None:
        """Pair both stores, and let nothing that was handed out before open a door: tokens, devices, caches."""
        newest, newest_tokens = newest_epochs(self.place, self.live)
        epoch = max(newest, self.source.manifest.epoch) + 1
        with closing(connect(self.place.url, self.target.new)) as connection:
            connection.autocommit = False
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE app_meta SET mongo_database = %s, epoch = %s, token_epoch = greatest(token_epoch, %s) + 1",
                    (self.target.mongo_database, epoch, newest_tokens),
                )
                for table in ONE_TIME_TABLES:
                    cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
            meta = self.mongo_database["meta"]
            # Whatever else it notes is about databases of the place where it was saved.
            meta.delete_many({"_id": {"$ne": "store"}})
            meta.update_one({"_id": "store"}, {"$set": {"epoch": epoch}})
        failpoint("restore.adopted")

    def switch(self) -> str | None:
        """Give the restored pair its name; return the new name of what was there.

        Raises `Busy` and `InUse`, and what `begin` raises where the live pair has changed meanwhile.
        """
        old = self.target.old if self.place.databases.find(self.target.name) else None
        if old is None:
            self.place.databases.name(self.target.new, self.target.name, self._mark(SWITCHED))
        else:
            self._swap()
        failpoint("restore.switched")
        finish(self.place, self.target.name, self._mark(SWITCHED))
        return old

    def _swap(self) -> None:
        databases, target = self.place.databases, self.target
        try:
            with closing(connect(self.place.url, target.name)) as connection:
                # No backup, migration or rebuild may be cut off in the middle.
                hold(connection, DDL, LOCK_WAIT)
                # It may have been prepared, filled or rebuilt since this restore began.
                live = self._look_again()
                databases.close(target.name, target.new, self._mark(SWITCHING))
            failpoint("restore.closed")
            time.sleep(QUIET_SECONDS)
            before = replace(self._mark(OLD), mongo_database=live.mongo_database or "")
            databases.swap(target.name, target.new, target.old, (self._mark(SWITCHED), before))
        except BaseException:
            databases.open(target.name)
            raise

    def _look_again(self) -> Live:
        live = look_at_live(self.place)
        if not self.is_forced:
            live.require_replaceable(str(self.source.manifest.store_id))
        return live

    def _mark(self, role: str) -> Mark:
        return Mark(role, self.source.bid, self.place.live, self.target.mongo_database)


def begin(place: Place, source: Source, into: str | None, *, is_forced: bool) -> Restore | None:
    """Return the restore to do, or None where an earlier run did it all and was killed at the very end.

    Raises `Busy`, `DatabasesNotOurs`, `ClosedDatabase`, `NameTaken`, `ForeignBackup` and `NotEmpty`.
    """
    place.databases.hold(place.live)
    place.databases.require_rights(place.live)
    if resume(place, into or place.live) == source.bid:
        return None
    live = look_at_live(place)
    if into is None and not is_forced:
        live.require_replaceable(str(source.manifest.store_id))
    target = choose_target(place, live, source.bid, into)
    if sweep(place, target.new):
        target = choose_target(place, live, source.bid, into)
    return Restore(place, source, live, target, is_forced)
