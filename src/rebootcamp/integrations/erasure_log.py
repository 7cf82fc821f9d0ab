"""The log of erased accounts: a file outside of the backups, so that no restore brings anybody back.

One JSON object a line, in ids only: `{"user_id", "store_id", "created_at", "erased_at"}`.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from rebootcamp.core import clock
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.json import dumps, loads
from rebootcamp.core.languages import Text


class ErasureLogUnusable(DomainError):
    """Without the log an erased person could come back with a backup, so nothing is erased and nothing restored."""

    kind = Kind.UNAVAILABLE
    code = "erasure_log_unusable"
    title = Text("Erasure log unusable", "Journal des effacements inutilisable")
    detail = Text(
        "The log of erased accounts {file} cannot be used ({reason}): correct it or set ERASURE_LOG.",
        "Le journal des comptes effacés {file} est inutilisable ({reason}) : corrigez-le ou changez ERASURE_LOG.",
    )


@dataclass(frozen=True)
class Erasure:
    """Who was erased, of which store, and when. After a restore ids are given anew: `created_at` says whose it was."""

    user_id: int
    store_id: UUID
    created_at: datetime
    erased_at: datetime


def append_erasure(file: Path, erasure: Erasure) -> None:
    """Write a line that survives a power cut; raise `ErasureLogUnusable`."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            _cut_torn_line(log)
            log.write(dumps(asdict(erasure)) + b"\n")
            log.flush()
            os.fsync(log.fileno())
        _sync_folder(file.parent)
    except OSError as error:
        raise ErasureLogUnusable(file=file, reason=error.strerror) from error


def read_erasures(file: Path) -> list[Erasure]:
    """Return all lines, none where there is no file; raise `ErasureLogUnusable` for one that cannot be read."""
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ErasureLogUnusable(file=file, reason=error.strerror) from error
    # Behind the last line end is nothing, or a line whose writer died before it could commit.
    return [_read(file, number, line) for number, line in enumerate(lines[:-1], start=1)]


def _read(file: Path, number: int, line: bytes) -> Erasure:
    try:
        entry = loads(line)
        created_at, erased_at = (clock.parse(entry[name]) for name in ("created_at", "erased_at"))
        return Erasure(int(entry["user_id"]), UUID(entry["store_id"]), created_at, erased_at)
    except (ValueError, KeyError, TypeError) as error:
        raise ErasureLogUnusable(file=file, reason=f"line {number}") from error


def _cut_torn_line(log: BinaryIO) -> None:
    whole = log.read().rfind(b"\n") + 1
    log.seek(whole)
    log.truncate()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
