"""What the events still on their way change on a board, as the beginning of a statement that reads the board.

Its price follows the number of those events, and the history of the learners among them from whom something is taken.
"""

from __future__ import annotations

from typing import Final

from rebootcamp.events.boards import CHALLENGES, DEED_FIELDS

# Which events a board counts: `%(first)s` to `%(last)s` are its days, without them all; `%(category)s` its challenges.
_COUNTS: Final = f"""((%(first)s::date IS NULL OR {{day}} BETWEEN %(first)s::date AND %(last)s::date)
    AND (%(category)s::text IS NULL
        OR starts_with(e.type, '{CHALLENGES}') AND e.payload ->> 'category' = %(category)s::text))"""
_NAMES: Final = ", ".join(f"e.payload -> '{name}'" for name in DEED_FIELDS)
_DEED: Final = f"coalesce({_NAMES}, to_jsonb(e.event_id))"

COUNTS: Final = _COUNTS.format(day="e.local_date")

# Whether anything that waits may still change a board. What is taken back counts where it was given: it may lie on any
# board on which the learner stands.
IS_AWAITED: Final = f"""EXISTS (
    SELECT 1 FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
    WHERE e.points <> 0 AND ({COUNTS} OR e.points < 0 AND EXISTS (
        SELECT 1 FROM leaderboard_entries b
        WHERE b.user_id = e.user_id AND b.board = %(board)s AND b.period = %(period)s)))"""  # noqa: S608

# `moved` has a row for each learner whose place may change: the delivered one (`old_…`) and the one of this moment.
# A learner from whom something is taken, or whose events passed each other, is told anew as `boards.tell` does.
MOVED: Final = f"""
    waiting AS MATERIALIZED (
        SELECT e.user_id, bool_or(e.points < 0 OR o.attempts > 0) AS is_tangled,
            sum(e.points) FILTER (WHERE {COUNTS}) AS gain,
            max(e.occurred_at) FILTER (WHERE {COUNTS}) AS reached_at
        FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
        WHERE e.points <> 0 {{members}}
        GROUP BY e.user_id
        HAVING bool_or(e.points < 0 OR o.attempts > 0 OR {COUNTS})
    ), retold AS MATERIALIZED (
        SELECT w.user_id, t.score, t.reached_at FROM waiting w CROSS JOIN LATERAL (
            SELECT coalesce(sum(e.points), 0) AS score, max(e.occurred_at) FILTER (WHERE e.stands) AS reached_at
            FROM (
                SELECT e.type, e.payload, e.points, e.occurred_at,
                    CASE WHEN e.points < 0 THEN coalesce(lag(e.local_date) OVER deed, e.local_date)
                        ELSE e.local_date END AS day,
                    e.points > 0 AND coalesce(lead(e.points) OVER deed, 1) > 0 AS stands
                FROM activity_events e WHERE e.user_id = w.user_id AND e.points <> 0
                WINDOW deed AS (PARTITION BY {_DEED} ORDER BY e.seq)) AS e
            WHERE {_COUNTS.format(day="e.day")}) AS t
        WHERE w.is_tangled
    ), moved AS MATERIALIZED (
        SELECT w.user_id, b.score AS old_score, b.reached_at AS old_reached_at,
            coalesce(b.is_listed, false) AS was_listed, u.is_listed AND u.is_active AS is_listed,
            CASE WHEN w.is_tangled THEN r.score ELSE coalesce(b.score, 0) + coalesce(w.gain, 0) END AS score,
            CASE WHEN w.is_tangled THEN r.reached_at ELSE greatest(b.reached_at, w.reached_at) END AS reached_at
        FROM waiting w JOIN users u ON u.id = w.user_id
        LEFT JOIN retold r ON r.user_id = w.user_id
        LEFT JOIN leaderboard_entries b
            ON b.user_id = w.user_id AND b.board = %(board)s AND b.period = %(period)s
    )"""  # noqa: S608
