"""The marks of backups in both stores, and what the outbox gave up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from rebootcamp.core import clock
from rebootcamp.events.pair import require_pair
from rebootcamp.events.store import fetch_backlog
from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.sql.backups import BackupMark
from rebootcamp.storage.batches import delete_in_batches
from rebootcamp.storage.mongo import guarded

MARKS_KEPT: Final = timedelta(days=30)


def forget_marks(tell: Callable[[int], None]) -> Mapping[str, int]:
    """Drop the marks of old backups, never the newest one; a dead letter is a fact that is not shown yet, and stays."""
    require_pair()
    before, later = clock.now() - MARKS_KEPT, aliased(BackupMark)
    is_followed = sa.exists().where(later.created_at > BackupMark.created_at)
    rows = delete_in_batches(BackupMark, sa.and_(BackupMark.created_at < before, is_followed), tell)
    with guarded():
        documents = BackupMarkDocument.forget_before(before)
    return {"marks": rows, "mark_documents": documents, "dead_letters": fetch_backlog()["dead_letters"]}
