"""What every document class shares: its collection, the idempotent ways to write a projection, and natives."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import DUPLICATE_KEY, Doc, MongoUnavailable

PUT_TRIES: Final = 3

Write = InsertOne[Doc] | ReplaceOne[Doc] | UpdateOne


class Document:
    """Base of a document class; its validator and indexes are in `mongo_init/<collection_name>.json`."""

    collection_name: ClassVar[str]

    @classmethod
    def collection(cls) -> Collection[Doc]:
        """Return the collection on this process's client."""
        return mongo.collection(cls.collection_name)

    @classmethod
    def find_by_id(cls, document_id: Any) -> Doc | None:
        """Return the document of that `_id`, or None."""
        # The bare command: the cursor object of `find_one` costs as much as decoding the document.
        command = {"find": cls.collection_name, "filter": {"_id": document_id}, "limit": 1, "singleBatch": True}
        found: Sequence[Doc] = mongo.run(command)["cursor"]["firstBatch"]
        return found[0] if found else None

    @classmethod
    def write_all(cls, writes: Sequence[Write]) -> None:
        """Send writes in one unordered bulk; a duplicate key means that the same or a newer copy is already there."""
        if not writes:
            return
        try:
            cls.collection().bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            refused = any(failure["code"] != DUPLICATE_KEY for failure in details.get("writeErrors", []))
            # Beside duplicates, a lost write concern still means that a crash could undo the rest.
            if refused or details.get("writeConcernErrors"):
                raise


class NativeDocument(Document):
    """Base of documents that nothing else can derive: `{_id, user_id, at, …}`, written once and never changed.

    A row of PostgreSQL, which commits after the document was written, says which ones count. What a kill leaves in
    between counts for nothing, and a job removes it.
    """

    @classmethod
    def put(cls, document: Doc) -> None:
        """Write a document that no row counts yet. The caller holds, until he commits, what makes him its only writer.

        So whatever is in its place was left by somebody who died before his row: it gives way. An insertion that
        arrives late finds a duplicate, and a deletion that arrives late finds another `at`: neither undoes this.
        """
        for _ in range(PUT_TRIES):
            try:
                cls.collection().insert_one(document)
            except DuplicateKeyError:
                left = cls.find_by_id(document["_id"])
                if left is not None:
                    cls.collection().delete_one({"_id": left["_id"], "at": left["at"]})
            else:
                return
        raise MongoUnavailable(f"{cls.collection_name} {document['_id']} is being written by somebody else")

    @classmethod
    def find_many(cls, ids: Sequence[Any]) -> list[Doc]:
        """Return the documents of some `_id`s."""
        return list(cls.collection().find({"_id": {"$in": list(ids)}}))

    @classmethod
    def forget(cls, user_ids: Some[int]) -> None:
        """Delete whatever some people wrote: their accounts were erased."""
        cls.collection().delete_many({"user_id": {"$in": sorted(user_ids)}})


def insert_once(document: Doc) -> InsertOne[Doc]:
    """Return the insertion of a document whose `_id` names one occurrence: a second insertion changes nothing."""
    return InsertOne(document)


def replace_present(document: Doc) -> ReplaceOne[Doc]:
    """Return the replacement of a document, where it is: one that was never accepted stays away."""
    return ReplaceOne({"_id": document["_id"]}, document)


def replace_if_newer(document_id: Any, order: str, value: int, fields: Doc) -> UpdateOne:
    """Return a state transfer guarded by a growing number (`seq` or `version`): an older copy never wins."""
    return UpdateOne({"_id": document_id, order: {"$lte": value}}, {"$set": {**fields, order: value}}, upsert=True)


class StateDocument(Document):
    """Base of what shows how one thing stands, by what events say of it: `{_id, user_id, seq, …}`; the newest wins.

    `maps` names the fields to which each event adds entries of its own; `unsaid`: what documents from before a field
    was added leave out.
    """

    maps: ClassVar[frozenset[str]] = frozenset()
    unsaid: ClassVar[Doc] = {}

    @classmethod
    def merge(cls, fields: Doc, newer: Doc) -> None:
        """Add to the fields what a newer event says."""
        kept = {name: {**fields[name], **newer[name]} for name in cls.maps if name in fields and name in newer}
        fields.update(newer | kept)

    @classmethod
    def save_if_newer(cls, document_id: Any, fields: Doc) -> UpdateOne:
        """Return the guarded write of one state, `seq` among its fields; entries of maps join those that are there."""
        stated = {name: value for name, value in fields.items() if name not in cls.maps and name != "seq"}
        entries = {f"{name}.{key}": entry for name in cls.maps for key, entry in fields.get(name, {}).items()}
        return replace_if_newer(document_id, "seq", fields["seq"], stated | entries)


def by_id(documents: Iterable[Doc]) -> dict[Any, Doc]:
    """Index documents by `_id`."""
    return {document["_id"]: document for document in documents}
