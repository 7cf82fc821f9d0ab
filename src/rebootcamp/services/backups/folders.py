"""The folder of all backups: who works in it, what is complete, what may go."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.services.backups.errors import BackupRunning, NoPlace, NotABackup
from rebootcamp.services.backups.manifest import Manifest, load_manifest

COMPLETE: Final = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
STAMP: Final = "%Y%m%dT%H%M%SZ"
PARTIAL, LATEST, LOCK = ".partial-", "latest", ".lock"
NEW_LINK: Final = ".latest-"
OTHERS: Final = 0o077
ROOM: Final = 2
# How a day, a week and a month are told apart.
PERIODS: Final = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}


@dataclass(frozen=True)
class Keep:
    """How many days, weeks and months keep their newest backup."""

    daily: int = 0
    weekly: int = 0
    monthly: int = 0


class Folder:
    """A folder of backups that belongs to this process until the lock is let go."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sweep(self) -> None:
        """Remove what killed runs left behind; nobody else works here."""
        for leftover in self.path.iterdir():
            if leftover.name.startswith(PARTIAL):
                _remove(leftover)
            elif leftover.name.startswith(NEW_LINK):
                leftover.unlink()
        self._link_newest()

    def require_room(self) -> None:
        """Raise `NoPlace` unless there is room for twice the newest backup."""
        for backup in list_backups(self.path)[:1]:
            needed, free = ROOM * load_manifest(backup).size, shutil.disk_usage(self.path).free
            if free < needed:
                raise NoPlace(path=self.path, reason=f"{free} bytes are free, {needed} are needed")

    def stage(self) -> Path:
        """Return a new folder that is no backup yet; its name was never used, so an orphan writes into no other."""
        staging = self.path / f"{PARTIAL}{clock.now().strftime(STAMP)}-{uuid4()}"
        staging.mkdir(mode=0o700)
        return staging

    def publish(self, staging: Path, manifest: Manifest) -> Path:
        """Let a complete backup appear under its name, all of it at once and for good."""
        for folder in (*(path for path in staging.rglob("*") if path.is_dir()), staging):
            for file in folder.iterdir():
                if file.is_file():
                    file.chmod(0o400)
            _settle(folder)
            folder.chmod(0o500)
        path = self.path / f"{manifest.created_at.strftime(STAMP)}-{manifest.bid}"
        failpoint("backup.before_rename")
        staging.rename(path)
        _settle(self.path)
        failpoint("backup.after_rename")
        self._link_newest()
        return path

    def prune(self, keep: Keep, verified: Path) -> list[Path]:
        """Remove what no day, week or month keeps; return what went.

        Never the one that was just verified, nor the newest of a pair that agreed with itself.
        """
        backups = list_backups(self.path)
        wanted = {verified} | {path for name in PERIODS for path in _kept(backups, name, getattr(keep, name))}
        wanted |= set([path for path in backups if not load_manifest(path).check.findings][:1])
        gone = [path for path in backups if path not in wanted]
        for path in gone:
            leaving = self.path / f"{PARTIAL}{path.name}"
            path.rename(leaving)
            failpoint("backup.pruning")
            _remove(leaving)
        return gone

    def _link_newest(self) -> None:
        newest = list_backups(self.path)[:1]
        link = self.path / LATEST
        if not newest or (link.is_symlink() and os.readlink(link) == newest[0].name):
            return
        new = self.path / f"{NEW_LINK}{uuid4()}"
        new.symlink_to(newest[0].name)
        failpoint("backup.before_link")
        new.replace(link)
        _settle(self.path)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Hold the folder of backups for ourselves; raise `BackupRunning`, `NoPlace`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & OTHERS:
            raise NoPlace(path=path, reason="others may look into it: chmod 700")
        lock = (path / LOCK).open("a")
    except OSError as error:
        raise NoPlace(path=path, reason=error.strerror or str(error)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRunning(path=path) from None
        yield Folder(path)


def list_backups(folder: Path) -> list[Path]:
    """Return the complete backups of a folder, the newest first; what is none is passed over."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if COMPLETE.match(path.name) and not path.is_symlink():
            with suppress(NotABackup):
                load_manifest(path)
                found.append(path)
    return sorted(found, reverse=True)


def find_backup(folder: Path, name: str | None = None) -> Path:
    """Return a backup by its path, its name or the beginning of its id, or the newest; raise `NotABackup`."""
    backups = list_backups(folder)
    if name is None or name == LATEST:
        if not backups:
            raise NotABackup(path=folder, reason="there is none yet")
        return backups[0]
    if (direct := Path(name)).is_dir():
        return direct.resolve()
    named = [path for path in backups if path.name == name or path.name.partition("-")[2].startswith(name)]
    if len(named) != 1:
        raise NotABackup(path=name, reason="there is none of that name" if not named else "several ids begin so")
    return named[0]


def _kept(backups: list[Path], period: str, count: int) -> list[Path]:
    newest: dict[str, Path] = {}
    for path in backups:
        day = datetime.strptime(path.name.partition("-")[0] + "+0000", f"{STAMP}%z")
        newest.setdefault(day.strftime(PERIODS[period]), path)
    return list(newest.values())[:count]


def _settle(folder: Path) -> None:
    """See the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)
