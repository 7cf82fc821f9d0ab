"""Figures of use, one row a day, and the statistics of PostgreSQL's planner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.usage import first_day, index_newest, usage_between
from rebootcamp.models.sql.jobs import UsageDay
from rebootcamp.storage.sql import Base
from rebootcamp.storage.transactions import transaction

ORDER: Final = "usage_days"
# So many days are counted in one transaction.
WINDOW: Final = timedelta(days=31)
DAY: Final = timedelta(days=1)
# A command that began before midnight may commit after it.
SETTLED: Final = timedelta(minutes=1)
LONGEST: Final = sa.text("SET LOCAL statement_timeout = '120s'")

_CHANGED: Final = sa.text("""
    SELECT relname FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND n_mod_since_analyze > 0 ORDER BY relname""")


def list_usage(actor: Actor, since: date | None, until: date | None, page: PageRequest) -> Page[UsageDay]:
    """List the days that were counted, the newest first."""
    actor.require("statistics:read")
    statement = sa.select(UsageDay).order_by(UsageDay.day.desc()).limit(page.limit + 1)
    if since is not None:
        statement = statement.where(UsageDay.day >= since)
    if until is not None:
        statement = statement.where(UsageDay.day <= until)
    if (key := page.key(ORDER, (str,))) is not None:
        # As text: what a forged cursor holds may be no date.
        statement = statement.where(sa.cast(UsageDay.day, sa.Text) < key[0])
    with transaction() as session:
        days = session.scalars(statement).all()
    return paginate(days, page.limit, ORDER, lambda found: (found.day.isoformat(),))


def keep_statistics(tell: Callable[[int], None]) -> Mapping[str, int]:
    """Count the days that are over and were not counted yet, then analyse the tables that changed."""
    return {"days": _count_days(tell), **_analyse(tell)}


def _index_newest() -> None:
    try:
        with transaction() as session:
            session.execute(LONGEST)
            index_newest(session)
    except Busy:
        # The autovacuum has the journal: counting is only slower.
        return


def _count_days(tell: Callable[[int], None]) -> int:
    _index_newest()
    last = (clock.now() - SETTLED).date() - DAY
    with transaction() as session:
        session.execute(LONGEST)
        counted = session.scalar(sa.select(sa.func.max(UsageDay.day)))
        day = counted + DAY if counted else first_day(session)
    total = 0
    while day is not None and day <= last:
        end = min(day + WINDOW - DAY, last)
        total += _count_window(day, end)
        tell(total)
        day = end + DAY
    return total


def _count_window(first: date, last: date) -> int:
    with transaction() as session:
        session.execute(LONGEST)
        rows = [asdict(usage) for usage in usage_between(session, first, last)]
        session.execute(insert(UsageDay).on_conflict_do_nothing(), rows)
    return len(rows)


def _analyse(tell: Callable[[int], None]) -> Mapping[str, int]:
    with transaction() as session:
        changed = [name for name in session.scalars(_CHANGED) if name in Base.metadata.tables]
    analysed = 0
    for name in changed:
        try:
            with transaction() as session:
                session.execute(LONGEST)
                session.execute(sa.text(f"ANALYZE {name}"))
        except Busy:
            # The autovacuum has the table, and does the same.
            continue
        analysed += 1
        tell(analysed)
    return {"analysed": analysed, "skipped": len(changed) - analysed}
