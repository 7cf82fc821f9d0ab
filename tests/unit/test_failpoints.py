"""Failpoints kill at the pass that was asked for, and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from rebootcamp.core.failpoints import arm, failpoint
arm(sys.argv[1])
for n in range(1, 5):
    print(n, flush=True)
    failpoint("here")
    failpoint("there")
"""


@pytest.mark.parametrize(
    ("specification", "passes", "status"),
    [
        ("", 4, 0),
        ("elsewhere", 4, 0),
        ("here", 1, -signal.SIGKILL),
        ("here:3", 3, -signal.SIGKILL),
        ("here:9", 4, 0),
        ("elsewhere,there:2", 2, -signal.SIGKILL),
        ("here:4,there:1", 1, -signal.SIGKILL),
    ],
)
def test_process_dies_at_the_counted_pass(specification: str, passes: int, status: int) -> None:
    command = [sys.executable, "-c", PROGRAM, specification]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (len(done.stdout.split()), done.returncode) == (passes, status)
