"""Workshops as one caller sees them: in one statement, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.models.sql.accounts import SHOWN_NAME, User
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration

# Accents are signs of their own in this form; without them, é is found by e and e by é.
_ACCENTS: Final = "[\u0300-\u036f]"


@dataclass(frozen=True)
class Mine:
    """The caller's own registration, as it is `since` an instant; `position` in the queue while waiting, from 1."""

    status: str
    position: int | None
    offered_until: datetime | None
    since: datetime


@dataclass(frozen=True)
class WorkshopView:
    """A workshop as one caller sees it; `rating`: the average of so many ratings, None of none."""

    workshop: Workshop
    trainer_name: str
    rating: float | None
    ratings: int
    mine: Mine | None
    is_editable: bool
    is_staff: bool

    @property
    def seats_left(self) -> int:
        """Return how many could register now and have a seat: none while others wait for one."""
        return 0 if self.workshop.waiting else self.workshop.capacity - self.workshop.taken

    @property
    def shows_link(self) -> bool:
        """Tell whether the caller may know where the meeting is online."""
        has_seat = self.mine is not None and self.mine.status in ("registered", "attended")
        return has_seat or self.is_editable or self.is_staff

    @property
    def is_visible(self) -> bool:
        """Tell whether the workshop exists for the caller: drafts and archived ones do for few."""
        return is_listed(self.workshop) or self.is_editable or self.mine is not None

    @property
    def is_open(self) -> bool:
        """Tell whether one may register now."""
        workshop, now = self.workshop, clock.now()
        opens_at, closes_at = workshop.registration_opens_at, workshop.registration_closes_at
        is_in_window = (opens_at is None or opens_at <= now) and (closes_at is None or now < closes_at)
        return is_in_window and workshop.status == "published" and is_listed(workshop) and now < workshop.starts_at


def views(actor: Actor) -> sa.Select[Any]:
    """Return the statement that brings all that `read` makes views of."""
    mine, waiter, rated = WorkshopRegistration, aliased(WorkshopRegistration), aliased(WorkshopRegistration)
    position = (
        sa.select(sa.func.count())
        .where(waiter.workshop_id == mine.workshop_id, waiter.status == "waitlisted", waiter.id <= mine.id)
        .scalar_subquery()
    )
    ratings = (
        sa.select(sa.func.avg(rated.rating).label("average"), sa.func.count().label("count"))
        .where(rated.workshop_id == Workshop.id, rated.status == "attended", rated.rating.is_not(None))
        .lateral("ratings")
    )
    is_mine = sa.and_(mine.workshop_id == Workshop.id, mine.user_id == actor.user_id, mine.status != "cancelled")
    return (
        sa.select(
            Workshop,
            SHOWN_NAME.label("trainer_name"),
            ratings.c.average.label("rating"),
            ratings.c.count.label("ratings"),
            mine.status.label("my_status"),
            mine.offered_until.label("my_offer"),
            sa.func.coalesce(mine.seated_at, mine.registered_at).label("mine_since"),
            sa.case((mine.status == "waitlisted", position)).label("my_position"),
        )
        .join(User, User.id == Workshop.trainer_id)
        .outerjoin(mine, is_mine)
        .join(ratings, sa.true())
    )


def read(session: Session, actor: Actor, statement: sa.Select[Any]) -> Sequence[WorkshopView]:
    """Return the views that a statement of `views` finds, as the rows are now."""
    rows = session.execute(statement.execution_options(populate_existing=True)).all()
    return [_view(actor, row) for row in rows]


def may_edit(actor: Actor, workshop: Workshop) -> bool:
    """Tell whether the caller runs the workshop: instructors their own, administrators all."""
    is_own = actor.can("workshop:write") and workshop.trainer_id == actor.user_id
    return is_own or actor.can("workshop:write_any")


def is_listed(workshop: Workshop) -> bool:
    """Tell whether everybody may know of the workshop."""
    return workshop.status != "draft" and workshop.archived_at is None


def matches(search: str) -> sa.ColumnElement[bool]:
    """Return the test whether a text of the workshop, in any language, contains another, whatever case and accents."""
    parts = [
        Workshop.translations[language][part].astext for language in LANGUAGES for part in ("title", "description")
    ]
    texts = sa.func.concat_ws("\n", *parts, Workshop.place, sa.func.array_to_string(Workshop.tags, "\n"))
    return sa.func.strpos(_folded(texts), _folded(sa.literal(search))) > 0


def _folded(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    # Lower case at the end: where the database's locale knows only ASCII, the letters are ASCII by then.
    decomposed = sa.func.normalize(text, sa.literal_column("NFKD"))
    return sa.func.lower(sa.func.regexp_replace(decomposed, _ACCENTS, "", "g"))


def _view(actor: Actor, row: sa.Row[Any]) -> WorkshopView:
    mine = None if row.my_status is None else Mine(row.my_status, row.my_position, row.my_offer, row.mine_since)
    return WorkshopView(
        row.Workshop,
        row.trainer_name,
        None if row.rating is None else round(float(row.rating), 2),
        row.ratings,
        mine,
        is_editable=may_edit(actor, row.Workshop),
        is_staff=actor.can("registration:read_any"),
    )
