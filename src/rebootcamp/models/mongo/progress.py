"""What MongoDB shows of a learner: one small summary, and one document for each event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymongo import DESCENDING, InsertOne, ReplaceOne, UpdateOne

from rebootcamp.storage.documents import Document, insert_once, replace_if_newer, replace_present
from rebootcamp.storage.mongo import Doc


@dataclass(frozen=True)
class ProgressDocument(Document):
    """A learner's summary as of event `seq`, replaced as a whole.

    `badges`: held ones, oldest first, `{code, tier, points, awarded_at, event_id}`; `recent`: the newest events,
    newest first, `{id, seq, type, at, data}`; `totals`: `{challenge_points, badge_points}`.
    """

    collection_name: ClassVar[str] = "progress"

    user_id: int
    seq: int = 0
    badges: tuple[Doc, ...] = ()
    totals: dict[str, int] = field(default_factory=lambda: {"challenge_points": 0, "badge_points": 0})
    recent: tuple[Doc, ...] = ()

    @classmethod
    def from_bson(cls, document: Doc) -> ProgressDocument:
        """Wrap a stored summary."""
        return cls(
            user_id=document["_id"],
            seq=document["seq"],
            badges=tuple(document["badges"]),
            totals=document["totals"],
            recent=tuple(document["recent"]),
        )

    def fields(self) -> Doc:
        """Return what is stored beside `_id` and `seq`."""
        return {"badges": list(self.badges), "totals": self.totals, "recent": list(self.recent)}

    def save_if_newer(self) -> UpdateOne:
        """Return the guarded write of this summary."""
        return replace_if_newer(self.user_id, "seq", self.seq, self.fields())

    @classmethod
    def find(cls, user_id: int) -> Doc | None:
        """Return the stored summary of a learner, or None."""
        return cls.collection().find_one({"_id": user_id})

    @classmethod
    def find_many(cls, user_ids: list[int]) -> list[Doc]:
        """Return the stored summaries of some learners."""
        return list(cls.collection().find({"_id": {"$in": user_ids}}))


class HistoryDocument(Document):
    """One event, for ever: `{_id: event id, user_id, seq, type, at, local_date, data}`. Only an erasure retells it."""

    collection_name: ClassVar[str] = "history"

    @staticmethod
    def insert(document: Doc) -> InsertOne[Doc]:
        """Return the insertion of one event."""
        return insert_once(document)

    @staticmethod
    def retell(document: Doc) -> ReplaceOne[Doc]:
        """Return the replacement of one event whose free texts were erased."""
        return replace_present(document)

    @classmethod
    def list_newest(cls, user_id: int, *, before: int | None, event_type: str | None, limit: int) -> list[Doc]:
        """Return a learner's events, newest first, those below `before` only."""
        query: dict[str, Any] = {"user_id": user_id}
        if event_type is not None:
            query["type"] = event_type
        if before is not None:
            query["seq"] = {"$lt": before}
        return list(cls.collection().find(query).sort("seq", DESCENDING).limit(limit))
