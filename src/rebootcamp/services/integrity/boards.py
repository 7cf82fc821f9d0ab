"""Boards made again from the events: every entry, every count over them, and the hash of what was published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core.clock import iso
from rebootcamp.core.leaderboards import BoardKey
from rebootcamp.events.boards import Tally, tell
from rebootcamp.events.histogram import counts_off
from rebootcamp.models.sql.leaderboards import LeaderboardSnapshot
from rebootcamp.services.integrity.report import Notes, Report
from rebootcamp.services.integrity.sources import Learner
from rebootcamp.services.leaderboards.snapshots import hash_of, stream_places

ENTRIES: Final = "leaderboard"
COUNTS: Final = "rank counts"


def check_entries(notes: Notes, learner: Learner) -> None:
    """Compare a learner's entries with the delivered events, and with what the account says."""
    expected = tell(learner.delivered)
    wrong = wrong_entries(learner, expected)
    for board, period in sorted(wrong):
        found, wanted = wrong[board, period]
        subject = f"{board}/{period}/{learner.user_id}"
        notes.report.expect(ENTRIES, subject, found, wanted, learner.user_id)


def wrong_entries(learner: Learner, expected: Mapping[BoardKey, Tally]) -> dict[BoardKey, tuple[str, str]]:
    """Return what is stored and what is expected of each board on which they differ."""
    found = {(row["board"], row["period"]): row for row in learner.entries}
    wrong = {}
    for key in found.keys() | expected.keys():
        row = found.get(key)
        stored = _shown(Tally(row["score"], row["reached_at"]) if row else None)
        wanted = _shown(expected.get(key))
        if row and stored == wanted and row["is_listed"] != learner.is_listed:
            stored, wanted = "listed otherwise than the account says", "the same"
        if stored != wanted:
            wrong[key] = stored, wanted
    return wrong


def check_counts(report: Report, session: Session) -> None:
    """Compare the counts with the entries below them."""
    for key, learners, missing in counts_off(session):
        report.expect(COUNTS, "/".join(map(str, key)), learners, learners + missing)


def check_published(report: Report, session: Session) -> None:
    """Make the hash of every published board again."""
    for snapshot in session.scalars(sa.select(LeaderboardSnapshot)):
        made = hash_of(snapshot.board, snapshot.period, stream_places(session, snapshot.id))
        report.expect("published board", f"{snapshot.board}/{snapshot.period}", snapshot.sha256, made)


def _shown(tally: Tally | None) -> str:
    """Return score and moment as one text; an entry of nothing is as good as none."""
    if tally is None or not tally.score:
        return "0"
    return f"{tally.score} since {tally.reached_at and iso(tally.reached_at)}"
