"""Who stands where: delivered scores kept by the relay, with every pending event added at reading time.

Order and tie rule, everywhere: the higher score, then who has held it longest, then the lower user id. One function
ranks: the number of listed places ahead in that order, plus one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.core.leaderboards import EPOCH, GROUP, Board, board_of, periodic_board_of
from rebootcamp.core.pages import Page, PageRequest, foreign_cursor, instant_in, paginate
from rebootcamp.services import groups
from rebootcamp.services.leaderboards.settings import FULL, NEIGHBOURS, REACH, sees_all
from rebootcamp.services.leaderboards.statements import AROUND_ME, FROM_HERE_ON
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all

ORDER: Final = "leaderboard"
_GROUP: Final = re.compile(rf"{GROUP}([1-9][0-9]{{0,17}})")
MAX_SCORE: Final = 2**31 - 1
MAX_ID: Final = 2**63 - 1
TOP: Final = {"score": MAX_SCORE, "reached_at": EPOCH, "user_id": 0}


@dataclass(frozen=True)
class Place:
    """A learner's place: ranks are positions, so no two learners share one."""

    rank: int
    user_id: int
    display_name: str
    score: int
    reached_at: datetime


@dataclass(frozen=True)
class Standings:
    """A part of a board; `view` tells whether the reader may see all of it."""

    board: Board
    view: str
    page: Page[Place]


@dataclass(frozen=True)
class MyRank:
    """The caller's own score and place (None without points, or unlisted), and the places around it in order."""

    board: Board
    score: int
    reached_at: datetime | None
    is_listed: bool
    place: Place | None
    neighbours: Sequence[Place]

    @property
    def next_up(self) -> Place | None:
        """Return the place just ahead of the caller's."""
        rank = self.place.rank if self.place else 0
        return next((place for place in self.neighbours if place.rank == rank - 1), None)

    @property
    def points_to_pass(self) -> int | None:
        """Return how many points put the caller ahead of the next one up, who wins every tie."""
        return self.next_up.score - self.score + 1 if self.next_up else None


def find_board(actor: Actor, name: str, period: str | None) -> Board:
    """Return a board; without a period, of the caller's current one. Raises `NotFound`, `InvalidField`.

    `group:<id>` ranks the members of a group among themselves, for its members and staff: of all time, or in the week,
    month or season that the period names.
    """
    today, group = actor.days.date_of(clock.now()), _GROUP.fullmatch(name)
    with _refusing_period():
        if group is None:
            return find_open_board(actor, name, period)
        group_id = int(group[1])
        groups.get_group(actor, group_id)
        members = tuple(groups.list_member_ids(group_id))
        return replace(periodic_board_of(period, today), members=members, group_id=group_id)


def find_open_board(actor: Actor, name: str, period: str | None) -> Board:
    """Return a board that everybody is on. Raises `NotFound`, `InvalidField`."""
    try:
        with _refusing_period():
            return board_of(name, period, actor.days.date_of(clock.now()))
    except KeyError:
        raise NotFound("leaderboard") from None


@contextmanager
def _refusing_period() -> Iterator[None]:
    try:
        yield
    except ValueError:
        message = Text(
            "This board has no such period; examples: 2026-W47, 2026-11, 2026-autumn.",
            "Ce classement n'a pas cette période ; exemples : 2026-W47, 2026-11, 2026-autumn.",
        )
        raise InvalidField("/period", message, "unknown_period") from None


def list_places(actor: Actor, board: Board, page: PageRequest, *, is_around_me: bool) -> Standings:
    """List a board from its top, or the part of it around the caller.

    Learners see the places around their own and no others, unless the setting opens the board to them.
    """
    if not sees_all(actor):
        if page.cursor is not None:
            raise foreign_cursor()
        reach = min(REACH, (page.limit - 1) // 2)
        return Standings(board, NEIGHBOURS, Page(_around(actor, board, reach, reach).neighbours))
    if is_around_me and page.cursor is None:
        above = (page.limit - 1) // 2
        mine = _around(actor, board, above, page.limit - above)
        return Standings(board, FULL, paginate(mine.neighbours, page.limit, ORDER, _key))
    rows = fetch_all(FROM_HERE_ON[board.members is not None], _parameters(board) | _start(page))
    places = [_place(row, row["ahead"] + number) for number, row in enumerate(rows, 1)]
    return Standings(board, FULL, paginate(places, page.limit, ORDER, _key))


def get_my_rank(actor: Actor, board: Board) -> MyRank:
    """Return the caller's rank with the neighbours and what explains it."""
    return _around(actor, board, REACH, REACH)


def _around(actor: Actor, board: Board, above: int, below: int) -> MyRank:
    limits = {"user_id": actor.user_id, "above": above, "below": below}
    rows = fetch_all(AROUND_ME[board.members is not None], _parameters(board) | limits)
    mine = next(row for row in rows if row["side"] == 0)
    if mine["score"] <= 0 or not mine["is_listed"]:
        return MyRank(board, int(mine["score"]), mine["reached_at"], mine["is_listed"], None, [])
    first = mine["ahead"] + 1 - sum(row["side"] < 0 for row in rows)
    places = [_place(row, rank) for rank, row in enumerate(rows, first)]
    place = places[mine["ahead"] + 1 - first]
    return MyRank(board, place.score, place.reached_at, True, place, places)


def _parameters(board: Board) -> dict[str, object]:
    first, last = board.days or (None, None)
    named: dict[str, object] = {"board": board.name, "period": board.period, "category": board.category}
    return {**named, "first": first, "last": last, "members": list(board.members or ())}


def _start(page: PageRequest) -> dict[str, object]:
    limit = {"below": page.limit + 1}
    key = page.key(ORDER, (int, str, int))
    if key is None:
        return TOP | limit
    score, reached_at, user_id = int(key[0]), instant_in(key[1]), int(key[2])
    if not (0 < score <= MAX_SCORE and 0 < user_id < MAX_ID):
        raise foreign_cursor()
    # Whoever comes next in the order comes after this learner.
    return {"score": score, "reached_at": reached_at, "user_id": user_id + 1} | limit


def _key(place: Place) -> tuple[int, str, int]:
    return place.score, clock.iso(place.reached_at), place.user_id


def _place(row: Row, rank: int) -> Place:
    return Place(rank, row["user_id"], row["name"], int(row["score"]), row["reached_at"])
