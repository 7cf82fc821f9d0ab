"""Loading the demo data into a prepared, empty pair."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pymongo
import sqlalchemy as sa
from bson import json_util
from sqlalchemy.orm import Session

from rebootcamp.cli.demo.files import MONGO_DUMP, MONGO_FORMAT, MONGO_VERSION, SQL_DUMP, dumped_tables, raw_cursor
from rebootcamp.cli.demo.history import PASSWORD, PASSWORD_HASH, STAFF, STUDENT
from rebootcamp.cli.failures import CouldNotRun
from rebootcamp.config import Settings
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.integrations.passwords import verify_password
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.transactions import transaction

CANONICAL: Final = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)
COPY: Final = re.compile(r"^COPY public\.(\w+) (\(.*\)) FROM stdin;$")
END_OF_COPY: Final = "\\."
SETVAL: Final = re.compile(r"^SELECT pg_catalog\.setval\('public\.\w+', \d+, true\);$")
MONGO_SECONDS: Final = 60
IDENTITY: Final = "meta"
# The pair keeps its own identity, so two pairs with the same demo data stay two pairs, and its curve of levels.
KEPT: Final = frozenset({AppMeta.__tablename__, LevelDefinition.__tablename__})


class DemoAccounts(DomainError):
    """Accounts whose password everybody knows can sign in."""

    kind = Kind.CONFLICT
    code = "demo_accounts"
    title = Text("Demo accounts", "Comptes de démonstration")
    detail = Text(
        "{count} active accounts have the published demo password ({email} is the first): "
        "deactivate them or start with an empty pair before you go into production.",
        "{count} comptes actifs ont le mot de passe public de démonstration (le premier : {email}) : "
        "désactivez-les ou partez de bases vides avant la mise en production.",
    )


@dataclass
class SqlDump:
    """What of a plain SQL dump is data: for each table its columns and its COPY lines, then the sequences."""

    copies: dict[str, tuple[str, str]] = field(default_factory=dict)
    sequences: list[str] = field(default_factory=list)


def refuse_production(settings: Settings) -> None:
    """Raise `CouldNotRun` where accounts with a published password must never exist."""
    if settings.is_production:
        raise CouldNotRun("The demo data are refused in production: they come with published passwords.")


def refuse_demo_accounts(settings: Settings) -> None:
    """Raise `DemoAccounts` where production would let anybody in: an active account with the published password."""
    if not settings.is_production:
        return
    emails = [person["email"] for person in (*STAFF, STUDENT)]
    with transaction() as session:
        found = session.execute(
            sa.select(User.email, User.password_hash)
            .where(User.is_active, sa.or_(User.password_hash == PASSWORD_HASH, User.email.in_(emails)))
            .order_by(User.id)
        ).all()
    open_doors = [email for email, stored in found if stored == PASSWORD_HASH or verify_password(stored, PASSWORD)]
    if open_doors:
        raise DemoAccounts(count=len(open_doors), email=open_doors[0])


def load_demo() -> str:
    """Load both dumps and say how much that was; raise `CouldNotRun` unless both stores are empty.

    PostgreSQL commits last, so after an interruption the same command simply goes on.
    """
    documents = read_mongo(MONGO_DUMP)
    with transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        # Two loads at once must not both find the table empty.
        session.execute(sa.text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(sa.select(sa.exists(sa.select(User.id)))):
            raise CouldNotRun("There are accounts already; demo data go into an empty pair only.")
        rows = _load_sql(session, read_sql(SQL_DUMP))
        with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
            _load_mongo(documents)
    return (
        f"{rows} rows and {sum(len(found) for name, found in documents.items() if name != IDENTITY)} documents loaded"
    )


def read_sql(file: Path) -> SqlDump:
    """Read the data of a dump that `flask demo dump` wrote."""
    dump = SqlDump()
    lines = iter(file.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        if found := COPY.match(line):
            dump.copies[found[1]] = (found[2], "".join(f"{row}\n" for row in _until_end(lines)))
        elif SETVAL.match(line):
            dump.sequences.append(line)
    return dump


def read_mongo(file: Path) -> dict[str, list[Doc]]:
    """Read the documents of every collection; raise `CouldNotRun` for another format."""
    content: dict[str, Any] = json_util.loads(file.read_text(encoding="utf-8"), json_options=CANONICAL)
    if (content.get("format"), content.get("version")) != (MONGO_FORMAT, MONGO_VERSION):
        raise CouldNotRun(f"{file.name} is not a {MONGO_FORMAT} dump of version {MONGO_VERSION}.")
    collections: dict[str, list[Doc]] = content["collections"]
    return collections


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == END_OF_COPY:
            return
        yield line


def _load_sql(session: Session, dump: SqlDump) -> int:
    rows = 0
    with raw_cursor(session) as cursor:
        for table in dumped_tables():
            if table.name in dump.copies and table.name not in KEPT:
                columns, text = dump.copies[table.name]
                cursor.copy_expert(f"COPY public.{table.name} {columns} FROM STDIN", io.StringIO(text))
                rows += cursor.rowcount
        for statement in dump.sequences:
            cursor.execute(statement)
    # Processes that run already must read the rules and the catalogue again.
    versions = {name: getattr(AppMeta, name) + 1 for name in ("rules_version", "catalogue_version")}
    session.execute(sa.update(AppMeta).values(versions))
    session.execute(sa.text("ANALYZE"))
    return rows


def _load_mongo(collections: dict[str, list[Doc]]) -> None:
    database = mongo.database()
    missing: dict[str, list[Doc]] = {}
    for name, documents in collections.items():
        if name == IDENTITY:
            continue
        found = {document["_id"] for document in database[name].find({}, {"_id": True})}
        if found - {document["_id"] for document in documents}:
            raise CouldNotRun(f"MongoDB collection {name} is not empty; demo data go into an empty pair only.")
        missing[name] = [document for document in documents if document["_id"] not in found]
    for name, documents in missing.items():
        if documents:
            database[name].insert_many(documents)
