"""Leaderboards as a projection: what events add to which board, and since when a score is held.

What takes points back counts where the points were given, so the boards then stand as if the deed had never been
done: the score falls in the period of the deed, and `reached_at` is the moment of the last deed that still counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core.json import dumps_text
from rebootcamp.core.leaderboards import BoardKey, Position, boards_on
from rebootcamp.events.histogram import Move, count_moves
from rebootcamp.storage.locks import LISTING, hold, share
from rebootcamp.storage.sql import Row

# What names a deed in the payload of the event that gave its points and of the one that takes them back.
DEED_FIELDS: Final = ("completion_id", "badge")
CHALLENGES: Final = "challenge."

Key = tuple[str, str, int]


@dataclass
class Tally:
    """A learner's score on one board, and when the last deed that counts was done."""

    score: int = 0
    reached_at: datetime | None = None

    def add(self, points: int, reached_at: datetime | None) -> None:
        """Add the points of a deed, or of several."""
        self.score += points
        if reached_at and (self.reached_at is None or reached_at > self.reached_at):
            self.reached_at = reached_at


def place_of(score: int, reached_at: datetime | None, user_id: int) -> Position | None:
    """Return the place that a score makes; nobody stands on a board without points."""
    return Position(-score, reached_at, user_id) if reached_at and score > 0 else None


def tell(events: Iterable[Row]) -> dict[BoardKey, Tally]:
    """Return what a learner's event rows, in order of `seq`, amount to on each board."""
    tallies: dict[BoardKey, Tally] = defaultdict(Tally)
    standing: dict[str, Row] = {}
    for event in events:
        origin, deed = event, deed_of(event)
        if event["points"] > 0:
            standing[deed] = event
        elif event["points"] < 0:
            origin = standing.pop(deed, event)
        for board in boards_of(event, origin["local_date"]):
            tallies[board].add(event["points"], None)
    for event in standing.values():
        for board in boards_of(event, event["local_date"]):
            tallies[board].add(0, event["occurred_at"])
    return dict(tallies)


def boards_of(event: Row, day: date) -> Sequence[BoardKey]:
    """Return the boards and periods on which an event row counts, for a deed of that day."""
    if not event["points"]:
        return ()
    is_challenge = event["type"].startswith(CHALLENGES)
    return boards_on(day, event["payload"].get("category") if is_challenge else None)


def deed_of(event: Row) -> str:
    """Return what names the deed; events that are no part of a pair are deeds of their own."""
    found = (event["payload"][name] for name in DEED_FIELDS if name in event["payload"])
    return repr(next(found, event["event_id"]))


# One statement adds, or replaces what `is_whole`, and tells where each learner stood before. The limits keep the
# planner from reading whole tables for a batch.
_WRITE: Final = sa.text("""
    WITH told AS MATERIALIZED (
        SELECT k.board, k.period, k.user_id, b.score AS old_score, b.reached_at AS old_reached_at,
            b.is_listed AS was_listed, u.is_listed AND u.is_active AS is_listed,
            CASE WHEN k.is_whole THEN k.score ELSE coalesce(b.score, 0) + k.score END AS score,
            CASE WHEN k.is_whole THEN k.reached_at ELSE greatest(b.reached_at, k.reached_at) END AS reached_at
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS k (
            board text, period text, user_id bigint, score integer, reached_at timestamptz, is_whole boolean)
        CROSS JOIN LATERAL (SELECT * FROM users WHERE id = k.user_id LIMIT 1) AS u
        LEFT JOIN LATERAL (
            SELECT * FROM leaderboard_entries e
            WHERE e.user_id = k.user_id AND e.board = k.board AND e.period = k.period LIMIT 1) AS b ON true
    ), written AS (
        INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at, is_listed)
        SELECT board, period, user_id, score, reached_at, is_listed FROM told
        ON CONFLICT (user_id, board, period) DO UPDATE
        SET score = excluded.score, reached_at = excluded.reached_at, is_listed = excluded.is_listed
    )
    SELECT * FROM told""")
_KNOWN: Final = sa.text("""
    SELECT board, period, user_id FROM leaderboard_entries WHERE user_id = ANY(CAST(:user_ids AS bigint[]))""")
_STORED: Final = sa.text("""
    SELECT b.board, b.period, b.user_id, b.score, b.reached_at, b.is_listed,
        u.is_listed AND u.is_active AS may_be_listed
    FROM leaderboard_entries b JOIN users u ON u.id = b.user_id
    WHERE b.user_id = ANY(CAST(:user_ids AS bigint[]))""")
_DELIVERED: Final = sa.text("""
    SELECT e.event_id, e.user_id, e.type, e.payload, e.points, e.occurred_at, e.local_date FROM activity_events e
    WHERE e.user_id = ANY(CAST(:user_ids AS bigint[])) AND e.points <> 0
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.user_id = e.user_id AND o.seq = e.seq)
    ORDER BY e.user_id, e.seq""")
_FORGET: Final = sa.text("DELETE FROM leaderboard_entries WHERE user_id = :user_id")
_RELIST: Final = sa.text("""
    UPDATE leaderboard_entries b SET is_listed = NOT b.is_listed FROM users u
    WHERE u.id = :user_id AND b.user_id = u.id AND b.is_listed <> (u.is_listed AND u.is_active)
    RETURNING b.board, b.period, b.score, b.reached_at, b.is_listed""")


