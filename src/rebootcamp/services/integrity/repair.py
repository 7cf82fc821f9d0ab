"""Repair: whatever follows from the journal is made again, whatever does not belong is put aside, the rest is told.

Every step looks again, under its own short locks, before it changes anything: what is right stays as it is, and a
repair may be killed and repeated at any point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pymongo
import sqlalchemy as sa
from bson import encode
from bson.raw_bson import RawBSONDocument
from sqlalchemy.orm import Session

from rebootcamp.core.errors import Busy, DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.events.redelivery import dismiss, list_orphans, rename_waiting, revive
from rebootcamp.events.tables import mend_counts, mend_figures
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.models.sql.badges import BadgeDefinition
from rebootcamp.models.sql.groups import Group
from rebootcamp.services.integrity.check import Progress, check_stores
from rebootcamp.services.integrity.invariants import (
    CATALOGUE,
    COUNTS,
    FIGURES,
    INVARIANTS,
    LEARNER,
    MEMBERS,
    OUTBOX,
    SCHEMA,
    SEATS,
)
from rebootcamp.services.integrity.mending import REASON, mend_learner, relays_held_off
from rebootcamp.services.integrity.report import Finding, Report
from rebootcamp.services.integrity.sources import owners
from rebootcamp.services.integrity.stores import IDENTITY, catalogue_faults, is_refused, owner_of, refused
from rebootcamp.services.integrity.totals import COUNTED, members_off
from rebootcamp.services.integrity.workshops import mend_seats, seats_off
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import Cut, sql_snapshot
from rebootcamp.storage.locks import DDL, REPAIR, exclusive
from rebootcamp.storage.mongo_schema import apply_schema
from rebootcamp.storage.transactions import transaction

# What one thing rests on may only come to light once that is right: entries, then the counts over them.
ROUNDS: Final = 3
CHUNK: Final = 100
# For what reads a whole collection, holding nothing.
LONG_SECONDS: Final = 240
MISPLACED: Final = "nobody can be found whose document it is"

Tell = Callable[[str], None]


class RepairRunning(DomainError):
    """Two repairs would add the same twice."""

    kind = Kind.CONFLICT
    code = "repair_running"
    title = Text("Repair under way", "Réparation en cours")
    detail = Text(
        "A repair or a rebuild is at work; try again later.",
        "Une réparation ou une reconstruction est en cours ; réessayez plus tard.",
    )


def repair_stores(tell: Tell, user_id: int | None = None, on_progress: Progress = lambda learners: None) -> Report:
    """Check and mend, until nothing is left that can be mended; return the last check. Raises `RepairRunning`."""
    with ExitStack() as stack:
        try:
            # PostgreSQL takes a moment to notice that a process has left.
            stack.enter_context(exclusive(REPAIR, wait="1s"))
        except Busy as error:
            raise RepairRunning from error
        report = check_stores(user_id, on_progress)
        for _ in range(ROUNDS):
            if not _mend(report, tell, user_id):
                break
            report = check_stores(user_id, on_progress)
        return report


def _mend(report: Report, tell: Tell, user_id: int | None) -> int:
    """Mend what a check found; return how many things were done."""
    done = 0
    for action in _actions(report.findings, user_id):
        tell(action)
        done += 1
    return done


def _actions(findings: list[Finding], user_id: int | None) -> Iterator[str]:
    if any(finding.invariant == IDENTITY for finding in findings):
        return
    wanted = {INVARIANTS[finding.invariant].mended for finding in findings}
    if OUTBOX in wanted:
        yield from _mend_outbox(user_id)
    if any(finding.invariant == "validator" for finding in findings):
        yield from _put_misplaced_aside()
    mended = (finding for finding in findings if INVARIANTS[finding.invariant].mended == LEARNER)
    for number in sorted({finding.user_id for finding in mended if finding.user_id is not None}):
        yield from _mend_learner(number)
    for part, mend in _PARTS.items():
        if part in wanted:
            yield from mend()


def _mend_learner(user_id: int) -> Iterator[str]:
    try:
        yield from mend_learner(user_id)
    except Busy:
        yield f"user {user_id}: busy, left for the next round"


def _mend_outbox(user_id: int | None) -> Iterator[str]:
    with relays_held_off(), transaction() as session:
        renamed, orphans = rename_waiting(session, user_id), list_orphans(session, user_id)
        for row in orphans:
            document = {name: value if isinstance(value, int) else str(value) for name, value in row.items()}
            QuarantinedDocument.keep("outbox", RawBSONDocument(encode(document)), "an outbox row of no event")
        dismiss(session, orphans)
        revived = revive(session, user_id)
    if renamed:
        yield f"outbox: {renamed} rows got the place of their event"
    if orphans:
        yield f"outbox: {len(orphans)} rows of no event copied to _quarantine and taken out"
    if revived:
        yield f"outbox: {revived} dead letters will be tried again"


def _put_misplaced_aside() -> Iterator[str]:
    """Move documents of learners' collections that name no learner; those that do are compared with the journal."""
    with pymongo.timeout(LONG_SECONDS):
        found = [(name, document["_id"], owner_of(name, document)) for name, document in refused(None)]
    misplaced = [(name, key) for name, key, owner in found if name in owners() and owner is None]
    for start in range(0, len(misplaced), CHUNK):
        with relays_held_off() as held:
            # A relay may have corrected it since.
            chunk = [(name, key) for name, key in misplaced[start : start + CHUNK] if is_refused(name, key)]
            for name, key in chunk:
                held.require()
                QuarantinedDocument.put_aside(name, key, MISPLACED)
        for name, key in chunk:
            yield f"{name} {key!r}: moved to _quarantine"


