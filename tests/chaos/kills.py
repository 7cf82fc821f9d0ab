"""`kill -9` at random moments: of a backup, of a restore."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from tests.chaos.table import Line, exactly
from tests.chaos.world import Load, World

PATIENCE = 10.0
FINDINGS, UNREACHABLE = 1, 2
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted"


def killed_backups(world: World, count: int) -> Iterator[Line]:
    """Kill a backup again and again; every folder that claims to be a backup must prove to be one."""
    typical, rng = _seconds(world, "backup"), random.Random(11)
    bad = stuck = finished = 0
    proved = set(world.kept())
    with Load(world, 20):
        for number in range(count):
            finished += _kill(world, rng.uniform(0, typical * 1.1), "backup")
            stuck += not _is_free(world)
            for path in set(world.kept()) - proved:
                bad += world.run("backup", "--verify", str(path)).code != 0
                proved.add(path)
            bad += not _is_proved(world.backups / "latest", proved)
            if number % 20 == 19:
                print(f"{number + 1} of {count} backups killed", flush=True)
    yield Line("backups that ended before they were killed", f"{finished} of {count}")
    yield exactly("bad folders after kills of a backup", bad, 0)
    yield exactly("locks left by killed backups", stuck, 0)
    yield exactly("exit code of the next backup", world.run("backup").code, 0)


def killed_restores(world: World, count: int) -> Iterator[Line]:
    """Kill restores of the live pair; whatever is live then must be one whole pair, and a next run must finish."""
    newest = str(world.kept()[-1])
    typical, rng = _seconds(world, "restore", newest, "--force"), random.Random(13)
    mixed = closed = stuck = finished = unfinished = 0
    for number in range(count):
        finished += _kill(world, rng.uniform(0, typical * 1.05), "restore", newest, "--force")
        stuck += not _is_free(world)
        found = _check(world)
        mixed += found == FINDINGS
        # Killed while nobody may connect: the next restore opens the pair again.
        closed += found == UNREACHABLE
        if number % 10 == 9 or number + 1 == count or found == UNREACHABLE:
            ended = world.run("restore", newest, "--force")
            unfinished += ended.code != 0
            world.must("restore", "--drop-old")
            print(f"{number + 1} of {count} restores killed; the next one: {ended.code}", flush=True)
    yield Line("restores that ended before they were killed", f"{finished} of {count}")
    yield Line("restores that left the live pair closed until the next", f"{closed} of {count}")
    yield exactly("mixed pairs after kills of a restore", mixed, 0)
    yield exactly("locks left by killed restores", stuck, 0)
    yield exactly("restores that could not be finished afterwards", unfinished, 0)
    yield exactly("databases left over", len(_databases(world)), 1)


def _seconds(world: World, *arguments: str) -> float:
    began = time.monotonic()
    world.must(*arguments)
    return time.monotonic() - began


def _kill(world: World, after: float, *arguments: str) -> bool:
    """Start the command, kill it after so many seconds, tell whether it had ended by itself."""
    process = world.start(*arguments)
    time.sleep(after)
    process.kill()
    process.communicate()
    return process.returncode == 0


def _check(world: World) -> int:
    """Deliver what waits, then prove the pair; return the exit code."""
    delivered = world.run("relay", "--once")
    return delivered.code or world.run("check").code


def _is_proved(latest: Path, proved: set[Path]) -> bool:
    return not latest.is_symlink() or latest.resolve() in {path.resolve() for path in proved}


def _is_free(world: World) -> bool:
    """Tell whether every exclusive lock goes away: the relay holds none, and a dead process must not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if _ask(world, LOCKS)[0][0] == 0:
            return True
        time.sleep(0.1)
    return False


def _databases(world: World) -> list[str]:
    return [name for (name,) in _ask(world, "SELECT datname FROM pg_database WHERE datname LIKE 'chaos%'")]


def _ask(world: World, statement: str) -> list[tuple[int]]:
    url = world.service.settings.database_url.replace("+psycopg2", "")
    connection = psycopg2.connect(url.rsplit("/", 1)[0] + "/postgres")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()
