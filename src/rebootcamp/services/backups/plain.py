"""Both stores as two files that people can read: `rebootcamp.sql` for psql, `mongo.json` in canonical Extended JSON.

They are samples and deliverables, not the restore format: what is of the moment (sessions, remembered answers) is
left out, and they carry an identity of their own, so that a copy is never taken for the pair it came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import UUID, uuid4

import pymongo
import sqlalchemy as sa
from bson import json_util
from psycopg2 import extensions
from pymongo.database import Database
from sqlalchemy.orm import Session

import rebootcamp.models.sql  # noqa: F401  registers every table
from rebootcamp.config import Settings
from rebootcamp.events.pair import require_pair
from rebootcamp.integrations import postgresql_tools
from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.sql.backups import BackupMark
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.backups.errors import CutFailed, NotABackup, NotEmpty, PlainFilesDiffer, PlainSqlMissing
from rebootcamp.services.backups.window import SnapshotGone, ask_window, within
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import CommonCut, common_cut
from rebootcamp.storage.locks import DDL, exclusive, shared
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import apply_schema, declarations
from rebootcamp.storage.sql import Base, db
from rebootcamp.storage.transactions import transaction

SQL_FILE, MONGO_FILE = "rebootcamp.sql", "mongo.json"
MONGO_FORMAT, MONGO_VERSION = "rebootcamp-mongo", 1
CANONICAL: Final = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)
IDENTITY, STORE = "meta", "store"
LOAD_SECONDS: Final = 600
# Secrets of devices, remembered answers, wrong ones, mails that a copy must not send again, and marks of backups that
# these files are not.
LEFT_OUT: Final = frozenset(
    {"refresh_tokens", "idempotency_keys", "answer_attempts", "mails", BackupMark.__tablename__}
)
# A random key and the exact versions would differ at each run; older psql does not know \restrict.
NOISE: Final = re.compile(r"^(\\(un)?restrict|-- Dumped (from|by)) .*\n", re.MULTILINE)
HEADER: Final = (
    "-- Written by `backup.sh --plain`: load it with psql into an empty database, then `flask load-plain`.\n"
)
COPY: Final = re.compile(r"^COPY public\.(\w+) (\(.*\)) FROM stdin;$")
END_OF_COPY: Final = "\\."
SETVAL: Final = re.compile(r"^SELECT pg_catalog\.setval\('public\.\w+', \d+, true\);$")


@dataclass(frozen=True)
class Identity:
    """Which store the files say that they are."""

    store_id: UUID
    database: str = Settings.mongodb_database


@dataclass
class SqlDump:
    """What of a plain SQL dump is data: for each table its columns and its COPY lines, then the sequences."""

    copies: dict[str, tuple[str, str]] = field(default_factory=dict)
    sequences: list[str] = field(default_factory=list)


def take_plain(settings: Settings, directory: Path) -> None:
    """Write both files from one cut while the service runs; raise `CutFailed`, `WindowOver`, `Unpaired`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_pair()
    window = ask_window()
    try:
        with shared(DDL), common_cut() as cut, within(window):
            write_plain(cut, directory, Identity(uuid4()), settings.database_url)
    except SnapshotGone as error:
        raise CutFailed(reason=error) from error


def write_plain(cut: CommonCut, directory: Path, identity: Identity, database_url: str, header: str = HEADER) -> None:
    """Write both files; an older one stays until the new one is complete."""
    with _fresh(directory / SQL_FILE) as file:
        file.write(header)
        file.write(_schema(database_url, "pre-data"))
        _write_rows(cut.sql, file, identity)
        file.write(_schema(database_url, "post-data"))
        with _fresh(directory / MONGO_FILE) as documents:
            write_mongo(cut, documents, identity)


def write_mongo(cut: CommonCut, file: TextIO, identity: Identity) -> None:
    """Write every collection, one document a line, ordered by `_id`."""
    heading = json_util.dumps({"format": MONGO_FORMAT, "version": MONGO_VERSION, "database": identity.database})
    file.write(f'{heading[:-1]}, "collections": {{\n')
    shown = [one["collection"] for one in declarations() if one["collection"] != BackupMarkDocument.collection_name]
    for number, name in enumerate(shown):
        file.write(f'"{name}": [\n')
        # Of the marks in `meta` only the identity is told: the others are about this server.
        wanted = {"_id": STORE} if name == IDENTITY else {}
        for line, document in enumerate(mongo.database()[name].find(wanted, session=cut.mongo).sort("_id", 1)):
            changed = {**document, "store_id": str(identity.store_id)} if name == IDENTITY else document
            file.write(",\n" if line else "")
            file.write(json_util.dumps(changed, json_options=CANONICAL, ensure_ascii=False, separators=(",", ":")))
        file.write("\n]\n" if number + 1 == len(shown) else "\n],\n")
    file.write("}}\n")


