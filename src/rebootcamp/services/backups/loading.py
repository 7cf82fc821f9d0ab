"""Filling empty databases from a backup: pg_restore in one transaction, raw BSON in bulk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, cast

import bson
import pymongo
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from rebootcamp.config import Settings
from rebootcamp.integrations import postgresql_tools
from rebootcamp.integrations.postgresql_tools import ProgramFailed
from rebootcamp.services.backups.figures import Description
from rebootcamp.services.backups.manifest import Manifest, Progress, read_identity, verify_backup
from rebootcamp.services.backups.streams import Documents, pour
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import Doc

# The whole dump or nothing, owned by whoever restores it; roles and their rights are the server's business.
OPTIONS: Final = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges")
RULES: Final = ("validator", "validationLevel", "validationAction")
RAW: Final[CodecOptions[RawBSONDocument]] = DEFAULT_RAW_BSON_OPTIONS
BATCH_SECONDS, INDEX_SECONDS = 120, 3600


@dataclass(frozen=True)
class Source:
    """A backup that was proved to be whole, and what reads it."""

    path: Path
    manifest: Manifest
    identity: str | None

    @property
    def bid(self) -> str:
        """Return the id of the backup."""
        return str(self.manifest.bid)


def open_source(path: Path, settings: Settings, progress: Progress | None = None) -> Source:
    """Prove that a backup is whole and readable; raise what `verify_backup` raises."""
    manifest = verify_backup(path, settings, progress)
    return Source(path, manifest, read_identity(manifest, settings))


def load_dump(source: Source, database_url: str) -> None:
    """Load the PostgreSQL half into an empty database; raise `ProgramFailed`."""
    with _restoring(database_url) as sink:
        pour(source.path / source.manifest.dump_file, sink, source.identity)


def load_collections(source: Source, database: Database[Doc]) -> None:
    """Load the MongoDB half. Rules come last: documents that are older than a rule were kept when it was made."""
    for name, figures in source.manifest.collections.items():
        options, indexes = _typed((figures.options, figures.indexes))
        rules = {rule: options.pop(rule) for rule in RULES if rule in options}
        with mongo.guarded(), pymongo.timeout(INDEX_SECONDS):
            database.create_collection(name, **options)
        collection: Collection[Any] = database.get_collection(name, codec_options=RAW)
        documents = Documents(partial(_insert, collection))
        pour(source.path / source.manifest.collection_file(name), documents, source.identity)
        with mongo.guarded(), pymongo.timeout(INDEX_SECONDS):
            if indexes:
                database.command("createIndexes", name, indexes=indexes)
            if rules:
                database.command("collMod", name, **rules)


def _insert(collection: Collection[Any], batch: bytes) -> None:
    with mongo.guarded(), pymongo.timeout(BATCH_SECONDS):
        if documents := bson.decode_all(batch, RAW):
            collection.insert_many(documents, ordered=False)


def _typed(description: Description) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return options and indexes as the driver knows them; the manifest holds them as Extended JSON."""
    options, indexes = json_util.loads(json.dumps(description))
    return options, indexes


class _Restoring:
    """pg_restore as what a stream may run into."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process, self._errors = process, errors
        self._input = cast(IO[bytes], process.stdin)

    def write(self, data: bytes, /) -> int:
        """Hand on a piece; pg_restore may have had enough, and `finish` tells why."""
        with suppress(BrokenPipeError):
            self._input.write(data)
        return len(data)

    def flush(self) -> None:
        """The pipe is emptied at the end."""

    def finish(self) -> None:
        """Raise `ProgramFailed` unless everything was loaded."""
        with suppress(BrokenPipeError):
            self._input.close()
        if self._process.wait():
            self._errors.seek(0)
            raise ProgramFailed(name="pg_restore", reason=postgresql_tools.said(self._errors.read()))


@contextmanager
def _restoring(database_url: str) -> Iterator[_Restoring]:
    # A file takes the complaints: nobody needs to listen while the dump is written.
    with TemporaryFile() as errors:
        process = postgresql_tools.start(
            "pg_restore",
            *OPTIONS,
            database_url=database_url,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield _Restoring(process, errors)
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()
