"""The twin of the marks that PostgreSQL keeps of backups."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pymongo import DESCENDING

from rebootcamp.storage.documents import Document


class BackupMarkDocument(Document):
    """One backup that was begun, by its id."""

    collection_name: ClassVar[str] = "backup_marks"

    @classmethod
    def forget_before(cls, before: datetime) -> int:
        """Delete what is older, but never the newest; return how many there were."""
        newest = cls.collection().find_one({}, sort=[("created_at", DESCENDING)])
        if newest is None:
            return 0
        return (
            cls.collection().delete_many({"created_at": {"$lt": before}, "_id": {"$ne": newest["_id"]}}).deleted_count
        )
