"""Leaderboards: delivered scores kept by the relay, with every pending event added at reading time.

Order and tie rule, everywhere: the higher score, then who reached it first, then the lower user id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.boards import ALL_TIME, GLOBAL, PENDING_SCORES
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one

ORDER: Final = "leaderboard"
NEIGHBOURS: Final = 3

# The delivered part is read in index order up to the limit; the pending part
# holds only the learners whose events are on their way.
_STANDING: Final = f"""
    WITH pending AS ({PENDING_SCORES}), standing AS (
        SELECT b.user_id, b.score, b.reached_at FROM leaderboard_entries b
        WHERE b.board = %(board)s AND b.period = %(period)s
            AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.user_id = b.user_id)
        UNION ALL
        SELECT p.user_id, p.score + coalesce(b.score, 0), greatest(p.reached_at, b.reached_at)
        FROM pending p LEFT JOIN leaderboard_entries b
            ON b.board = %(board)s AND b.period = %(period)s AND b.user_id = p.user_id
    ), ranked AS (
        SELECT s.user_id, s.score, s.reached_at, u.display_name FROM standing s JOIN users u ON u.id = s.user_id
        WHERE s.score > 0 AND u.is_active
    )"""  # noqa: S608

_BEHIND: Final = """(r.score < %(score)s OR r.score = %(score)s
        AND (r.reached_at, r.user_id) > (%(reached_at)s::timestamptz, %(user_id)s))"""
_AHEAD: Final = """(r.score > %(score)s OR r.score = %(score)s
        AND (r.reached_at, r.user_id) < (%(reached_at)s::timestamptz, %(user_id)s))"""

_FIRST_PAGE: Final = f"""{_STANDING}
    SELECT * FROM ranked r ORDER BY score DESC, reached_at, user_id LIMIT %(limit)s"""  # noqa: S608
_NEXT_PAGE: Final = f"""{_STANDING}
    SELECT * FROM ranked r WHERE {_BEHIND} ORDER BY score DESC, reached_at, user_id LIMIT %(limit)s"""  # noqa: S608
_MINE: Final = f"""{_STANDING} SELECT * FROM ranked r WHERE r.user_id = %(user_id)s"""  # noqa: S608
_AROUND: Final = f"""{_STANDING}
    (SELECT r.*, 'ahead' AS side, (SELECT count(*) FROM ranked r WHERE {_AHEAD}) AS ahead
     FROM ranked r WHERE {_AHEAD} ORDER BY score, reached_at DESC, user_id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT r.*, 'behind', (SELECT count(*) FROM ranked r WHERE {_AHEAD})
     FROM ranked r WHERE {_BEHIND} ORDER BY score DESC, reached_at, user_id LIMIT %(limit)s)"""  # noqa: S608


@dataclass(frozen=True)
class Place:
    """A learner's place: ranks are positions, so no two learners share one."""

    rank: int
    user_id: int
    display_name: str
    score: int
    reached_at: datetime


@dataclass(frozen=True)
class MyRank:
    """The caller's place, None without a score, and the places around it in order."""

    place: Place | None
    neighbours: list[Place]


def list_places(board: str, period: str | None, page: PageRequest) -> Page[Place]:
    """List a board from its top. Raises `NotFound` for an unknown board, `InvalidField` for a foreign period."""
    parameters = _board(board, period) | {"limit": page.limit + 1}
    key = page.key(ORDER, (int, int, str, int))
    if key is None:
        first_rank, rows = 1, fetch_all(_FIRST_PAGE, parameters)
    else:
        rank, score, reached_at, user_id = key
        first_rank = int(rank) + 1
        parameters |= {"score": score, "reached_at": _instant(str(reached_at)), "user_id": user_id}
        rows = fetch_all(_NEXT_PAGE, parameters)
    places = [_place(row, first_rank + index) for index, row in enumerate(rows)]
    return paginate(places, page.limit, ORDER, lambda p: (p.rank, p.score, clock.iso(p.reached_at), p.user_id))


def get_my_rank(actor: Actor, board: str, period: str | None) -> MyRank:
    """Return the caller's rank with the neighbours. Raises `NotFound` for an unknown board."""
    parameters = _board(board, period) | {"user_id": actor.user_id, "limit": NEIGHBOURS}
    mine = fetch_one(_MINE, parameters)
    if mine is None:
        return MyRank(None, [])
    around = fetch_all(_AROUND, parameters | {"score": mine["score"], "reached_at": mine["reached_at"]})
    rank = 1 + next((row["ahead"] for row in around), 0)
    ahead = [row for row in around if row["side"] == "ahead"]
    behind = [row for row in around if row["side"] == "behind"]
    ordered = [*reversed(ahead), mine, *behind]
    return MyRank(
        place=_place(mine, rank),
        neighbours=[_place(row, rank - len(ahead) + index) for index, row in enumerate(ordered)],
    )


def _board(board: str, period: str | None) -> dict[str, object]:
    if board != GLOBAL:
        raise NotFound("leaderboard")
    if period not in (None, ALL_TIME):
        message = Text("The global board has no periods.", "Le classement global n'a pas de périodes.")
        raise InvalidField("/period", message, "unknown_period")
    return {"board": GLOBAL, "period": ALL_TIME}


def _place(row: Row, rank: int) -> Place:
    return Place(rank, row["user_id"], row["display_name"], row["score"], row["reached_at"])


def _instant(text: str) -> datetime:
    try:
        return clock.parse(text)
    except ValueError:
        message = Text(
            "This cursor belongs to no page of this list.", "Ce curseur n'appartient à aucune page de cette liste."
        )
        raise InvalidField("/cursor", message, "invalid_cursor") from None
