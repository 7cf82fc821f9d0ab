"""The tables that count, each a text file and the module with its requests."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from tests.architecture.authorisation import spine, workshops
from tests.architecture.authorisation.calls import Calls
from tests.architecture.authorisation.matrix import Matrix, read_table
from tests.architecture.authorisation.world import World, make_world
from tests.controllers.wire import Wire

# Another domain is another module and its table here; then write the pages again.
PARTS: Final[tuple[ModuleType, ...]] = (spine, workshops)


def all_rows() -> Matrix:
    """Return the rows of all tables."""
    return {label: row for part in PARTS for label, row in read_table(part.__name__.rpartition(".")[2]).items()}


def all_calls() -> Calls:
    """Return the requests of all tables."""
    return {label: call for part in PARTS for label, call in part.CALLS.items()}


def whole_world(wire: Wire) -> World:
    """Make the world with the things of every table."""
    world = make_world(wire)
    for part in PARTS:
        part.furnish(world)
    return world
