"""For how long MongoDB shows the moment of a cut, and what it says when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from rebootcamp.services.backups.errors import WindowOver
from rebootcamp.storage import mongo

PARAMETER: Final = "minSnapshotHistoryWindowInSeconds"
DEFAULT_WINDOW, MARGIN = 300.0, 30.0
# Where nothing is forgotten; without a limit of its own each call would have that of a web request.
LONGEST: Final = 86_400.0
# What MongoDB answers when its past is gone, or a collection was made or renamed meanwhile.
SNAPSHOT_GONE: Final = frozenset({239, 246})


class SnapshotGone(Exception):
    """MongoDB can no longer show the moment of the cut; another cut may do."""


def ask_window() -> float | None:
    """Return for how many seconds MongoDB shows a cut; None where relays wait instead."""
    if not mongo.has_snapshots():
        return None
    try:
        return float(mongo.client().admin.command({"getParameter": 1, PARAMETER: 1})[PARAMETER])
    except OperationFailure:
        # Only administrators may ask; then it is what servers come with.
        return DEFAULT_WINDOW


@contextmanager
def within(window: float | None) -> Iterator[None]:
    """Give up before the server forgets the cut. Raises `WindowOver`, `SnapshotGone`."""
    limit = window - min(MARGIN, window / 4) if window is not None else LONGEST
    try:
        with pymongo.timeout(limit):
            yield
    except PyMongoError as error:
        if error.timeout and window is not None:
            raise WindowOver(seconds=window) from error
        if isinstance(error, OperationFailure) and error.code in SNAPSHOT_GONE:
            raise SnapshotGone(str(error)[:200]) from error
        raise
