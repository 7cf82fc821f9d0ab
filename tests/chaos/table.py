"""The figures that a run prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One figure, and what it is held against; `is_met` is None for one that is only told."""

    name: str
    found: str
    wanted: str = ""
    is_met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "ok", False: "MISSED"}[self.is_met]
        return f"{self.name:<58} {self.found:>16}  {self.wanted:<16} {verdict}"


def exactly(name: str, found: int, wanted: int) -> Line:
    """Return a figure that must be this one."""
    return Line(name, str(found), f"exactly {wanted}", is_met=found == wanted)


def at_most(name: str, found: float, wanted: float) -> Line:
    """Return a figure that must not be larger."""
    return Line(name, f"{found:.1f}", f"at most {wanted:g}", is_met=found <= wanted)