def _mend_catalogue() -> Iterator[str]:
    with relays_held_off(), transaction() as session:
        faults = list(catalogue_faults(Cut(session, None)))
        codes = [code for code, _ in faults]
        session.execute(sa.update(BadgeDefinition).where(BadgeDefinition.code.in_(codes)).values(projected_version=0))
        for code, fault in faults:
            if fault.document is not None:
                QuarantinedDocument.put_aside("badges", code, REASON)
    for code, fault in faults:
        moved = "" if fault.document is None else "moved to _quarantine, "
        yield f"badges {code}: {moved}to be shown again"


def _mend_counts() -> Iterator[str]:
    for number in mend_counts():
        failpoint("repair.counted")
        yield f"rank counts: {number} corrected"


def _mend_figures() -> Iterator[str]:
    for name in mend_figures():
        yield f"eco total {name}: corrected"


def _mend_members() -> Iterator[str]:
    with sql_snapshot() as session:
        wrong = [row[0] for row in members_off(session)]
    for group_id in wrong:
        with transaction() as session:
            _count_members(session, group_id)
        yield f"group {group_id}: members counted again"


def _count_members(session: Session, group_id: int) -> None:
    # Who joins or leaves writes this row, too: once it is locked, what is not counted here will add itself.
    session.execute(sa.select(Group.id).where(Group.id == group_id).with_for_update())
    session.execute(sa.update(Group).where(Group.id == group_id).values(members=COUNTED))


def _mend_seats() -> Iterator[str]:
    with sql_snapshot() as session:
        wrong = seats_off(session)
    for workshop_id in wrong:
        with transaction() as session:
            is_mended = mend_seats(session, workshop_id)
        if is_mended:
            yield f"workshop {workshop_id}: seats and queue counted again"


def _mend_schema() -> Iterator[str]:
    try:
        # A collection that is made while a backup reads cannot be read at its cut.
        with exclusive(DDL, wait="2s"), mongo.guarded(), pymongo.timeout(LONG_SECONDS):
            apply_schema(mongo.database())
    except Busy:
        yield "schema: a backup or a rebuild is at work, left for later"
    else:
        yield "schema: validators and indexes applied"


_PARTS: Final = {
    CATALOGUE: _mend_catalogue,
    COUNTS: _mend_counts,
    FIGURES: _mend_figures,
    MEMBERS: _mend_members,
    SEATS: _mend_seats,
    SCHEMA: _mend_schema,
}
