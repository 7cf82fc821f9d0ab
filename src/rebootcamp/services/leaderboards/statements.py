"""The statements that read a board: each is one moment, and none is longer where the board is.

All of them tell the delivered part from the index, in order, and correct it by the learners in `moved`.
"""

from __future__ import annotations

from typing import Final

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
)
from rebootcamp.core.pages import MAX_LIMIT
from rebootcamp.events.pending import MOVED

_MASK: Final = (1 << BUCKET_BITS) - 1
_WIDER: Final = RANGE_BITS - BUCKET_BITS
_FINER: Final = COARSE_BITS - FINE_BITS
_IS_BOARD: Final = "{0}.board = %(board)s AND {0}.period = %(period)s"
_COUNTED: Final = f"SELECT sum(c.learners) FROM leaderboard_counts c WHERE {_IS_BOARD.format('c')} AND c.level ="  # noqa: S608

_PLACED: Final = f"""{_IS_BOARD.format("b")} AND b.is_listed AND b.score > 0"""
_HERE: Final = "(SELECT - h.score, h.reached_at, h.user_id FROM here h)"

# Places of delivered scores ahead of `here`: sums over the tree, then a count of the few that share its last slot.
_COUNTED_AHEAD: Final = f"""
    SELECT coalesce(({_COUNTED} {RANGE} AND c.score > h.score >> {RANGE_BITS}), 0)
        + coalesce(({_COUNTED} {BUCKET} AND c.score > h.score >> {BUCKET_BITS}
            AND c.score <= h.score >> {BUCKET_BITS} | {(1 << _WIDER) - 1}), 0)
        + coalesce(({_COUNTED} {SCORE} AND c.score > h.score AND c.score <= h.score | {_MASK}), 0)
        + coalesce(({_COUNTED} {COARSE} AND c.score = h.score AND c.slot < h.slot >> {_FINER}), 0)
        + coalesce(({_COUNTED} {FINE} AND c.score = h.score
            AND c.slot >= h.slot >> {_FINER} << {_FINER} AND c.slot < h.slot), 0)
        + (SELECT count(*) FROM leaderboard_entries b WHERE {_PLACED} AND - b.score = - h.score
            AND b.reached_at >= CASE WHEN h.is_split THEN to_timestamp((h.slot::bigint << {FINE_BITS}) / 1000.0)
                ELSE '-infinity'::timestamptz END
            AND (b.reached_at, b.user_id) < (h.reached_at, h.user_id))
        - (SELECT count(*) FROM moved m WHERE m.was_listed AND m.old_score > 0
            AND (- m.old_score, m.old_reached_at, m.user_id) < {_HERE})
    FROM (
        SELECT h.*, (floor(extract(epoch FROM h.reached_at) * 1000)::bigint >> {FINE_BITS})::integer AS slot,
            coalesce((SELECT c.is_split FROM leaderboard_counts c WHERE {_IS_BOARD.format("c")}
                AND c.level = {SCORE} AND c.score = h.score AND c.slot = 0), false) AS is_split
        FROM here h) AS h"""  # noqa: S608
# Among a few learners a plain count is as good, and needs no counts of their own.
_MEMBERS_AHEAD: Final = f"""
    SELECT count(*) FROM leaderboard_entries b
    WHERE {_PLACED} AND b.user_id = ANY(%(members)s::bigint[]) AND b.user_id NOT IN (SELECT user_id FROM moved)
        AND (- b.score, b.reached_at, b.user_id) < {_HERE}"""  # noqa: S608

# The limit of the page is no more than `MAX_LIMIT`, but only a number in the text tells that to the planner.
_SIDE: Final = f"""
    (SELECT * FROM (
        SELECT b.user_id, b.score, b.reached_at FROM leaderboard_entries b
        WHERE {_PLACED} {{narrowed}} AND b.user_id NOT IN (SELECT user_id FROM moved)
            AND (- b.score, b.reached_at, b.user_id) {{compare}} {_HERE}
        ORDER BY - b.score {{way}}, b.reached_at {{way}}, b.user_id {{way}} LIMIT {MAX_LIMIT + 1}) AS b
        LIMIT %({{limit}})s)
    UNION ALL
    (SELECT m.user_id, m.score, m.reached_at FROM moved m
        WHERE m.is_listed AND m.score > 0 AND (- m.score, m.reached_at, m.user_id) {{compare}} {_HERE}
        ORDER BY - m.score {{way}}, m.reached_at {{way}}, m.user_id {{way}} LIMIT %({{limit}})s)
    ORDER BY 2 {{contrary}}, 3 {{way}}, 1 {{way}} LIMIT %({{limit}})s"""  # noqa: S608

_GIVEN: Final = (
    "SELECT %(user_id)s::bigint AS user_id, %(score)s::integer AS score, %(reached_at)s::timestamptz AS reached_at"
)
_MINE: Final = f"""
    SELECT u.id AS user_id, coalesce(m.score, b.score, 0) AS score,
        CASE WHEN m.user_id IS NULL THEN b.reached_at ELSE m.reached_at END AS reached_at,
        u.is_listed AND u.is_active AS is_listed
    FROM users u LEFT JOIN moved m ON m.user_id = u.id
    LEFT JOIN leaderboard_entries b ON b.user_id = u.id AND {_IS_BOARD.format("b")} {{narrowed}}
    WHERE u.id = %(user_id)s"""  # noqa: S608


def _ahead(*, is_narrowed: bool) -> str:
    return f"""({_MEMBERS_AHEAD if is_narrowed else _COUNTED_AHEAD}) + (
        SELECT count(*) FROM moved m
        WHERE m.is_listed AND m.score > 0 AND (- m.score, m.reached_at, m.user_id) < {_HERE})"""  # noqa: S608


def _statement(here: str, places: str, *, is_narrowed: bool) -> str:
    """Return the statement that tells places and how many stand ahead of `here`."""
    among = "AND {0}.user_id = ANY(%(members)s::bigint[])" if is_narrowed else ""
    narrowed = {"narrowed": among.format("b")}
    up = _SIDE.format(compare="<", way="DESC", contrary="", limit="above", **narrowed)
    down = _SIDE.format(compare=">", way="", contrary="DESC", limit="below", **narrowed)
    on = _SIDE.format(compare=">=", way="", contrary="DESC", limit="below", **narrowed)
    return f"""
    WITH {MOVED.format(members=among.format("e"))}, here AS MATERIALIZED ({here.format(**narrowed)}),
    ahead AS MATERIALIZED (SELECT {_ahead(is_narrowed=is_narrowed)} AS places)
    SELECT p.*, coalesce(u.nickname, u.display_name) AS name, a.places AS ahead
    FROM ({places.format(up=up, down=down, on=on)}) AS p JOIN users u ON u.id = p.user_id CROSS JOIN ahead a
    ORDER BY - p.score, p.reached_at, p.user_id"""  # noqa: S608


_ON: Final = "{on}"
_AROUND_ME: Final = """
    SELECT -1 AS side, s.*, true AS is_listed FROM ({up}) AS s
    UNION ALL SELECT 0, h.user_id, h.score, h.reached_at, h.is_listed FROM here h
    UNION ALL SELECT 1, s.*, true FROM ({down}) AS s"""

# By whether the board is narrowed to some learners.
FROM_HERE_ON: Final = {narrowed: _statement(_GIVEN, _ON, is_narrowed=narrowed) for narrowed in (False, True)}
AROUND_ME: Final = {narrowed: _statement(_MINE, _AROUND_ME, is_narrowed=narrowed) for narrowed in (False, True)}
