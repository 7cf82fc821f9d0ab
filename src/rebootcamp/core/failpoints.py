"""Named places where a test may kill the process, to prove that no crash loses or doubles anything."""

from __future__ import annotations

import os
import signal

_armed: dict[str, int] = {}


def arm(specification: str) -> None:
    """Arm `name` or `name:n` (die at the n-th pass), comma separated; an empty text disarms all."""
    _armed.clear()
    for item in filter(None, specification.split(",")):
        name, _, count = item.partition(":")
        _armed[name] = int(count or 1)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL when the point is armed and its count is used up."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