def load_plain(settings: Settings, directory: Path) -> int:
    """Give the MongoDB half to a PostgreSQL database that psql has loaded; return the number of documents.

    PostgreSQL names its partner last: after an interruption the same command goes on. Raises `PlainSqlMissing`,
    `PlainFilesDiffer`, `NotABackup`, `NotEmpty`.
    """
    collections = read_mongo(directory / MONGO_FILE)
    stored = {document.get("store_id") for document in collections.get(IDENTITY, [])}
    name = settings.mongodb_database
    with exclusive(DDL):
        if not sa.inspect(db.engine).has_table(AppMeta.__tablename__):
            raise PlainSqlMissing(file=directory / SQL_FILE)
        with transaction() as session:
            found = {str(store_id) for store_id in session.scalars(sa.select(AppMeta.store_id))}
        if not found or found != stored:
            raise PlainFilesDiffer
        mongo.follow(name)
        with mongo.guarded(), pymongo.timeout(LOAD_SECONDS):
            missing = missing_documents(mongo.database(), collections)
            apply_schema(mongo.database())
            loaded = insert_documents(mongo.database(), missing)
        with transaction() as session:
            session.execute(sa.update(AppMeta).values(mongo_database=name))
    return loaded


def read_sql(file: Path) -> SqlDump:
    """Read the data of a dump."""
    dump = SqlDump()
    lines = iter(file.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        if found := COPY.match(line):
            dump.copies[found[1]] = (found[2], "".join(f"{row}\n" for row in _until_end(lines)))
        elif SETVAL.match(line):
            dump.sequences.append(line)
    return dump


def read_mongo(file: Path) -> dict[str, list[Doc]]:
    """Read the documents of every collection; raise `NotABackup` for another format."""
    try:
        content: dict[str, Any] = json_util.loads(file.read_text(encoding="utf-8"), json_options=CANONICAL)
    except (OSError, ValueError) as error:
        raise NotABackup(path=file, reason=str(error)[:200]) from error
    if (content.get("format"), content.get("version")) != (MONGO_FORMAT, MONGO_VERSION):
        raise NotABackup(path=file, reason=f"it is not of {MONGO_FORMAT} version {MONGO_VERSION}")
    collections: dict[str, list[Doc]] = content["collections"]
    return collections


def missing_documents(database: Database[Doc], collections: dict[str, list[Doc]], *apart: str) -> dict[str, list[Doc]]:
    """Return what is not there yet; raise `NotEmpty` where there is anything else, some collections apart."""
    missing = {}
    for name in {*database.list_collection_names(), *collections} - {*apart, BackupMarkDocument.collection_name}:
        documents = collections.get(name, [])
        found = {document["_id"]: document for document in database[name].find({})}
        own = {document["_id"]: document for document in documents}
        if any(own.get(key) != document for key, document in found.items()):
            raise NotEmpty(store=f"MongoDB database {database.name}", what=f"collection {name}")
        missing[name] = [document for document in documents if document["_id"] not in found]
    return missing


def insert_documents(database: Database[Doc], collections: dict[str, list[Doc]]) -> int:
    """Insert documents and return how many those were."""
    for name, documents in collections.items():
        if documents:
            database[name].insert_many(documents)
    return sum(map(len, collections.values()))


def dumped_tables() -> list[sa.Table]:
    """Return the tables of the dump, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def raw_cursor(session: Session) -> extensions.cursor:
    """Return a cursor of the driver inside the session's transaction: COPY exists there only."""
    connection: Any = session.connection().connection.driver_connection
    cursor: extensions.cursor = connection.cursor()
    return cursor


def _schema(database_url: str, section: str) -> str:
    options = f"--section={section}", "--schema-only", "--no-owner", "--no-privileges"
    return NOISE.sub("", postgresql_tools.run("pg_dump", *options, database_url=database_url))


def _write_rows(session: Session, file: TextIO, identity: Identity) -> None:
    with raw_cursor(session) as cursor:
        _copy(cursor, file, "alembic_version", ["version_num"], "version_num", "*")
        for table in dumped_tables():
            columns = [column.name for column in table.columns]
            key = ", ".join(column.name for column in table.primary_key.columns)
            _copy(cursor, file, table.name, columns, key, _selection(table, columns, identity))
    for table in dumped_tables():
        for column in table.columns:
            last = session.scalar(sa.select(sa.func.max(column))) if column.identity is not None else None
            if last is not None:
                file.write(f"SELECT pg_catalog.setval('public.{table.name}_{column.name}_seq', {last}, true);\n")
    file.write("\n\n")


def _selection(table: sa.Table, columns: list[str], identity: Identity) -> str:
    own = {"store_id": f"'{identity.store_id}'", "mongo_database": f"'{identity.database}'"}
    fixed = own if table.name == AppMeta.__tablename__ else {}
    return ", ".join(fixed.get(column, column) for column in columns)


def _copy(cursor: extensions.cursor, file: TextIO, table: str, columns: list[str], key: str, selection: str) -> None:
    file.write(f"COPY public.{table} ({', '.join(columns)}) FROM stdin;\n")
    cursor.copy_expert(f"COPY (SELECT {selection} FROM {table} ORDER BY {key}) TO STDOUT", file)  # noqa: S608
    file.write("\\.\n\n\n")


@contextmanager
def _fresh(file: Path) -> Iterator[TextIO]:
    """Write a file that only its owner can read, and put it in its place when it is complete."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        yield handle
    new.replace(file)


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == END_OF_COPY:
            return
        yield line
