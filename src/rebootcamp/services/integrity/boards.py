"""Boards made again from the events: every entry, every count over them, and the hash of what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from rebootcamp.core.clock import iso
from rebootcamp.core.leaderboards import SCORE
from rebootcamp.events.boards import Tally, place_of, tell
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.leaderboards import LeaderboardCount, LeaderboardEntry, LeaderboardSnapshot
from rebootcamp.services.integrity.report import Report
from rebootcamp.services.leaderboards.snapshots import hash_of, stream_places
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.sql import Row

INVARIANT: Final = "leaderboard"
Key = tuple[str, str, int]


class Boards:
    """The boards as the delivered events make them; learners are told one after the other."""

    def __init__(self) -> None:
        self._tallies: dict[Key, Tally] = {}

    def count(self, user_id: int, rows: Iterable[Row], pending: set[int]) -> None:
        """Note the boards of one learner, without the events that still wait."""
        delivered = (row for row in rows if row["seq"] not in pending)
        self._tallies |= {(*board, user_id): tally for board, tally in tell(delivered).items()}

    def check(self, report: Report, cut: Cut) -> None:
        """Compare with what is stored."""
        self._check_entries(report, cut)
        self._check_counts(report, cut)
        _check_snapshots(report, cut)

    def _check_entries(self, report: Report, cut: Cut) -> None:
        columns = LeaderboardEntry.board, LeaderboardEntry.period, LeaderboardEntry.user_id
        values = LeaderboardEntry.score, LeaderboardEntry.reached_at
        found = {(e[0], e[1], e[2]): Tally(e[3], e[4]) for e in cut.sql.execute(sa.select(*columns, *values))}
        for key in found.keys() | self._tallies.keys():
            stored, expected = (_shown(tallies.get(key)) for tallies in (found, self._tallies))
            report.expect(INVARIANT, "/".join(map(str, key)), stored, expected)
        listed = sa.and_(User.is_listed, User.is_active)
        wrong = sa.select(*columns).join(User, User.id == LeaderboardEntry.user_id)
        for row in cut.sql.execute(wrong.where(LeaderboardEntry.is_listed.is_distinct_from(listed))):
            report.expect(INVARIANT, "/".join(map(str, row)), "listed otherwise than the account says", "the same")

    def _check_counts(self, report: Report, cut: Cut) -> None:
        rows = cut.sql.scalars(sa.select(LeaderboardCount)).all()
        found = {(r.board, r.period, r.level, r.score, r.slot): r.learners for r in rows}
        split = {(r.board, r.period, r.score) for r in rows if r.level == SCORE and r.is_split}
        expected: Counter[tuple[str, str, int, int, int]] = Counter()
        everybody = sa.select(User.id).where(User.is_listed, User.is_active)
        listed = set(cut.sql.scalars(everybody))
        for (board, period, user_id), tally in self._tallies.items():
            if user_id in listed and (place := place_of(tally.score, tally.reached_at, user_id)):
                nodes = [*place.counted(), *(place.slots() if (board, period, place.score) in split else ())]
                expected.update((board, period, *node) for node in nodes)
        for key in found.keys() | expected.keys():
            report.expect("rank counts", "/".join(map(str, key)), found.get(key, 0), expected[key])


def _shown(tally: Tally | None) -> str:
    """Return score and moment as one text; an entry of nothing is as good as none."""
    if tally is None or not tally.score:
        return "0"
    return f"{tally.score} since {tally.reached_at and iso(tally.reached_at)}"


def _check_snapshots(report: Report, cut: Cut) -> None:
    for snapshot in cut.sql.scalars(sa.select(LeaderboardSnapshot)):
        places = stream_places(cut.sql, snapshot.id)
        made = hash_of(snapshot.board, snapshot.period, places)
        report.expect("published board", f"{snapshot.board}/{snapshot.period}", snapshot.sha256, made)
