"""The pairs on the servers: the live one, the one that a restore fills, and those that are kept or left over."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Final
from uuid import uuid4

import pymongo
from psycopg2 import extensions, sql
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from sqlalchemy.engine import URL

from rebootcamp.core.errors import Busy
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.services.backups.errors import ForeignBackup, NotEmpty, Unacceptable
from rebootcamp.storage import mongo
from rebootcamp.storage.databases import SWITCHING, Databases, Found, Mark, connect
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import RESTORING

MONGO_SECONDS: Final = 60
# What a restored database is besides `SWITCHING`: being filled; in the place of the live one; that, and nothing left
# to do; put aside; made beside the live one.
NEW, SWITCHED, RESTORED, OLD, REHEARSAL = "new", "switched", "restored", "old", "rehearsal"
HAVE_BEEN_LIVE: Final = (SWITCHED, RESTORED, OLD)
SHORT_BID: Final = 8
# Both stores allow 63 letters.
LONGEST_BASE: Final = 63 - len("_new_12345678_99")


class NameTaken(Unacceptable):
    """A rehearsal never replaces anything."""

    code = "name_taken"
    title = Text("Name taken", "Nom déjà pris")
    detail = Text(
        "There is a database {name} already: choose another name for --into.",
        "Une base {name} existe déjà : choisissez un autre nom pour --into.",
    )


class ClosedDatabase(Unacceptable):
    """Somebody closed the live database, and it was no restore."""

    code = "closed_database"
    title = Text("Closed database", "Base fermée")
    detail = Text(
        'Database {name} lets nobody in, and no restore closed it: ALTER DATABASE "{name}" ALLOW_CONNECTIONS true;',
        "La base {name} n'accepte aucune connexion, et aucune restauration ne l'a fermée : "
        'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true;',
    )


class LivePair(Unacceptable):
    """The pair in use is never thrown away."""

    code = "live_pair"
    title = Text("In use", "Bases en service")
    detail = Text(
        "{name} is the pair in use, and is not dropped: DATABASE_URL names it.",
        "{name} désigne les bases en service, qui ne sont pas supprimées : DATABASE_URL les nomme.",
    )


class NothingLive(Unacceptable):
    """What restores put aside may be all that is left."""

    code = "nothing_live"
    title = Text("Nothing in use", "Aucune base en service")
    detail = Text(
        "{name} is not there or holds no store, so what restores put aside is kept: {kept}. Restore first.",
        "{name} n'existe pas ou ne contient aucun ensemble, donc ce que les restaurations ont mis de côté "
        "est conservé : {kept}. Restaurez d'abord.",
    )


@dataclass(frozen=True)
class Live:
    """The pair in use as far as it exists: its identity, and the first thing found in it, if any."""

    store_id: str | None = None
    mongo_database: str | None = None
    epoch: int = 0
    token_epoch: int = 0
    content: tuple[str, str] | None = None

    def require_replaceable(self, store_id: str) -> None:
        """Raise `ForeignBackup` or `NotEmpty` where a restore would put something aside."""
        if self.store_id is not None and self.store_id != store_id:
            raise ForeignBackup(found=store_id, expected=self.store_id)
        if self.content is not None:
            raise NotEmpty(store=self.content[0], what=self.content[1])


@dataclass(frozen=True)
class Place:
    """Where restores happen: the server, the address of the live database on it, and the first name in MongoDB."""

    databases: Databases
    url: URL
    mongo_database: str

    @property
    def live(self) -> str:
        """Return the name of the live PostgreSQL database."""
        return str(self.url.database)

    @property
    def claim(self) -> Doc:
        """Return what a restore notes in MongoDB: another place may use the same server, and the same backup."""
        return {"_id": "restore", "place": f"{self.databases.identity()}/{self.live}"}


@dataclass(frozen=True)
class Target:
    """The names of a restored pair: the wanted one, the one until the switch, and the one for what was there."""

    name: str
    new: str
    old: str
    mongo_database: str


def look_at_live(place: Place) -> Live:
    """Return what is known of the live pair; raise `MongoUnavailable`."""
    found = _look_at_sql(place.url) if place.databases.find(place.live) else Live()
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        database = mongo.client()[found.mongo_database or place.mongo_database]
        return replace(found, content=found.content or _first_document(database))


def newest_epochs(place: Place, live: Live) -> tuple[int, int]:
    """Return the highest epoch and token epoch of the live pair and of all that were in its place.

    Somebody may have gone back to one by hand: what the others handed out must not come to be worth something again.
    """
    found = [(live.epoch, live.token_epoch)]
    for other in place.databases.all():
        was_live = other.mark is not None and other.mark.live == place.live and other.mark.role in HAVE_BEEN_LIVE
        if was_live and other.name != place.live and other.is_open:
            pair = _look_at_sql(place.url.set(database=other.name))
            found.append((pair.epoch, pair.token_epoch))
    return max(epoch for epoch, _ in found), max(tokens for _, tokens in found)


def choose_target(place: Place, live: Live, bid: str, into: str | None) -> Target:
    """Return the names of the pair to come; raise `NameTaken` where a rehearsal would replace something."""
    found = place.databases.all()
    names = {database.name for database in found}
    if into in names:
        raise NameTaken(name=into)
    name, first = into or place.live, into or place.mongo_database
    short, base = bid[:SHORT_BID], name[:LONGEST_BASE]
    used = {database.mark.mongo_database for database in found if database.mark} | {live.mongo_database}
    # Whoever rebuilds later finds the base of a name by taking eight characters from its end.
    suffixes = chain([short], (uuid4().hex[:SHORT_BID] for _ in count()))
    partners = (f"{first[:LONGEST_BASE]}_{suffix}" for suffix in suffixes)
    partner = next(one for one in partners if one not in used and not _exists(one))
    olds = chain([f"{base}_old_{short}"], (f"{base}_old_{short}_{number}" for number in count(2)))
    return Target(name, f"{base}_new_{short}", next(one for one in olds if one not in names), partner)


def resume(place: Place, name: str) -> str | None:
    """End what a killed restore had begun to switch; return the id of the backup that is in the place of `name` now.

    Raises `ClosedDatabase`.
    """
    live = place.databases.find(place.live)
    if live is not None and not live.is_open and not place.databases.reopen(place.live):
        raise ClosedDatabase(name=place.live)
    switched = place.databases.find(name)
    if switched is None or switched.mark is None or switched.mark.role != SWITCHED:
        return None
    finish(place, name, switched.mark)
    return switched.mark.bid


def finish(place: Place, name: str, mark: Mark) -> None:
    """Take away the last traces of a restore that is done."""
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        mongo.client()[mark.mongo_database].drop_collection(RESTORING)
    failpoint("restore.unclaimed")
    place.databases.mark(name, replace(mark, role=RESTORED if name == place.live else REHEARSAL))


def sweep(place: Place, new: str | None = None) -> list[str]:
    """Drop what killed restores of this place had been filling; return the names."""
    swept = [found for found in place.databases.all() if _is_left_over(place, found, new)]
    for found in swept:
        if found.mark is not None:
            _drop_claimed(place, found.mark.mongo_database)
        place.databases.drop(found.name)
    return [found.name for found in swept]


def claim_mongo(place: Place, name: str) -> None:
    """Take a MongoDB database for a restore; raise `Busy` when another place was faster."""
    with mongo.guarded():
        try:
            mongo.client()[name][RESTORING].insert_one(place.claim)
        except DuplicateKeyError as error:
            raise Busy from error


def drop_pairs(place: Place, name: str | None = None) -> list[str]:
    """Drop the pairs that restores of this place put aside or left unfinished, or a rehearsal; return the names.

    MongoDB goes first: until PostgreSQL is gone too, the next run finds the mark.
    Raises `Busy`, `LivePair`, `NothingLive`.
    """
    place.databases.hold(place.live)
    if name == place.live:
        raise LivePair(name=name)
    resume(place, place.live)
    live = look_at_live(place)
    wanted = {found.name: found.mark for found in place.databases.all() if _is_to_drop(place, found, name)}
    if name is None and wanted and live.store_id is None:
        raise NothingLive(name=place.live, kept=", ".join(wanted))
    dropped = sweep(place) if name is None else []
    for old, mark in wanted.items():
        if mark is not None and mark.mongo_database not in ("", live.mongo_database):
            _drop_mongo(mark.mongo_database)
        failpoint("restore.half_dropped")
        place.databases.drop(old)
        dropped.append(old)
    return dropped


def _is_to_drop(place: Place, found: Found, name: str | None) -> bool:
    """Tell whether a pair was put aside; with a name, whether it is that rehearsal."""
    if found.name == place.live or found.mark is None or found.mark.live != place.live:
        return False
    return found.mark.role == OLD if name is None else found.mark.role == REHEARSAL and found.name == name


def _is_left_over(place: Place, found: Found, new: str | None) -> bool:
    if found.name == place.live:
        return False
    if found.mark is None:
        # Killed between making and marking it.
        return found.name == new
    return found.mark.live == place.live and found.mark.role in (NEW, SWITCHING)


def _drop_claimed(place: Place, name: str) -> None:
    with mongo.guarded():
        claim = mongo.client()[name][RESTORING].find_one({"_id": "restore"})
    if claim == place.claim:
        _drop_mongo(name)


def _drop_mongo(name: str) -> None:
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        mongo.client().drop_database(name)


def _exists(name: str) -> bool:
    with mongo.guarded():
        return bool(mongo.client()[name].list_collection_names())


def _look_at_sql(url: URL) -> Live:
    with closing(connect(url, str(url.database))) as connection, connection.cursor() as cursor:
        content = _first_row(cursor)
        cursor.execute("SELECT to_regclass('app_meta') IS NOT NULL")
        if not _value(cursor):
            return Live(content=content)
        cursor.execute("SELECT store_id::text, mongo_database, epoch, token_epoch FROM app_meta")
        store_id, database, epoch, token_epoch = cursor.fetchone() or (None, None, 0, 0)
        return Live(store_id, database, epoch, token_epoch, content)


def _first_row(cursor: extensions.cursor) -> tuple[str, str] | None:
    """Return the store and the first table with a row, the record of migrations aside."""
    cursor.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        " AND tablename <> 'alembic_version' ORDER BY tablename"
    )
    for schema, table in cursor.fetchall():
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table)))
        if _value(cursor):
            return "PostgreSQL", str(table)
    return None


def _value(cursor: extensions.cursor) -> object:
    row = cursor.fetchone()
    return row[0] if row else None


def _first_document(database: Database[Doc]) -> tuple[str, str] | None:
    names = (name for name in sorted(database.list_collection_names()) if not name.startswith("system."))
    return next((("MongoDB", name) for name in names if database[name].find_one({}, {"_id": 1})), None)
