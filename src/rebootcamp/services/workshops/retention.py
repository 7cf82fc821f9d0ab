"""What is kept of workshops for a time only: who looked, and texts that no comment counts any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pymongo
import sqlalchemy as sa

from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.natives import join_pair
from rebootcamp.events.pair import require_pair
from rebootcamp.models.mongo.workshops import CommentDocument, WorkshopViewDocument
from rebootcamp.models.sql.workshops import WorkshopComment
from rebootcamp.storage.mongo import Doc, guarded
from rebootcamp.storage.transactions import transaction

BATCH: Final = 500
BULK_SECONDS: Final = 60
# A document is written an instant before its row: this is more than long enough to know that none will come.
ORPHANED_AFTER: Final = timedelta(days=1)
# The hash of a deleted comment whose texts are gone.
NO_TEXT: Final = b""

Tell = Callable[[int], None]


@dataclass
class _Policy:
    kept: timedelta = timedelta(days=Settings.workshop_log_days)


_policy = _Policy()


def configure(settings: Settings) -> None:
    """Set how long it is known who looked at a workshop."""
    _policy.kept = timedelta(days=settings.workshop_log_days)


def kept_since() -> datetime:
    """Return the instant before which the log of a workshop tells nothing."""
    return clock.now() - _policy.kept


def forget_log(tell: Tell) -> Mapping[str, int]:
    """Drop what is past its time. Raises `Unpaired`, `MongoUnavailable`, `Busy`; the next run completes it."""
    require_pair()
    now = clock.now()
    with guarded(), pymongo.timeout(BULK_SECONDS):
        views = WorkshopViewDocument.forget_before(now - _policy.kept)
    tell(views)
    return {"views": views, "texts": _remove_deleted(tell), "orphans": _remove_orphans(now - ORPHANED_AFTER, tell)}


def _remove_deleted(tell: Tell) -> int:
    """Remove the texts of deleted comments, then note on the rows that they are gone; return how many texts."""
    is_due = WorkshopComment.state == "deleted", WorkshopComment.text_hash != NO_TEXT
    due = sa.select(WorkshopComment.id).where(*is_due).limit(BATCH).with_for_update(skip_locked=True)
    total = 0
    while True:
        with transaction() as session:
            # A rebuild that had copied the texts before they were removed would bring them back.
            join_pair(session)
            ids = session.scalars(due).all()
            with guarded():
                total += CommentDocument.remove_all_of(ids)
            failpoint("workshop_log.texts_removed")
            changed = sa.update(WorkshopComment).where(WorkshopComment.id.in_(ids)).values(text_hash=NO_TEXT)
            session.execute(changed, execution_options={"synchronize_session": False})
        tell(total)
        if len(ids) < BATCH:
            return total


def _remove_orphans(before: datetime, tell: Tell) -> int:
    """Remove old documents that no row counts: somebody was killed before it; return how many."""
    total, after = 0, ""
    while True:
        with guarded():
            heads = CommentDocument.list_heads(after=after, before=before, limit=BATCH)
        if orphans := _orphans(heads):
            with transaction() as session:
                join_pair(session)
                with guarded():
                    total += CommentDocument.remove(orphans, before)
        tell(total)
        if len(heads) < BATCH:
            return total
        after = heads[-1]["_id"]


def _orphans(heads: list[Doc]) -> list[str]:
    columns = WorkshopComment.id, WorkshopComment.version, WorkshopComment.text_hash
    wanted = WorkshopComment.id.in_({head["comment_id"] for head in heads})
    with transaction() as session:
        rows = session.execute(sa.select(*columns).where(wanted)).all()
    last = {row.id: 0 if row.text_hash == NO_TEXT else row.version for row in rows}
    return [head["_id"] for head in heads if head["version"] > last.get(head["comment_id"], 0)]
