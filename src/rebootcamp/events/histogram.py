"""How many learners stand where: a tree of counts over each board's order, so that a rank is a few short sums.

Every writer locks the rows of scores before the slots below them, each kind in one order: no two can block each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core.leaderboards import (
    BUCKET,
    BUCKET_BITS,
    COARSE,
    COARSE_BITS,
    FINE,
    FINE_BITS,
    RANGE,
    RANGE_BITS,
    SCORE,
    BoardKey,
    Position,
)

# From so many learners on one score, slots of time count them.
SPLIT_AT: Final = 512

Key = tuple[str, str, int, int, int]

_ROWS: Final = """unnest(CAST(:boards AS text[]), CAST(:periods AS text[]), CAST(:levels AS smallint[]),
    CAST(:scores AS integer[]), CAST(:slots AS integer[])"""
_COUNT: Final = sa.text(f"""
    INSERT INTO leaderboard_counts AS c (board, period, level, score, slot, learners, is_split)
    SELECT n.*, false FROM {_ROWS}, CAST(:learners AS integer[])) AS n
    ON CONFLICT (board, period, level, score, slot) DO UPDATE SET learners = c.learners + excluded.learners
    RETURNING board, period, level, score, slot, learners, is_split""")  # noqa: S608
_DROP: Final = sa.text(f"""
    DELETE FROM leaderboard_counts c USING {_ROWS}) AS n (board, period, level, score, slot)
    WHERE (c.board, c.period, c.level, c.score, c.slot) = (n.board, n.period, n.level, n.score, n.slot)
        AND c.learners = 0""")  # noqa: S608
_SPLIT: Final = sa.text(f"""
    WITH crowded AS (
        UPDATE leaderboard_counts SET is_split = true
        WHERE board = :board AND period = :period AND level = {SCORE} AND score = :score
    )
    INSERT INTO leaderboard_counts (board, period, level, score, slot, learners, is_split)
    SELECT :board, :period, t.level, :score, milliseconds >> bits AS slot, count(*), false
    FROM (
        SELECT floor(extract(epoch FROM reached_at) * 1000)::bigint AS milliseconds FROM leaderboard_entries
        WHERE board = :board AND period = :period AND (- score) = - CAST(:score AS integer)
            AND is_listed AND score > 0) AS e
    CROSS JOIN (VALUES ({COARSE}, {COARSE_BITS}), ({FINE}, {FINE_BITS})) AS t (level, bits)
    GROUP BY t.level, milliseconds >> bits""")  # noqa: S608

# The counts as stored, and what the entries would add to them: where that is nothing, all is well.
_OFF: Final = sa.text(f"""
    WITH placed AS MATERIALIZED (
        SELECT board, period, score, floor(extract(epoch FROM reached_at) * 1000)::bigint AS milliseconds
        FROM leaderboard_entries WHERE is_listed AND score > 0 AND reached_at IS NOT NULL
    ), expected AS (
        SELECT p.board, p.period, t.level, p.score >> t.bits AS score, 0 AS slot, count(*) AS learners
        FROM placed p CROSS JOIN (VALUES ({RANGE}, {RANGE_BITS}), ({BUCKET}, {BUCKET_BITS}), ({SCORE}, 0))
            AS t (level, bits)
        GROUP BY p.board, p.period, t.level, p.score >> t.bits
        UNION ALL
        SELECT p.board, p.period, t.level, p.score, (p.milliseconds >> t.bits)::integer, count(*)
        FROM placed p JOIN leaderboard_counts c
            ON c.board = p.board AND c.period = p.period AND c.level = {SCORE} AND c.score = p.score AND c.is_split
        CROSS JOIN (VALUES ({COARSE}, {COARSE_BITS}), ({FINE}, {FINE_BITS})) AS t (level, bits)
        GROUP BY p.board, p.period, t.level, p.score, p.milliseconds >> t.bits
    )
    SELECT board, period, level, score, slot, coalesce(c.learners, 0) AS learners,
        coalesce(e.learners, 0) - coalesce(c.learners, 0) AS missing
    FROM expected e FULL JOIN leaderboard_counts c USING (board, period, level, score, slot)
    WHERE coalesce(e.learners, 0) <> coalesce(c.learners, 0) ORDER BY 1, 2, 3, 4, 5""")  # noqa: S608


class Move(NamedTuple):
    """A learner leaves one place of a board for another; None: nowhere."""

    board: BoardKey
    old: Position | None
    new: Position | None


def count_moves(session: Session, moves: Iterable[Move]) -> None:
    """Count places that are already written to the entries."""
    moves = [move for move in moves if move.old != move.new]
    scores: Counter[Key] = Counter()
    for board, old, new in moves:
        for node in new.counted() if new else ():
            scores[board + node] += 1
        for node in old.counted() if old else ():
            scores[board + node] -= 1
    # A score from which as many go as come is locked all the same: its row tells whether slots are kept.
    found = _count(session, {key: change for key, change in scores.items() if change or key[2] == SCORE})
    _count(session, _slots(moves, {(row.board, row.period, row.score) for row in found if row.is_split}))
    _split_crowded(session, found)


def counts_off(session: Session) -> list[tuple[Key, int, int]]:
    """Return node, stored count and what it lacks of each count that the entries do not make."""
    return [(tuple(row[:5]), row.learners, row.missing) for row in session.execute(_OFF)]


def add_counts(session: Session, missing: dict[Key, int]) -> None:
    """Add to some counts what they lack; moves that are counted meanwhile come on top."""
    _split_crowded(session, _count(session, missing))


def _split_crowded(session: Session, found: Iterable[Any]) -> None:
    for row in found:
        if row.level == SCORE and row.learners >= SPLIT_AT and not row.is_split:
            session.execute(_SPLIT, {"board": row.board, "period": row.period, "score": row.score})


def _slots(moves: Iterable[Move], split: set[tuple[str, str, int]]) -> dict[Key, int]:
    slots: Counter[Key] = Counter()
    for board, old, new in moves:
        for place, change in ((new, 1), (old, -1)):
            if place and (*board, place.score) in split:
                for node in place.slots():
                    slots[board + node] += change
    return {key: change for key, change in slots.items() if change}


def _count(session: Session, changes: dict[Key, int]) -> list[Any]:
    if not changes:
        return []
    keys = sorted(changes)
    found = list(session.execute(_COUNT, {**_columns(keys), "learners": [changes[key] for key in keys]}))
    if emptied := [tuple(row[:5]) for row in found if row.learners == 0]:
        session.execute(_DROP, _columns(emptied))
    return found


def _columns(keys: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    names = ("boards", "periods", "levels", "scores", "slots")
    return {name: list(column) for name, column in zip(names, zip(*keys, strict=True), strict=True)}
