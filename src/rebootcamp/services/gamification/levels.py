"""Levels: computed from XP by one function, never stored."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from rebootcamp.core.languages import Text


@dataclass(frozen=True)
class Level:
    """Where an XP total stands: `xp_next` is None on the last level."""

    number: int
    name: Text
    xp_floor: int
    xp_next: int | None


CURVE: Final = (
    (0, Text("Apprentice", "Apprenti")),
    (100, Text("Explorer", "Explorateur")),
    (250, Text("Gatherer", "Cueilleur")),
    (450, Text("Gardener", "Jardinier")),
    (700, Text("Mender", "Réparateur")),
    (1000, Text("Scout", "Éclaireur")),
    (1400, Text("Guardian", "Gardien")),
    (1900, Text("Ambassador", "Ambassadeur")),
    (2600, Text("Pathfinder", "Pionnier")),
    (3500, Text("Mentor", "Mentor")),
    (4700, Text("Sage", "Sage")),
    (6200, Text("Phoenix", "Phénix")),
)
_FLOORS: Final = [floor for floor, _ in CURVE]


def level_of(xp: int) -> Level:
    """Return the level that an XP total reaches; a negative total is on the first level."""
    index = max(bisect_right(_FLOORS, xp) - 1, 0)
    floor, name = CURVE[index]
    return Level(index + 1, name, floor, _FLOORS[index + 1] if index + 1 < len(CURVE) else None)
