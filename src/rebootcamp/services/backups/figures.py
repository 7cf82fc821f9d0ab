"""What both halves hold, told at the cut: counts and hashes that a restored copy must reach again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa
from bson import json_util
from pymongo import ASCENDING
from pymongo.database import Database
from sqlalchemy.orm import Session

from rebootcamp.services.backups.manifest import TableFigures
from rebootcamp.services.backups.streams import lengths
from rebootcamp.storage.cut import FORMS, Cut
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import RESTORING

# What an extension brings along is no part of a dump.
TABLES: Final = sa.text("""
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = pg_class.oid AND d.deptype = 'e') ORDER BY relname
""")
# Indexes that every collection has, and what only the server that made them needs.
ALWAYS, OF_THE_SERVER = "_id_", ("v", "ns", "uuid")

# Options and indexes of a collection, as Extended JSON.
Description = tuple[dict[str, Any], list[dict[str, Any]]]


def table_figures(session: Session) -> dict[str, TableFigures]:
    """Count and hash the rows of every table; the order of rows does not matter, the form of values is fixed."""
    for name, value in FORMS.items():
        session.execute(sa.select(sa.func.set_config(name, value, True)))
    return {name: _figures(session, name) for name in session.scalars(TABLES)}


class Tally:
    """Counts and hashes the documents of one collection after the other."""

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._all = 0
        self.begin()

    def begin(self) -> None:
        """Begin another collection."""
        self._digest = hashlib.sha256()
        self.documents = 0

    @property
    def sha256(self) -> str:
        """Return the hash of the documents, one after the other."""
        return self._digest.hexdigest()

    def count(self, batches: Iterable[bytes]) -> Iterator[bytes]:
        """Let batches of whole documents pass."""
        for batch in batches:
            self._digest.update(batch)
            found = sum(1 for _ in lengths(batch))
            self.documents += found
            self._all += found
            self._on_progress(self._all)
            yield batch


def _figures(session: Session, table: str) -> TableFigures:
    name = session.scalar(sa.select(sa.func.quote_ident(table)))
    total = "coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
    rows, digest = session.execute(sa.text(f"SELECT count(*), {total} FROM public.{name} t")).one()  # noqa: S608
    return TableFigures(int(rows), str(digest))


def list_collections(database: Database[Doc]) -> dict[str, Description]:
    """Return options and indexes of every collection; a snapshot cannot be asked for them, so `DDL` must be held."""
    found = {}
    for listed in database.list_collections(filter={"type": "collection"}):
        name = str(listed["name"])
        if name != RESTORING and not name.startswith("system."):
            indexes = [_plain(dict(index)) for index in database[name].list_indexes() if index["name"] != ALWAYS]
            found[name] = (_plain(listed.get("options", {})), indexes)
    return dict(sorted(found.items()))


def stream_documents(database: Database[Doc], name: str, cut: Cut) -> Iterator[bytes]:
    """Yield the documents of a collection as they are stored, ordered by `_id`."""
    yield from database[name].find_raw_batches({}, sort=[("_id", ASCENDING)], session=cut.mongo)


def _plain(description: Doc) -> dict[str, Any]:
    """Return a description as what JSON can hold."""
    kept = {key: value for key, value in description.items() if key not in OF_THE_SERVER}
    plain: dict[str, Any] = json.loads(json_util.dumps(kept, json_options=json_util.RELAXED_JSON_OPTIONS))
    return plain
