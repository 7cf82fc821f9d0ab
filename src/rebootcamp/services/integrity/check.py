"""Proof that both stores agree: every derived figure and document is made again and compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pymongo

from rebootcamp.core.errors import NotFound
from rebootcamp.services.integrity.boards import ENTRIES, check_counts, check_entries, check_published
from rebootcamp.services.integrity.documents import check_documents
from rebootcamp.services.integrity.ledgers import check_ledgers
from rebootcamp.services.integrity.report import Notes, Report
from rebootcamp.services.integrity.sources import Learner, read_learners
from rebootcamp.services.integrity.stores import (
    check_catalogue,
    check_curve,
    check_identity,
    check_schema,
    check_validators,
    check_versions,
)
from rebootcamp.services.integrity.totals import check_figures, check_members, check_savings, check_teams
from rebootcamp.services.integrity.workshops import check_comments, check_registrations, check_seats
from rebootcamp.services.integrity.world import World, read_world
from rebootcamp.storage.cut import Cut, common_cut

# MongoDB keeps a snapshot for five minutes, and PostgreSQL cleans nothing up while one is open.
CUT_SECONDS: Final = 60.0
LONGEST_CUT: Final = 240
OVERDUE: Final = timedelta(minutes=15)

Progress = Callable[[int], None]


def check_stores(
    user_id: int | None = None,
    on_progress: Progress = lambda learners: None,
    seconds_a_cut: float = CUT_SECONDS,
    as_of: datetime | None = None,
) -> Report:
    """Compare both stores, or what they say of one learner; the service may run meanwhile.

    Each learner is read at one common cut, which is made anew after so many seconds. Stores that come from a backup
    are judged `as_of` its instant: what waited then was not late. Raises `NotFound`.
    """
    report = Report(as_of=as_of)
    if user_id is None:
        check_schema(report)
    after, is_first = None, True
    while True:
        with pymongo.timeout(LONGEST_CUT), common_cut() as cut:
            if is_first:
                _check_stores(report, cut, user_id)
            until = time.monotonic() + seconds_a_cut
            after = _check_learners(report, cut, user_id, after, until, on_progress)
            if after is None:
                _check_totals(report, cut, user_id)
                return report
        is_first = False


def check_cut(cut: Cut) -> Report:
    """Compare both stores as they were at one cut, however long that takes."""
    report = Report()
    check_schema(report)
    _check_stores(report, cut, None)
    _check_learners(report, cut, None, None, math.inf, lambda learners: None)
    _check_totals(report, cut, None)
    return report


def _check_stores(report: Report, cut: Cut, user_id: int | None) -> None:
    with report.examining("store", "meta"):
        check_identity(report, cut)
    check_validators(report, cut, user_id)
    if user_id is None:
        check_catalogue(report, cut)
        check_curve(report, cut)
        check_versions(report, cut)


def _check_learners(
    report: Report, cut: Cut, user_id: int | None, after: int | None, until: float, on_progress: Progress
) -> int | None:
    """Check learners until it is time for another cut; return the last one, or None when none is left."""
    world, is_known = read_world(cut, report.now), False
    for learner in read_learners(cut, user_id, after):
        is_known = True
        check_learner(report, learner, world)
        on_progress(report.learners)
        if user_id is None and time.monotonic() >= until:
            return learner.user_id
    if user_id is not None and not is_known:
        raise NotFound("user")
    return None


def check_learner(report: Report, learner: Learner, world: World) -> None:
    """Compare all that is stored of one learner."""
    notes = Notes(report, learner.user_id)
    report.learners += bool(learner.rows)
    report.events += len(learner.rows)
    report.pending += len(learner.waiting)
    with notes.examining("events"):
        check_ledgers(notes, learner, world)
    check_documents(notes, learner)
    with notes.examining("events"):
        check_entries(notes, learner)
        check_savings(notes, learner)
        check_teams(notes, learner, world)
        check_registrations(notes, learner)
    _check_outbox(notes, learner, world)


def _check_outbox(notes: Notes, learner: Learner, world: World) -> None:
    places = {row["event_id"]: row["seq"] for row in learner.rows}
    for row in learner.waiting:
        notes.expect("outbox", row["seq"], places.get(row["event_id"]), f"event {row['event_id']}")
        if row["dead_at"] is not None:
            notes.add("dead letter", row["last_error"] or "no reason kept", f"seq {row['seq']}")
        elif row["next_attempt_at"] < world.now - OVERDUE:
            notes.report.overdue += 1


def _check_totals(report: Report, cut: Cut, user_id: int | None) -> None:
    if report.overdue:
        late = f"{report.overdue} events wait, due for more than {OVERDUE}: is a relay running?"
        report.add("outbox age", "relay", late)
    if user_id is not None:
        return
    # Counts rest on the entries: while those are wrong, nothing can be said of these.
    if not any(finding.invariant == ENTRIES for finding in report.findings):
        check_counts(report, cut.sql)
    check_published(report, cut.sql)
    check_figures(report, cut.sql)
    check_members(report, cut.sql)
    check_seats(report, cut.sql)
    check_comments(report, cut)
