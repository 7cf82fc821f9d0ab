"""What is over and may go: never the journal, a ledger, a published result, or what the check makes again from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from rebootcamp.core import clock
from rebootcamp.models.sql.jobs import JobRun
from rebootcamp.services.backfills import forget_backfills
from rebootcamp.services.pictures import forget_ended_links
from rebootcamp.storage.batches import delete_in_batches

BACKFILLS_KEPT: Final = timedelta(days=90)
LINKS_KEPT: Final = timedelta(days=30)
RUNS_KEPT: Final = timedelta(days=90)


def compact_archives(tell: Callable[[int], None]) -> Mapping[str, int]:
    """Drop superseded back-fills, share links long ended, and runs that newer ones follow."""
    now = clock.now()
    return {
        "backfills": forget_backfills(now - BACKFILLS_KEPT, tell),
        "share_links": forget_ended_links(now - LINKS_KEPT, tell),
        "runs": _forget_runs(now - RUNS_KEPT, tell),
    }


def _forget_runs(before: datetime, tell: Callable[[int], None]) -> int:
    later = aliased(JobRun)
    is_followed = sa.exists().where(later.name == JobRun.name, later.id > JobRun.id)
    return delete_in_batches(JobRun, sa.and_(JobRun.started_at < before, is_followed), tell)
