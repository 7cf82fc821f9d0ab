"""What the tests of backups share: keys, damage, and a pair with something in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rebootcamp.config import Settings
from rebootcamp.services.backups import Backup, take_backup
from rebootcamp.services.backups.manifest import MANIFEST, Manifest, load_manifest
from rebootcamp.services.backups.streams import measure


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Bench:
    """Settings of a test, and backups taken with them."""

    settings: Settings

    def take(self, **changes: Any) -> Backup:
        """Take a backup."""
        return take_backup(self.with_(**changes), None, silent)

    def with_(self, **changes: Any) -> Settings:
        """Return the settings with changes."""
        return replace(self.settings, **changes)

    def copy(self, backup: Backup) -> Path:
        """Return a copy of a backup that may be changed."""
        copy = self.settings.backup_dir.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(backup.path, copy)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o700)
        return copy


def flip(file: Path, position: int) -> None:
    """Change one bit of one byte."""
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def retell(folder: Path, change: Callable[[Manifest], Manifest] = lambda told: told) -> None:
    """Let the manifest tell the files as they are now, as somebody would who knows how it is made."""
    told = change(load_manifest(folder))
    files = {name: measure(folder / name) for name in told.files}
    (folder / MANIFEST).write_bytes(replace(told, files=files).to_json())
