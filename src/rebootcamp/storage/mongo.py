"""MongoDB: one client per process, short time-outs, and a breaker so that an outage is paid for once.

Which database is in use, `app_meta.mongo_database` decides, and it may change while the service runs. Each request,
batch and command carries the name along: a statement that it needs anyway brings it (`follow`), or it is read once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import pymongo
from bson.errors import InvalidDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, InvalidOperation, OperationFailure, PyMongoError

from rebootcamp.config import Settings
from rebootcamp.storage.statements import fetch_one

Doc = dict[str, Any]

SELECTION_TIMEOUT_MS = 500
OPERATION_TIMEOUT_MS = 2000
READ_SECONDS = 0.6
BREAKER_FAILURES = 2
BREAKER_SECONDS = 5.0
DUPLICATE_KEY = 11000
# What MongoDB says of a document that it will never accept: bad value, wrong type, unusable field name or path,
# failed validation, too large. Whatever else it answers is about the server (permissions, disk, elections): an outage.
REFUSED_CODES = frozenset({2, 14, 22, 28, 52, 53, 54, 55, 56, 57, 121, 10334, 17280, 17419, 17420})


class MongoUnavailable(Exception):
    """MongoDB cannot be used now; whoever reads falls back to PostgreSQL, whoever writes tries later."""


class _Handle:
    """The process-wide client, made after fork because a client does not survive one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.settings: Settings | None = None
        self.client: MongoClient[Doc] | None = None
        self.pid = 0
        self.latest_name: str | None = None
        self.failures = 0
        self.open_until = 0.0

    def require(self) -> Settings:
        if self.settings is None:
            raise RuntimeError("configure() comes first")
        return self.settings

    def connect(self) -> MongoClient[Doc]:
        if self.client is None or self.pid != os.getpid():
            # Two first requests at once share one client: a second one would be nobody's to close.
            with self.lock:
                if self.client is None or self.pid != os.getpid():
                    self.client, self.pid = make_client(self.require().mongodb_uri), os.getpid()
        return self.client


_handle = _Handle()
_name: Final[ContextVar[str | None]] = ContextVar("mongo_database", default=None)


def configure(settings: Settings) -> None:
    """Name the server to use; the connection itself is made at the first use in each process."""
    close()
    _handle.__init__()  # type: ignore[misc]
    _handle.settings = settings
    forget()


def close() -> None:
    """Let go of this process's client, if there is one; the next use makes another."""
    if _handle.client is not None:
        _handle.client.close()
        _handle.client = None


def make_client(uri: str) -> MongoClient[Doc]:
    """Return a client that acknowledges only what a crash cannot lose (majority and journal)."""
    return MongoClient(
        uri,
        serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
        timeoutMS=OPERATION_TIMEOUT_MS,
        connectTimeoutMS=SELECTION_TIMEOUT_MS,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        retryWrites=True,
        # A read has PostgreSQL to fall back on: trying again would only make the caller wait.
        retryReads=False,
        tz_aware=True,
        appname="rebootcamp",
        maxPoolSize=16,
    )


def client() -> MongoClient[Doc]:
    """Return this process's client."""
    return _handle.connect()


def follow(name: str) -> None:
    """Use this database from here on, until the request, batch or command ends: PostgreSQL names it now."""
    _name.set(name)
    _handle.latest_name = name


def forget() -> None:
    """Begin a request: threads serve one after the other, and the pair may have been switched in between."""
    _name.set(None)


def presume() -> None:
    """Without a name yet, use the one that PostgreSQL told last, whoever asked.

    Only for who holds it against what PostgreSQL tells afterwards: it may have been switched since.
    """
    if _name.get() is None and _handle.latest_name is not None:
        _name.set(_handle.latest_name)


def database_name() -> str:
    """Return the name of the database in use; one statement where nothing brought it along.

    Before the pair is prepared it is the name in the settings.
    """
    name = _name.get()
    if name is not None:
        return name
    meta = fetch_one("SELECT mongo_database FROM app_meta", {})
    if meta is None:
        return _handle.require().mongodb_database
    follow(meta["mongo_database"])
    return str(meta["mongo_database"])


def database() -> Database[Doc]:
    """Return the database that belongs to this PostgreSQL store."""
    return client()[database_name()]


def collection(name: str) -> Collection[Doc]:
    """Return a collection of that database."""
    return database()[name]


def run(command: Doc) -> Doc:
    """Run a reading command on that database with the client's options, which PyMongo leaves out of commands."""
    here = database()
    return here.command(
        command,
        read_preference=here.read_preference,
        codec_options=here.codec_options,
        readConcern=here.read_concern.document,
    )


def has_snapshots() -> bool:
    """Tell whether the server can show the past: a replica set can, a standalone cannot."""
    with guarded():
        hello = client().admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


@contextmanager
def reading() -> Iterator[None]:
    """Run reads that PostgreSQL can answer too: like `guarded`, and soon given up."""
    with guarded(), pymongo.timeout(READ_SECONDS):
        yield


@contextmanager
def guarded() -> Iterator[None]:
    """Run MongoDB calls under the breaker; every transient failure leaves as `MongoUnavailable`."""
    if time.monotonic() < _handle.open_until:
        raise MongoUnavailable("circuit open")
    try:
        yield
    except PyMongoError as error:
        if not is_transient(error):
            raise
        _handle.failures += 1
        if _handle.failures >= BREAKER_FAILURES:
            _handle.open_until = time.monotonic() + BREAKER_SECONDS
        raise MongoUnavailable(str(error)) from error
    else:
        _handle.failures = 0


def is_transient(error: PyMongoError) -> bool:
    """Tell an outage (try again later) from a document that will never be accepted."""
    if isinstance(error, InvalidOperation | InvalidDocument):
        return False
    if isinstance(error, BulkWriteError):
        codes = {failure["code"] for failure in (error.details or {}).get("writeErrors", [])}
        return not codes & REFUSED_CODES
    return not (isinstance(error, OperationFailure) and error.code in REFUSED_CODES)
