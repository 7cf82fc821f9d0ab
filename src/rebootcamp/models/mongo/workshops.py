"""What MongoDB shows of workshops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rebootcamp.storage import mongo
from rebootcamp.storage.documents import StateDocument
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
