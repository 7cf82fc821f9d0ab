"""Damaged copies: each must be refused, with a reason, and nothing must change."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.table import Line, exactly
from tests.chaos.world import World

REFUSED = 65


def damaged_copies(world: World) -> Iterator[Line]:
    """Flip a byte in each file, cut each file short, exchange each half of two backups."""
    ours, other = (Path(world.must("backup").told["path"]) for _ in range(2))
    files = sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    rng, damaged = random.Random(17), world.place / "damaged"
    cases = [(file, _flip, rng.random()) for file in files] + [(file, _cut, rng.random()) for file in files]
    refused = 0
    for file, damage, where in cases:
        refused += _is_refused(world, ours, damaged, lambda copy, f=file, d=damage, w=where: d(copy / f, w))
    for half in ("postgresql.dump", "mongo"):
        refused += _is_refused(world, ours, damaged, lambda copy, h=half: _exchange(copy / h, other / h))
    yield exactly("damaged copies refused", refused, len(cases) + 2)


def _is_refused(world: World, whole: Path, copy: Path, damage: object) -> bool:
    shutil.copytree(whole, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o700)
    damage(copy)  # type: ignore[operator]
    ended = world.run("restore", str(copy), "--force", "--dry-run")
    shutil.rmtree(copy)
    if ended.code != REFUSED or not ended.told.get("detail"):
        print(f"NOT REFUSED ({ended.code}): {ended.said}", flush=True)
    return ended.code == REFUSED and bool(ended.told.get("detail"))


def _flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0x01
    path.write_bytes(content)


def _cut(path: Path, where: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(where * len(content))])


def _exchange(half: Path, by: Path) -> None:
    if half.is_dir():
        shutil.rmtree(half)
        shutil.copytree(by, half)
    else:
        shutil.copyfile(by, half)
