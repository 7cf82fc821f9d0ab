"""What MongoDB shows of badges: the catalogue and who holds what."""

from __future__ import annotations

from typing import ClassVar

from pymongo import ASCENDING, UpdateOne

from rebootcamp.storage.documents import Document, StateDocument, replace_if_newer
from rebootcamp.storage.mongo import Doc


class BadgeDocument(Document):
    """A badge of the catalogue: `{_id: code, texts, tier, points, icon, criteria, is_active, version}`."""

    collection_name: ClassVar[str] = "badges"

    @staticmethod
    def save_if_newer(code: str, version: int, fields: Doc) -> UpdateOne:
        """Return the guarded write of one version."""
        return replace_if_newer(code, "version", version, fields)


class AwardDocument(StateDocument):
    """That a learner holds, or once held, a badge; `state` is `held` or `revoked`, never deleted."""

    collection_name: ClassVar[str] = "awards"
    # Badges could not always end.
    unsaid: ClassVar[Doc] = {"expires_at": None}

    @staticmethod
    def identify(user_id: int, badge: str) -> str:
        """Return the `_id` of a learner's award of a badge."""
        return f"{user_id}:{badge}"

    @classmethod
    def list_of(cls, user_id: int) -> list[Doc]:
        """Return all awards of a learner, revoked ones included, oldest first."""
        return list(cls.collection().find({"user_id": user_id}).sort("seq", ASCENDING))
