"""The twin of the marks that PostgreSQL keeps of backups."""

from __future__ import annotations

from typing import ClassVar

from rebootcamp.storage.documents import Document


class BackupMarkDocument(Document):
    """One backup that was begun, by its id."""

    collection_name: ClassVar[str] = "backup_marks"
