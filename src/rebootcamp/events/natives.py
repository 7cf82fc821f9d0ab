"""Writing and copying natives: what MongoDB alone holds, and PostgreSQL counts (docs/adr/0014-native-documents.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo.database import Database
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.events.pair import require_pair
from rebootcamp.models.mongo import NATIVES
from rebootcamp.storage.locks import BARRIER, share
from rebootcamp.storage.mongo import Doc, guarded
from rebootcamp.storage.mongo_schema import declarations, is_passing

META: Final = "meta"
# Beside the writers there is time; while they wait there is little.
LONG_SECONDS: Final = 3600
BATCH: Final = 1000
# Writers date their documents before they wait for the barrier, and by clocks of their own.
MARGIN: Final = timedelta(days=1)
# By `at` and `_id`; every native has it.
AGE_INDEX: Final = "age"


def join_pair(session: Session) -> None:
    """Let no cut and no switch come between the documents and the rows that this transaction writes or removes.

    It comes before the locks of rows: other writers of natives may wait for those while a cut waits for them.
    Raises `Unpaired`, `MongoUnavailable`; who waits too long for a cut gets `Busy`.
    """
    share(session, BARRIER)
    # A switch may have come since the caller's name was read.
    require_pair()


class NativeCopy:
    """Copies what no event tells into another database: most of it beside the writers, the rest while they wait.

    What nobody declared is somebody's, and goes along.
    """

    def __init__(self, former: Database[Doc], fresh: Database[Doc]) -> None:
        self._former, self._fresh = former, fresh
        self._since = clock.now() - MARGIN

    def begin(self) -> None:
        """Copy what is only ever inserted and deleted."""
        with guarded(), pymongo.timeout(LONG_SECONDS):
            for native in NATIVES:
                self._merge(native.collection_name, {})

    def finish(self) -> None:
        """Copy everything else, and what came or went since; the barrier holds off whoever writes natives."""
        left_out = {META} | {declared["collection"] for declared in declarations() if declared["projection"]}
        dated = {native.collection_name for native in NATIVES}
        for name in self._former.list_collection_names():
            if name not in left_out and not is_passing(name):
                self._merge(name, {"at": {"$gte": self._since}} if name in dated else {})
        for name in sorted(dated):
            if _sums(self._former, name) != _sums(self._fresh, name):
                self._compare(name)

    def _merge(self, name: str, query: Doc) -> None:
        into = {"into": {"db": self._fresh.name, "coll": name}, "whenMatched": "replace"}
        self._former[name].aggregate([{"$match": query}, {"$merge": into}])

    def _compare(self, name: str) -> None:
        """Take away what has gone meanwhile, and bring what was dated far back."""
        source, target = _keys(self._former, name), _keys(self._fresh, name)
        gone, missing = target - source, source - target
        for keys in _batches(gone):
            self._fresh[name].delete_many({"_id": {"$in": [key for key, _ in keys]}})
        for keys in _batches(missing):
            self._merge(name, {"_id": {"$in": [key for key, _ in keys]}})


def _sums(database: Database[Doc], name: str) -> Doc:
    """Return what differs where a document came or went; from the index alone."""
    sums = {"documents": {"$sum": 1}, "instants": {"$sum": {"$toLong": "$at"}}}
    group = [{"$group": {"_id": None, **sums}}]
    return next(iter(database[name].aggregate(group, hint=AGE_INDEX)), {})


def _keys(database: Database[Doc], name: str) -> set[tuple[Any, Any]]:
    """Return what tells each document from every other one that ever had its `_id`; from the index alone."""
    found = database[name].find({}, {"_id": True, "at": True}).hint(AGE_INDEX)
    return {(document["_id"], document["at"]) for document in found}


def _batches(keys: set[tuple[Any, Any]]) -> Iterator[list[tuple[Any, Any]]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]
