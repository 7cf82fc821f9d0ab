"""The curve of levels in force, remembered for one version."""

from __future__ import annotations

import threading
from typing import Final

from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.services.gamification.levels import Curve, Step, curve_of
from rebootcamp.storage.statements import fetch_all, is_settled

_CURVE: Final = f"""
    SELECT {CURVE_VERSION}, l.xp_floor, l.translations FROM levels l CROSS JOIN app_meta m ORDER BY l.number"""  # noqa: S608


class _CurveCache:
    """One curve; a request that meets another version loads it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = ""
        self._curve: Curve = ()

    def get(self, version: str) -> Curve:
        with self._lock:
            if self._version == version:
                return self._curve
        # What is read now may be newer than what was asked for: it is kept under its own version.
        found, curve = load_curve()
        if is_settled():
            with self._lock:
                self._version, self._curve = found, curve
        return curve


_cache = _CurveCache()


def curve_at(version: str) -> Curve:
    """Return the curve of a version that a statement has just read, or a newer one."""
    return _cache.get(version)


def load_curve() -> tuple[str, Curve]:
    """Read the curve with its version, in one statement."""
    rows = fetch_all(_CURVE, {})
    return rows[0]["curve_version"], curve_of(Step(row["xp_floor"], row["translations"]) for row in rows)
