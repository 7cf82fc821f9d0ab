"""Run what backups, restores and seats must survive, and print the figures. `make chaos ARGS=--help`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.chaos.backups import backups_under_load
from tests.chaos.damage import damaged_copies
from tests.chaos.kills import killed_backups, killed_restores
from tests.chaos.seats import contested_seats
from tests.chaos.world import world

PARTS = ("backups", "damage", "kills", "restores", "seats")


def main() -> None:
    """Run the parts and leave with 1 when a figure misses its aim."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--backups", type=int, default=50, help="backups taken under load, each brought back")
    parser.add_argument("--kills", type=int, default=200, help="backups that are killed")
    parser.add_argument("--restores", type=int, default=60, help="restores that are killed")
    parser.add_argument("--rounds", type=int, default=25, help="races of 200 callers for each number of seats")
    parser.add_argument("--operations", type=int, default=10_000, help="random comings and goings")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (may be repeated)")
    options = parser.parse_args()
    lines = []
    with world() as found:
        runs = {
            "backups": lambda: backups_under_load(found, options.backups),
            "damage": lambda: damaged_copies(found),
            "kills": lambda: killed_backups(found, options.kills),
            "restores": lambda: killed_restores(found, options.restores),
            "seats": lambda: contested_seats(found, options.rounds, options.operations),
        }
        for name in options.only or PARTS:
            began = time.monotonic()
            for line in runs[name]():
                lines.append(line)
                print(line, flush=True)
            print(f"— {name}: {time.monotonic() - began:.0f} s", flush=True)
    print("", *lines, sep="\n")
    sys.exit(any(line.is_met is False for line in lines))


if __name__ == "__main__":
    main()
