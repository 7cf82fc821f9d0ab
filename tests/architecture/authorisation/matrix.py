"""The tables: one row for a route, one column for a caller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CALLERS: Final = (
    "anonymous",
    "student",
    "other student",
    "owner",
    "instructor",
    "other instructor",
    "examiner",
    "admin",
    "suspended",
)
OUTCOMES: Final = frozenset({"ok", "401", "403", "404"})
ROW: Final = re.compile(r"(?P<label>(?:GET|POST|PUT|PATCH|DELETE) /\S*(?: \[[^\]]+\])?)\s+(?P<outcomes>.+)")

# What each caller gets, by the label of the row: `METHOD /path`, and for a second case of a route ` [which]`.
Matrix = Mapping[str, Mapping[str, str]]


def read_table(name: str) -> Matrix:
    """Return the rows of a table; raise `ValueError` for one that cannot be understood."""
    rows: dict[str, Mapping[str, str]] = {}
    for line in (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = ROW.fullmatch(line.strip())
        outcomes = found["outcomes"].split() if found else []
        if found is None or len(outcomes) != len(CALLERS) or set(outcomes) - OUTCOMES or found["label"] in rows:
            raise ValueError(f"{name}: {line!r} is no row of {len(CALLERS)} outcomes, or stands there twice")
        rows[found["label"]] = dict(zip(CALLERS, outcomes, strict=True))
    return rows


def route_of(label: str) -> str:
    """Return the route of a row: its label without the case."""
    return label.partition(" [")[0]
