"""How a long work says that it goes on."""

from __future__ import annotations

import time
from typing import Final

import click

EVERY_SECONDS: Final = 1.0


class Narrator:
    """Tells on the standard error how far a long work is, now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + EVERY_SECONDS

    def __call__(self, step: str, done: int) -> None:
        """Say it, unless something was said a moment ago."""
        if time.monotonic() >= self._next:
            click.echo(f"{step}: {done}", err=True)
            self._next = time.monotonic() + EVERY_SECONDS
