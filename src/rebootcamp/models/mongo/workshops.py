"""What MongoDB shows of registrations, and what it alone holds: the texts of comments, who looked at which workshop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from rebootcamp.storage import mongo
from rebootcamp.storage.documents import NativeDocument, StateDocument
from rebootcamp.storage.mongo import Doc


class RegistrationDocument(StateDocument):
    """One stay in a workshop, whole: `{_id: registration id, workshop_id, user_id, status, offered_until,
    registered_at, answers, note, rating, feedback, steps: {"<seq>": {type, at, …}}, seq}`.
    """

    collection_name: ClassVar[str] = "registrations"
    maps: ClassVar[frozenset[str]] = frozenset({"steps"})

    @classmethod
    def find_many(cls, ids: Sequence[int]) -> Sequence[Doc]:
        """Return the documents of some registrations, a page at most, in one round trip."""
        if not ids:
            return []
        wanted = {"_id": {"$in": list(ids)}}
        command = {"find": cls.collection_name, "filter": wanted, "batchSize": len(ids), "singleBatch": True}
        found: Sequence[Doc] = mongo.run(command)["cursor"]["firstBatch"]
        return found


class CommentDocument(NativeDocument):
    """One version of a comment: `{_id, comment_id, version, workshop_id, user_id, text, hash, allow_list, at}`.

    `hash` is the SHA-256 of the text, as the row has it; `allow_list` the number of what was allowed in it.
    """

    collection_name: ClassVar[str] = "comments"

    @staticmethod
    def identify(comment_id: int, version: int) -> str:
        """Return the `_id` of a version."""
        return f"{comment_id}:{version}"

    @classmethod
    def list_versions(cls, comment_id: int, *, after: int, last: int, limit: int) -> list[Doc]:
        """Return the versions of a comment, oldest first, those above `after` and up to `last` only."""
        query = {"comment_id": comment_id, "version": {"$gt": after, "$lte": last}}
        return list(cls.collection().find(query).sort("version", ASCENDING).limit(limit))

    @classmethod
    def list_heads(cls, *, after: str, before: datetime, limit: int) -> list[Doc]:
        """Return `{_id, comment_id, version}` of documents older than an instant, by `_id`, those behind `after`."""
        query = {"_id": {"$gt": after}, "at": {"$lt": before}}
        return list(
            cls.collection().find(query, {"comment_id": True, "version": True}).sort("_id", ASCENDING).limit(limit)
        )

    @classmethod
    def remove(cls, ids: Collection[str], before: datetime) -> int:
        """Delete documents that no row counts, if they are older than an instant; return how many were."""
        query = {"_id": {"$in": list(ids)}, "at": {"$lt": before}}
        return cls.collection().delete_many(query).deleted_count

    @classmethod
    def remove_all_of(cls, comment_ids: Collection[int]) -> int:
        """Delete every version of some comments; return how many documents that were."""
        return cls.collection().delete_many({"comment_id": {"$in": list(comment_ids)}}).deleted_count


class WorkshopViewDocument(NativeDocument):
    """That somebody looked at a workshop on a day: `{_id, workshop_id, user_id, at}`. No row counts it."""

    collection_name: ClassVar[str] = "workshop_views"

    @classmethod
    def note(cls, workshop_id: int, user_id: int, at: datetime) -> None:
        """Note the first look of a (UTC) day; the others change nothing."""
        document = {"_id": f"{workshop_id}:{user_id}:{at:%Y-%m-%d}"}
        try:
            cls.collection().insert_one({**document, "workshop_id": workshop_id, "user_id": user_id, "at": at})
        except DuplicateKeyError:
            return

    @classmethod
    def forget_before(cls, before: datetime) -> int:
        """Delete what is older; return how many there were."""
        return cls.collection().delete_many({"at": {"$lt": before}}).deleted_count
