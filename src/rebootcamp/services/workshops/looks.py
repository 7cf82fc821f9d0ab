"""Who looked at a workshop: noted once a day, and never at the reader's expense."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from pymongo.errors import PyMongoError

from rebootcamp.core import clock
from rebootcamp.models.mongo.workshops import WorkshopViewDocument
from rebootcamp.storage.mongo import MongoUnavailable, reading

REMEMBERED: Final = 10_000

_lock = Lock()
_noted: OrderedDict[tuple[int, int, str], None] = OrderedDict()


def note_view(workshop_id: int, user_id: int) -> None:
    """Note that somebody sees a workshop today (UTC); where MongoDB does not take it at once, it is not noted.

    It waits for no cut: no row counts it, and a switch may lose what is noted in its moment.
    """
    now = clock.now()
    key = workshop_id, user_id, f"{now:%Y-%m-%d}"
    if _is_noted(key):
        return
    try:
        with reading():
            WorkshopViewDocument.note(workshop_id, user_id, now)
    except (MongoUnavailable, PyMongoError):
        return
    with _lock:
        _noted[key] = None
        while len(_noted) > REMEMBERED:
            _noted.popitem(last=False)


def forget_noted() -> None:
    """Ask MongoDB again about everybody."""
    with _lock:
        _noted.clear()


def _is_noted(key: tuple[int, int, str]) -> bool:
    with _lock:
        if key not in _noted:
            return False
        _noted.move_to_end(key)
        return True
