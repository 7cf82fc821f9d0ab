"""Documents that were put aside: nothing that a repair takes away is lost."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
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
        home: Collection[Any] = mongo.database().get_collection(collection, codec_options=RAW)
        only: Any = {"_id": {"$eq": document_id}}
        found: RawBSONDocument | None = home.find_one(only)
        if found is None:
            return False
        cls.keep(collection, found, reason)
        failpoint("repair.copied")
        home.delete_one(only)
        return True

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
