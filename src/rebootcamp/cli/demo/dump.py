"""Writing the demo data to files: the same stores give the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

import sqlalchemy as sa
from bson import json_util
from psycopg2 import extensions
from sqlalchemy.orm import Session

from rebootcamp.cli.demo.files import MONGO_FORMAT, MONGO_VERSION, dumped_tables, raw_cursor
from rebootcamp.cli.demo.load import CANONICAL, IDENTITY
from rebootcamp.cli.failures import CouldNotRun
from rebootcamp.config import Settings
from rebootcamp.integrations import postgresql_tools
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import declarations
from rebootcamp.storage.transactions import transaction

# Files that come with the source name no real pair.
STORE_ID: Final = uuid5(NAMESPACE_DNS, "demo.rebootcamp.example.org")
DATABASE: Final = Settings.mongodb_database
# A random key and the exact versions would differ at each run; older psql does not know \restrict.
NOISE: Final = re.compile(r"^(\\(un)?restrict|-- Dumped (from|by)) .*\n", re.MULTILINE)
HEADER: Final = (
    "-- Demo data of RebootCamp: made by `flask demo generate`, written by `flask demo dump`. Do not edit.\n"
)


def require_settled() -> None:
    """Raise `CouldNotRun` unless both stores agree and nothing waits: only then do two dumps make one truth."""
    report = check_stores()
    if report.findings or report.pending:
        raise CouldNotRun(
            f"{len(report.findings)} findings, {report.pending} events pending: "
            "run `flask relay --once`, then `flask check`."
        )


def dump_sql(file: Path, settings: Settings) -> None:
    """Write schema and rows so that psql loads them into an empty database."""
    data = "".join(_data())
    parts = (HEADER, _schema(settings, "pre-data"), data, _schema(settings, "post-data"))
    file.write_text("".join(parts), encoding="utf-8")


def dump_mongo(file: Path) -> None:
    """Write every collection as canonical Extended JSON, one document a line, ordered by `_id`."""
    heading = f'{{"format": "{MONGO_FORMAT}", "version": {MONGO_VERSION}, "database": "{DATABASE}", "collections": {{\n'
    collections = ",\n".join(_collection(declared["collection"]) for declared in declarations())
    file.write_text(f"{heading}{collections}\n}}}}\n", encoding="utf-8")


def _collection(name: str) -> str:
    documents = mongo.database()[name].find().sort("_id", 1)
    lines = ",\n".join(_line(name, document) for document in documents)
    return f'"{name}": [\n{lines}\n]'


def _line(name: str, document: Doc) -> str:
    shown = {**document, "store_id": str(STORE_ID)} if name == IDENTITY else document
    return json_util.dumps(shown, json_options=CANONICAL, ensure_ascii=False, separators=(",", ":"))


def _data() -> Iterator[str]:
    with transaction() as session:
        session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        with raw_cursor(session) as cursor:
            yield _copy(cursor, "alembic_version", ["version_num"], "version_num", "*")
            for table in dumped_tables():
                columns = [column.name for column in table.columns]
                key = ", ".join(column.name for column in table.primary_key.columns)
                yield _copy(cursor, table.name, columns, key, _selection(table, columns))
        yield from _sequences(session)


def _selection(table: sa.Table, columns: list[str]) -> str:
    fixed = (
        {"store_id": f"'{STORE_ID}'", "mongo_database": f"'{DATABASE}'"} if table.name == AppMeta.__tablename__ else {}
    )
    return ", ".join(fixed.get(column, column) for column in columns)


def _copy(cursor: extensions.cursor, table: str, columns: list[str], key: str, selection: str) -> str:
    text = io.StringIO()
    cursor.copy_expert(f"COPY (SELECT {selection} FROM {table} ORDER BY {key}) TO STDOUT", text)  # noqa: S608
    return f"COPY public.{table} ({', '.join(columns)}) FROM stdin;\n{text.getvalue()}\\.\n\n\n"


def _sequences(session: Session) -> Iterator[str]:
    for table in dumped_tables():
        for column in table.columns:
            last = session.scalar(sa.select(sa.func.max(column))) if column.identity is not None else None
            if last is not None:
                yield f"SELECT pg_catalog.setval('public.{table.name}_{column.name}_seq', {last}, true);\n"
    yield "\n\n"


def _schema(settings: Settings, section: str) -> str:
    options = f"--section={section}", "--schema-only", "--no-owner", "--no-privileges"
    return NOISE.sub("", postgresql_tools.run("pg_dump", *options, database_url=settings.database_url))
