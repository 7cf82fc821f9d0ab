"""Who completed a timed challenge in one of its windows, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.pages import Page, PageRequest, instant_in, paginate
from rebootcamp.models.sql.accounts import LISTED_NAME, User
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.services.leaderboards import REACH, masked

ORDER: Final = "finishers"


@dataclass(frozen=True)
class Finisher:
    """One completion, with its place by time; the name is today's, None for who is not listed.

    Then other students are not told the id either.
    """

    place: int
    user_id: int | None
    display_name: str | None
    completed_at: datetime
    completion_id: int


@dataclass(frozen=True)
class Finish:
    """The finish of one window; `recorded_at`: what is taken back later is still on the photograph."""

    challenge_id: int
    period: str
    recorded_at: datetime | None = None

    @property
    def conditions(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Return what a completion must meet, found by the index: what is timed saves nothing of its own."""
        table = ChallengeCompletion
        counts = table.status == "validated"
        if self.recorded_at is not None:
            counts = sa.or_(counts, sa.and_(table.status == "revoked", table.reviewed_at > self.recorded_at))
            counts = sa.and_(counts, table.completed_at <= self.recorded_at)
        is_here = table.challenge_id == self.challenge_id, table.period == self.period
        return *is_here, table.co2e_grams == sa.literal_column("0"), counts


def list_finishers(session: Session, finish: Finish, page: PageRequest) -> Page[Finisher]:
    """List all who finished."""
    statement, places = _in_order(finish), 0
    key = page.key(ORDER, (int, str, int))
    if key is not None:
        places = int(key[0])
        statement = statement.where(_position() > sa.tuple_(instant_in(key[1]), key[2]))
    rows = session.execute(statement.limit(page.limit + 1)).all()
    found = [Finisher(place, *row) for place, row in enumerate(rows, places + 1)]
    return paginate(found, page.limit, ORDER, lambda one: (one.place, clock.iso(one.completed_at), one.completion_id))


def finishers_around(session: Session, finish: Finish, user_id: int) -> list[Finisher]:
    """Return somebody's place with the next ones on either side; none for who did not finish."""
    table = ChallengeCompletion
    own = sa.select(table.completed_at, table.id).where(*finish.conditions, table.user_id == user_id)
    mine = session.execute(own.order_by(table.completed_at, table.id).limit(1)).one_or_none()
    if mine is None:
        return []
    here = sa.tuple_(*mine)
    ahead = session.scalar(sa.select(sa.func.count()).where(*finish.conditions, _position() < here)) or 0
    first = max(ahead - REACH, 0)
    above = _in_order(finish, backwards=True).where(_position() < here).limit(REACH)
    below = _in_order(finish).where(_position() >= here).limit(REACH + 1)
    rows = [*reversed(session.execute(above).all()), *session.execute(below).all()]
    return [masked(Finisher(place, *row), user_id) for place, row in enumerate(rows, first + 1)]


def _in_order(finish: Finish, *, backwards: bool = False) -> sa.Select[Any]:
    table = ChallengeCompletion
    order = [table.completed_at.desc(), table.id.desc()] if backwards else [table.completed_at, table.id]
    return (
        sa.select(table.user_id, LISTED_NAME, table.completed_at, table.id)
        .join(User, User.id == table.user_id)
        .where(*finish.conditions)
        .order_by(*order)
    )


def _position() -> sa.Tuple:
    return sa.tuple_(ChallengeCompletion.completed_at, ChallengeCompletion.id)
