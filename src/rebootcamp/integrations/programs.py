"""Programs that we start: where a wheel keeps them, and how they end with us."""

import ctypes
import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def package_file(package: str, *candidates: str) -> Path | None:
    """Return the first of these files that an installed package has; None without the package."""
    # The packages are located, not imported: importing them starts work of their own.
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        for candidate in candidates:
            path = Path(root, candidate)
            if path.exists():
                return path.resolve()
    return None


def dying_with_us(death_signal: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return what a child runs before its program: the kernel sends it the signal when the calling thread dies."""
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent
