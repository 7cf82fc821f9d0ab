"""What students see of the boards: the places around their own, unless an administrator opens the whole board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import StaleEdit
from rebootcamp.models.sql.leaderboards import FULL, NEIGHBOURS, LeaderboardSettings
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

__all__ = ["FULL", "NEIGHBOURS", "REACH", "BoardSettings", "edit_settings", "get_settings", "masked", "sees_all"]

T = TypeVar("T")

# Places shown on either side of one's own.
REACH: Final = 3

_STORED: Final = "SELECT students_see, version FROM leaderboard_settings WHERE id = 1"


@dataclass(frozen=True)
class BoardSettings:
    """The settings in force; version 0 is what holds before anybody changed anything."""

    students_see: str = NEIGHBOURS
    version: int = 0


def get_settings() -> BoardSettings:
    """Return the settings in force."""
    row = fetch_one(_STORED, {})
    return BoardSettings(**row) if row else BoardSettings()


def sees_all(actor: Actor) -> bool:
    """Tell whether somebody sees whole boards and results: staff, and students where the setting opens them."""
    return actor.can("progress:read_any") or get_settings().students_see == FULL


def masked(place: T, reader_id: int) -> T:
    """Return a place of somebody else who is not listed without the id: a number tells who it is, as a name does."""
    named: Any = place
    is_shown = named.display_name is not None or named.user_id == reader_id
    return place if is_shown else replace(named, user_id=None)


def edit_settings(actor: Actor, see: str, version: int | None) -> BoardSettings:
    """Choose the view that students get; raise `StaleEdit` when the expected version is gone."""
    actor.require("leaderboard:configure")
    with transaction() as session:
        stored = _locked(session)
        if version is not None and version != stored.version:
            raise StaleEdit
        if stored.students_see != see:
            stored.students_see = see
            stored.version += 1
            stored.updated_at = clock.now()
    return BoardSettings(stored.students_see, stored.version)


def _locked(session: Session) -> LeaderboardSettings:
    first = {"id": 1, "students_see": NEIGHBOURS, "version": 0, "updated_at": clock.now()}
    session.execute(insert(LeaderboardSettings).values(first).on_conflict_do_nothing())
    locked = sa.select(LeaderboardSettings).with_for_update().execution_options(populate_existing=True)
    return session.scalars(locked).one()
