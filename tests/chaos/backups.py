"""Backups under load: what they cost the learners, and whether every copy comes back whole."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.chaos.table import Line, at_most, exactly
from tests.chaos.world import Load, World, percentile

PER_SECOND = 60.0
REHEARSAL = "rehearsal"


def backups_under_load(world: World, count: int) -> Iterator[Line]:
    """Take backups while learners write, each followed by as long a rest; then bring every copy back."""
    busy, quiet, barriers = [], [], []
    with Load(world, PER_SECOND) as load:
        time.sleep(3)
        for number in range(count):
            began = time.monotonic()
            barriers.append(float(world.must("backup").told["barrier_ms"]))
            ended = time.monotonic()
            time.sleep(ended - began)
            busy.append((began, ended))
            quiet.append((ended, time.monotonic()))
            print(f"backup {number + 1} of {count}: barrier {barriers[-1]:.1f} ms", flush=True)
    failed = [status for *_, status in load.answers if status != 201]
    during, beside = load.between(busy), load.between(quiet)
    rate = len(during) / sum(end - start for start, end in busy)
    yield Line(f"writes/s while {count} backups were taken", f"{rate:.0f}", "at least 50", is_met=rate >= 50)
    yield exactly("writes refused meanwhile", len(failed), 0)
    yield at_most("barrier, p99, ms", percentile(barriers, 99), 100)
    yield Line("median of a write beside / during, ms", f"{percentile(beside, 50):.1f} / {percentile(during, 50):.1f}")
    moved = percentile(during, 99) - percentile(beside, 99)
    yield Line("p99 of a write beside / during, ms", f"{percentile(beside, 99):.1f} / {percentile(during, 99):.1f}")
    yield at_most("p99 of a write moves by, ms", moved, 20)
    yield exactly(f"copies of {count} that came back whole", _restored(world), count)


def _restored(world: World) -> int:
    """Rehearse each copy (hashes, marks, check) and count those that came back whole."""
    whole = 0
    for number, path in enumerate(world.kept(), 1):
        ended = world.run("restore", str(path), "--into", REHEARSAL)
        whole += ended.code == 0 and ended.told["findings"] == 0
        if ended.code:
            print(ended.said, flush=True)
        world.must("restore", "--drop-old", "--into", REHEARSAL)
        print(f"copy {number}: {'whole' if ended.code == 0 else 'REFUSED'}", flush=True)
    return whole
