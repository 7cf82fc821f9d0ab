"""The tables that count, each with the requests of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.architecture.authorisation import spine
from tests.architecture.authorisation.calls import Calls
from tests.architecture.authorisation.matrix import Matrix, read_table

# `workshops` joins with its routes: {"spine": spine.CALLS, "workshops": workshops.CALLS}.
PARTS: Final[Mapping[str, Calls]] = {"spine": spine.CALLS}


def all_rows() -> Matrix:
    """Return the rows of all tables."""
    return {label: row for name in PARTS for label, row in read_table(name).items()}


def all_calls() -> Calls:
    """Return the requests of all tables."""
    return {label: call for calls in PARTS.values() for label, call in calls.items()}