def add_to_boards(session: Session, events: Iterable[Row]) -> None:
    """Add delivered events to the boards: once each, because their outbox rows leave in the same transaction."""
    scoring = [event for event in events if event["points"]]
    if not scoring:
        return
    share(session, LISTING)
    # What takes back, or was overtaken by later events, is told anew from the journal; the rest just adds up.
    tangled = {event["user_id"] for event in scoring if event["points"] < 0 or event["attempts"] > 0}
    gains: dict[Key, Tally] = defaultdict(Tally)
    for event in scoring:
        if event["user_id"] not in tangled:
            for board in boards_of(event, event["local_date"]):
                gains[*board, event["user_id"]].add(event["points"], event["occurred_at"])
    _write(session, gains, dict(_retold(session, tangled)) if tangled else {})


def relist(session: Session, user_id: int) -> None:
    """Show or hide a learner on every board as the account, already flushed, now says."""
    hold(session, LISTING)
    moves = []
    for row in session.execute(_RELIST, {"user_id": user_id}):
        place = place_of(row.score, row.reached_at, user_id)
        old, new = (None, place) if row.is_listed else (place, None)
        moves.append(Move((row.board, row.period), old, new))
    count_moves(session, moves)


def list_differing(session: Session, user_ids: Sequence[int]) -> list[int]:
    """Return those of some learners whose entries are not what was delivered; both are read at one moment."""
    wanted = {"user_ids": list(user_ids)}
    found: dict[Key, Tally] = {}
    differing: set[int] = set()
    for row in session.execute(_STORED, wanted):
        found[row.board, row.period, row.user_id] = Tally(row.score, row.reached_at)
        if row.is_listed != row.may_be_listed:
            differing.add(row.user_id)
    expected = dict(_delivered(session, wanted))
    for key in found.keys() | expected.keys():
        stored, told = found.get(key, Tally()), expected.get(key, Tally())
        # An entry without points is as good as none, whenever it lost them.
        if stored.score != told.score or (told.score and stored.reached_at != told.reached_at):
            differing.add(key[2])
    return sorted(differing)


def retell(session: Session, user_ids: Sequence[int]) -> None:
    """Make all entries of some learners anew; nothing of theirs may be delivered meanwhile."""
    share(session, LISTING)
    _write(session, {}, dict(_retold(session, set(user_ids))))


def rewrite(session: Session, user_id: int, before: Mapping[BoardKey, Tally], after: Mapping[BoardKey, Tally]) -> None:
    """Write a learner's entries anew, whatever they say; the counts, which rest on `before`, move along.

    The caller holds the barrier. The entries of nobody are dropped.
    """
    share(session, LISTING)
    known = session.execute(_KNOWN, {"user_ids": [user_id]}).all()
    tallies = {(*key, user_id): Tally() for key in before} | {(*row,): Tally() for row in known}
    tallies |= {(*key, user_id): tally for key, tally in after.items()}
    written = session.execute(_WRITE, {"rows": _rows(tallies, tallies)}).all()
    if not written:
        session.execute(_FORGET, {"user_id": user_id})
    moves = []
    for row in written:
        board = row.board, row.period
        old, new = before.get(board, Tally()), after.get(board, Tally())
        places = [place_of(tally.score, tally.reached_at, user_id) if row.is_listed else None for tally in (old, new)]
        moves.append(Move(board, *places))
    count_moves(session, moves)


def _retold(session: Session, user_ids: set[int]) -> Iterator[tuple[Key, Tally]]:
    """Yield what every board of these learners must say, the boards that they leave included."""
    wanted = {"user_ids": sorted(user_ids)}
    for row in session.execute(_KNOWN, wanted):
        yield (row.board, row.period, row.user_id), Tally()
    yield from _delivered(session, wanted)


def _delivered(session: Session, wanted: dict[str, list[int]]) -> Iterator[tuple[Key, Tally]]:
    delivered = session.execute(_DELIVERED, wanted).mappings()
    for user_id, events in groupby(delivered, key=lambda event: event["user_id"]):
        for board, tally in tell(events).items():
            yield (*board, user_id), tally


def _write(session: Session, gains: dict[Key, Tally], retold: dict[Key, Tally]) -> None:
    moves = []
    for row in session.execute(_WRITE, {"rows": _rows({**gains, **retold}, retold)}).all():
        board, period, user_id, old_score, old_reached_at, was_listed, is_listed, score, reached_at = row
        old = place_of(old_score, old_reached_at, user_id) if was_listed else None
        new = place_of(score, reached_at, user_id) if is_listed else None
        moves.append(Move((board, period), old, new))
    count_moves(session, moves)


def _rows(tallies: Mapping[Key, Tally], whole: Collection[Key]) -> str:
    """Return tallies as `_WRITE` takes them: to be added, or in the place of what is there."""
    rows = [
        {
            "board": board,
            "period": period,
            "user_id": user_id,
            "score": tally.score,
            "reached_at": tally.reached_at and tally.reached_at.isoformat(),
            "is_whole": (board, period, user_id) in whole,
        }
        for (board, period, user_id), tally in sorted(tallies.items())
    ]
    return dumps_text(rows)
