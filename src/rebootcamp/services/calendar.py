"""The institution's calendar of rest days.

Only dates that have begun nowhere on earth may change: streaks that were counted stay what they were, and a recount
with today's calendar gives what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import ONE_DAY, latest_date
from rebootcamp.core.errors import DomainError, InvalidField, Kind, NotFound, StaleEdit
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.calendar import RestDay
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage.transactions import transaction, unsettle

ORDER: Final = "calendar"
DATES: Final = ("weekday", "starts_on", "ends_on")
FARTHEST: Final = timedelta(days=3660)


class RestDayBegun(DomainError):
    """What has begun cannot be undone."""

    kind = Kind.CONFLICT
    code = "rest_day_begun"
    title = Text("Already begun", "Repos déjà commencé")
    detail = Text(
        "These rest days have begun: only ends_on can change, to {first} or later, and only until they are over.",
        "Ces jours de repos ont commencé : seul ends_on peut changer, à partir du {first}, et tant qu'ils durent.",
    )


def list_rest_days(page: PageRequest) -> Page[RestDay]:
    """List the calendar by id, past entries included."""
    statement = sa.select(RestDay).order_by(RestDay.id).limit(page.limit + 1)
    if (key := page.key(ORDER, (int,))) is not None:
        statement = statement.where(RestDay.id > key[0])
    with transaction() as session:
        found = session.scalars(statement.execution_options(populate_existing=True)).all()
    return paginate(found, page.limit, ORDER, lambda rest: (rest.id,))


def get_rest_day(rest_id: int) -> RestDay:
    """Return one entry; raise `NotFound`."""
    with transaction() as session:
        found = session.get(RestDay, rest_id, populate_existing=True)
    if found is None:
        raise NotFound("rest day")
    return found


def create_rest_day(actor: Actor, fields: Mapping[str, Any]) -> RestDay:
    """Add rest days to come; raise `InvalidField`."""
    actor.require("calendar:write")
    now = clock.now()
    rest = RestDay(**fields, created_at=now, updated_at=now)
    _verify_dates(rest)
    _verify_open("/starts_on", rest.starts_on)
    with transaction() as session:
        session.add(rest)
        _touch_calendar(session)
    return rest


def update_rest_day(actor: Actor, rest_id: int, changes: Mapping[str, Any], version: int | None) -> RestDay:
    """Change names, and dates that have not begun. Raises `NotFound`, `StaleEdit`, `RestDayBegun`, `InvalidField`."""
    actor.require("calendar:write")
    with transaction() as session:
        rest = _for_edit(session, rest_id, version)
        moved = {name for name in DATES if name in changes and changes[name] != getattr(rest, name)}
        has_begun, is_over = _has_begun(rest), _is_over(rest)
        for name, value in changes.items():
            setattr(rest, name, value)
        _verify_dates(rest)
        if has_begun and (moved - {"ends_on"} or (moved and is_over)):
            raise RestDayBegun(first=_first_open() - ONE_DAY)
        if has_begun and moved and rest.ends_on is not None and rest.ends_on < _first_open() - ONE_DAY:
            raise RestDayBegun(first=_first_open() - ONE_DAY)
        if not has_begun and "starts_on" in moved:
            _verify_open("/starts_on", rest.starts_on)
        rest.updated_at = clock.now()
        session.flush()
        _touch_calendar(session)
    return rest


def delete_rest_day(actor: Actor, rest_id: int, version: int | None) -> None:
    """Remove rest days to come; those under way end today. Raises `NotFound`, `StaleEdit`, `RestDayBegun`."""
    actor.require("calendar:write")
    with transaction() as session:
        rest = _for_edit(session, rest_id, version)
        if _is_over(rest):
            raise RestDayBegun(first=_first_open() - ONE_DAY)
        if _has_begun(rest):
            rest.ends_on = _first_open() - ONE_DAY
            rest.updated_at = clock.now()
        else:
            session.delete(rest)
        session.flush()
        _touch_calendar(session)


def _first_open() -> date:
    return latest_date(clock.now()) + ONE_DAY


def _has_begun(rest: RestDay) -> bool:
    return rest.starts_on < _first_open()


def _is_over(rest: RestDay) -> bool:
    return rest.ends_on is not None and rest.ends_on < _first_open()


def _verify_dates(rest: RestDay) -> None:
    if rest.ends_on is None and rest.weekday is None:
        message = Text("Without a weekday, give the last date.", "Sans jour de semaine, indiquez la dernière date.")
        raise InvalidField("/ends_on", message, "required")
    if rest.ends_on is not None and rest.ends_on < rest.starts_on:
        raise InvalidField("/ends_on", Text("This must not be before starts_on.", "Ceci ne peut précéder starts_on."))
    for name in ("starts_on", "ends_on"):
        day = getattr(rest, name)
        if day is not None and day > _first_open() + FARTHEST:
            message = Text("This is too far away.", "Cette date est trop lointaine.")
            raise InvalidField(f"/{name}", message, "out_of_range")


def _verify_open(pointer: str, day: date) -> None:
    if day < _first_open():
        raise InvalidField(
            pointer,
            Text(f"This must be {_first_open()} or later.", f"Indiquez le {_first_open()} ou une date ultérieure."),
            "already_begun",
        )


def _for_edit(session: Session, rest_id: int, version: int | None) -> RestDay:
    rest = session.get(RestDay, rest_id, with_for_update=True, populate_existing=True)
    if rest is None:
        raise NotFound("rest day")
    if version is not None and version != rest.version:
        raise StaleEdit
    return rest


def _touch_calendar(session: Session) -> None:
    unsettle()
    session.execute(sa.update(AppMeta).values(calendar_version=AppMeta.calendar_version + 1))
