"""How commands about backups end: one JSON line for machines, one sentence for people, an exit code for both."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
import psycopg2
from bson.errors import BSONError
from pymongo.errors import PyMongoError
from sqlalchemy.exc import SQLAlchemyError

from rebootcamp.core.errors import Busy, DatabaseUnavailable, DomainError
from rebootcamp.core.json import dumps_text
from rebootcamp.services.backups.errors import BackupRunning, NoPlace, Unacceptable
from rebootcamp.storage.mongo import MongoUnavailable
from rebootcamp.storage.sql import is_connection_failure

# After sysexits.h, so that a monitor can tell what to do about it.
DONE, USAGE, REFUSED, UNREACHABLE, FAILED, NO_PLACE, LATER = 0, 64, 65, 69, 70, 73, 75
CODES: Final[dict[type[DomainError], int]] = {
    Unacceptable: REFUSED,
    DatabaseUnavailable: UNREACHABLE,
    NoPlace: NO_PLACE,
    BackupRunning: LATER,
    Busy: LATER,
}
Result = dict[str, Any]


class _WrongUsage(click.UsageError):
    exit_code = USAGE


class Command(click.Command):
    """A command whose wrong usage ends with 64."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the command line."""
        with _usage():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, which may refuse how its options go together."""
        with _usage():
            return super().invoke(ctx)


class Group(click.Group):
    """A group whose wrong usage ends with 64."""

    command_class = Command

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the command line."""
        with _usage():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, which may refuse how its options go together."""
        with _usage():
            return super().invoke(ctx)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise _WrongUsage(error.message, error.ctx) from error


@contextmanager
def reported(command: str) -> Iterator[Result]:
    """Yield what the JSON line will tell; print it at the end, whatever the end is, and leave with its exit code."""
    result: Result = {"command": command}
    started = time.monotonic()
    code, said = DONE, Result()
    try:
        yield result
    except (DomainError, MongoUnavailable, SQLAlchemyError, psycopg2.Error, PyMongoError, BSONError, OSError) as error:
        code, said = _judged(error)
        click.echo(f"error: {said['detail']}", err=True)
    seconds = round(time.monotonic() - started, 3)
    click.echo(dumps_text({**result, **said, "ok": code == DONE, "seconds": seconds, "exit": code}))
    if code:
        click.get_current_context().exit(code)


def _judged(error: Exception) -> tuple[int, Result]:
    if isinstance(error, DomainError):
        code = next((code for kind, code in CODES.items() if isinstance(error, kind)), FAILED)
        return code, {"error": error.code, "detail": error.detail_in(_language())}
    if isinstance(error, MongoUnavailable):
        return UNREACHABLE, {"error": "mongodb_unavailable", "detail": f"MongoDB: {_first_line(error)}"}
    if isinstance(error, OSError):
        return NO_PLACE, {"error": "backup_no_place", "detail": _first_line(error)}
    if is_connection_failure(error):
        return UNREACHABLE, {"error": DatabaseUnavailable.code, "detail": f"PostgreSQL: {_first_line(error)}"}
    store = "MongoDB" if isinstance(error, PyMongoError | BSONError) else "PostgreSQL"
    code = UNREACHABLE if isinstance(error, PyMongoError) and error.timeout else FAILED
    return code, {"error": "failed", "detail": f"{store}: {_first_line(getattr(error, 'orig', None) or error)}"}


def _language() -> str:
    return "fr" if os.environ.get("LANG", "").startswith("fr") else "en"


def _first_line(error: object) -> str:
    text = str(error).strip() or type(error).__name__
    # The driver goes on with everything that it knows about the servers.
    return text.splitlines()[0].partition(" (configured")[0][:300]


def progress() -> Callable[[str, int, int], None]:
    """Return what shows how far the work is: one changing line for people, a few plain ones for logs."""
    is_terminal, last = sys.stderr.isatty(), [("", -1)]

    def show(stage: str, done: int, total: int) -> None:
        tenth = 10 if done >= total else 10 * done // max(total, 1)
        if last[0] == (stage, tenth):
            return
        last[0] = (stage, tenth)
        if is_terminal:
            click.echo(f"\r\033[K{stage} {10 * tenth} %", nl=done >= total, err=True)
        elif done == 0 or done >= total:
            click.echo(f"{stage}: {'done' if done >= total else 'begun'}", err=True)

    return show
