"""The tables that relays keep in PostgreSQL: made right again from the journal, in place and without a hole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.boards import list_differing, retell
from rebootcamp.events.histogram import add_counts, counts_off
from rebootcamp.events.savings import add_figures, figures_off, recount_contributions
from rebootcamp.models.sql.challenges import TeamContribution
from rebootcamp.models.sql.eco import EcoContribution, EcoTotal
from rebootcamp.models.sql.leaderboards import LeaderboardCount, LeaderboardEntry
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.storage.cut import sql_snapshot
from rebootcamp.storage.locks import BARRIER, hold
from rebootcamp.storage.transactions import transaction

PROJECTED_TABLES: Final = (LeaderboardEntry, LeaderboardCount, EcoTotal, EcoContribution, TeamContribution)
CHUNK: Final = 500

# Makes a table anew in the transaction it is given; no relay delivers until that ends.
Recount = Callable[[Session], None]
_recounts: list[Recount] = [recount_contributions]


def subscribe(recounts: Sequence[Recount]) -> None:
    """Name the tables that belong to domains, beside those of the events themselves."""
    _recounts[1:] = recounts


def mend_tables(told: Callable[[int], None]) -> None:
    """Make every projected table agree with what was delivered; tell how many learners are done.

    Boards are compared first, and only those who differ are told anew. Each part is one transaction: a reader sees
    it as it was or as it must be, and a kill leaves the rest for the next time. The caller holds `REPAIR`.
    """
    for _ in mend_counts():
        failpoint("rebuild.counted")
    after, done = 0, 0
    while user_ids := _learners(after):
        _mend_boards(user_ids)
        after, done = user_ids[-1], done + len(user_ids)
        told(done)
    for make in _recounts:
        with transaction() as session:
            _hold_off_relays(session)
            make(session)
        failpoint("rebuild.mended")
    mend_figures()


def mend_counts() -> Iterator[int]:
    """Correct the counts over the boards; yield how many with each short transaction. The caller holds `REPAIR`.

    What lacks at one moment lacks at any later one, too: relays add and take away what moves meanwhile.
    """
    with sql_snapshot() as session:
        missing = {key: lacking for key, _, lacking in counts_off(session)}
    keys = sorted(missing)
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        with transaction() as session:
            add_counts(session, {key: missing[key] for key in chunk})
        yield len(chunk)


def mend_figures() -> list[str]:
    """Correct the figures of all savings, as `mend_counts` does the counts; return their names.

    What each learner saved is right already: relays tell by it who begins to count.
    """
    with sql_snapshot() as session:
        missing = {name: lacking for name, _, lacking in figures_off(session)}
    if missing:
        with transaction() as session:
            add_figures(session, missing)
    return list(missing)


def allow_minutes(session: Session) -> None:
    """Lift the limits that are meant for commands, until the transaction ends; a process that hangs is still ended."""
    for name, limit in (("statement_timeout", "0"), ("lock_timeout", "60s")):
        session.execute(sa.text(f"SET LOCAL {name} = '{limit}'"))
    session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = '5min'"))


def _hold_off_relays(session: Session) -> None:
    allow_minutes(session)
    hold(session, BARRIER)


def _learners(after: int) -> Sequence[int]:
    some = sa.select(LearnerState.user_id).where(LearnerState.user_id > after)
    with transaction() as session:
        return session.scalars(some.order_by(LearnerState.user_id).limit(CHUNK)).all()


def _mend_boards(user_ids: Sequence[int]) -> None:
    with transaction() as session:
        session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        differing = list_differing(session, user_ids)
    if differing:
        with transaction() as session:
            _hold_off_relays(session)
            retell(session, differing)
        failpoint("rebuild.retold")
