"""Documents that were put aside: nothing that a repair takes away is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, ClassVar, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import DuplicateKeyError

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.storage import mongo
from rebootcamp.storage.documents import Document

# Byte for byte: what cannot be understood cannot be decoded and encoded again.
RAW: Final = CodecOptions(document_class=RawBSONDocument)


class QuarantinedDocument(Document):
    """A document out of its place: `{_id: hash, collection, reason, at, document}`."""

    collection_name: ClassVar[str] = "_quarantine"

    @classmethod
    def put_aside(cls, collection: str, document_id: Any, reason: str) -> bool:
        """Move a document here, copy first, so that a kill loses nothing; return whether it was still there."""
        home: MongoCollection[Any] = mongo.database().get_collection(collection, codec_options=RAW)
        only: Any = {"_id": {"$eq": document_id}}
        found: RawBSONDocument | None = home.find_one(only)
        if found is None:
            return False
        cls.keep(collection, found, reason)
        failpoint("repair.copied")
        home.delete_one(only)
        return True

    @classmethod
    def forget(cls, user_ids: Collection[int]) -> None:
        """Delete what was put aside of some learners: their accounts were erased."""
        own = {"$in": sorted(user_ids)}
        cls.collection().delete_many(
            {"$or": [{"document.user_id": own}, {"collection": "progress", "document._id": own}]}
        )

    @classmethod
    def keep(cls, origin: str, document: RawBSONDocument, reason: str) -> None:
        """Keep a copy; the same one twice is one."""
        digest = hashlib.sha256(origin.encode() + b"\0" + document.raw).hexdigest()
        try:
            cls.collection().insert_one(
                {"_id": digest, "collection": origin, "reason": reason, "at": clock.now(), "document": document}
            )
        except DuplicateKeyError:
            return
