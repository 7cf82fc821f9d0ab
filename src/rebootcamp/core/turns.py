"""Background work takes turns: how it is told that its turn is over."""

from __future__ import annotations

from collections.abc import Callable

IsOver = Callable[[], bool]


def never() -> bool:
    """Leave all the time that the work needs."""
    return False
