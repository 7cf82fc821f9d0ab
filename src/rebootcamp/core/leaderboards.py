"""Vocabulary of leaderboards: which there are, which periods they have, and where a place stands in their order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from rebootcamp.core.challenges import CATEGORIES, days_of, period_of

GLOBAL: Final = "global"
PERIODIC: Final = ("weekly", "monthly", "seasonal")
CATEGORY: Final = "category:"
GROUP: Final = "group:"
BOARDS: Final = (GLOBAL, *PERIODIC, *(f"{CATEGORY}{name}" for name in CATEGORIES))
ALL_TIME: Final = "all"

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The tree over the order of a board: 4,096 scores, 64 scores, one score, and where many share it about 37 hours and
# about 35 minutes: 64 parts in each, so that no sum is long.
RANGE_BITS, BUCKET_BITS = 12, 6
COARSE_BITS, FINE_BITS = 27, 21
RANGE, BUCKET, SCORE, COARSE, FINE = range(5)

# Board and period; level, score (or part of the scores) and slot of time.
BoardKey = tuple[str, str]
Node = tuple[int, int, int]


@dataclass(frozen=True)
class Board:
    """A board in one of its periods; `members` narrows it to some learners, who are then ranked among themselves.

    The board of a group is that of everybody, narrowed to its members.
    """

    name: str
    period: str
    days: tuple[date, date] | None = None
    members: tuple[int, ...] | None = None
    group_id: int | None = None

    @property
    def title(self) -> str:
        """Return the name under which the board is asked for."""
        return self.name if self.group_id is None else f"{GROUP}{self.group_id}"

    @property
    def category(self) -> str | None:
        """Return the category whose challenges alone count."""
        return self.name.removeprefix(CATEGORY) if self.name.startswith(CATEGORY) else None


def board_of(name: str, period: str | None, today: date) -> Board:
    """Return a board; without a period, of the one that the day lies in. Raises `KeyError`, `ValueError` (period)."""
    if name not in BOARDS:
        raise KeyError(name)
    if name not in PERIODIC:
        if period not in (None, ALL_TIME):
            raise ValueError(period)
        return Board(name, ALL_TIME)
    period = period or period_of(name, today)
    return Board(name, period, days_of(name, period))


def periodic_board_of(period: str | None, today: date) -> Board:
    """Return the board of everybody that has such a period, the one of all time without any. Raises `ValueError`."""
    if period in (None, ALL_TIME):
        return board_of(GLOBAL, None, today)
    for name in PERIODIC:
        try:
            return board_of(name, period, today)
        except ValueError:
            continue
    raise ValueError(period)


@lru_cache(maxsize=1024)
def boards_on(day: date, category: str | None) -> tuple[BoardKey, ...]:
    """Return the boards and periods on which points of that day, for a challenge of that category, count."""
    periodic = ((name, period_of(name, day)) for name in PERIODIC)
    by_category = ((f"{CATEGORY}{category}", ALL_TIME),) if category is not None else ()
    return (GLOBAL, ALL_TIME), *periodic, *by_category


class Position(NamedTuple):
    """A place in the one order of all boards: the higher score, then who reached it first, then the lower user id."""

    loss: int
    reached_at: datetime
    user_id: int

    @property
    def score(self) -> int:
        """Return the score; what orders places is its contrary."""
        return -self.loss

    def counted(self) -> tuple[Node, ...]:
        """Return the nodes that always count this place."""
        score = -self.loss
        return (RANGE, score >> RANGE_BITS, 0), (BUCKET, score >> BUCKET_BITS, 0), (SCORE, score, 0)

    def slots(self) -> tuple[Node, ...]:
        """Return the nodes that count this place where its score is shared by many."""
        milliseconds = (self.reached_at - EPOCH) // timedelta(milliseconds=1)
        return (COARSE, -self.loss, milliseconds >> COARSE_BITS), (FINE, -self.loss, milliseconds >> FINE_BITS)
