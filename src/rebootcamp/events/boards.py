"""Leaderboards as a projection: what an event adds to which board."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from rebootcamp.storage.sql import Row

GLOBAL: Final = "global"
ALL_TIME: Final = "all"

_UPSERT: Final = text("""
    INSERT INTO leaderboard_entries AS entry (board, period, user_id, score, reached_at)
    SELECT * FROM unnest(
        CAST(:boards AS text[]), CAST(:periods AS text[]), CAST(:user_ids AS bigint[]),
        CAST(:scores AS integer[]), CAST(:reached AS timestamptz[]))
    ON CONFLICT (board, period, user_id) DO UPDATE
    SET score = entry.score + excluded.score, reached_at = greatest(entry.reached_at, excluded.reached_at)
""")


def boards_of(event: Row) -> Iterable[tuple[str, str]]:
    """Yield the boards and periods on which an event row counts."""
    if event["points"]:
        yield GLOBAL, ALL_TIME


def add_to_boards(session: Session, events: Iterable[Row]) -> None:
    """Add delivered events to the boards: once each, because their outbox rows leave in the same transaction."""
    sums: dict[tuple[str, str, int], tuple[int, Any]] = {}
    for event in events:
        for board, period in boards_of(event):
            key = (board, period, event["user_id"])
            score, reached_at = sums.get(key, (0, event["occurred_at"]))
            sums[key] = (score + event["points"], max(reached_at, event["occurred_at"]))
    if not sums:
        return
    keys, values = list(sums), list(sums.values())
    session.execute(
        _UPSERT,
        {
            "boards": [board for board, _, _ in keys],
            "periods": [period for _, period, _ in keys],
            "user_ids": [user_id for _, _, user_id in keys],
            "scores": [score for score, _ in values],
            "reached": [reached_at for _, reached_at in values],
        },
    )


# What the events still on their way add to the global board, a row a learner.
PENDING_SCORES: Final = """
    SELECT e.user_id, sum(e.points) AS score, max(e.occurred_at) AS reached_at
    FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
    WHERE e.points <> 0 GROUP BY e.user_id"""
