"""A service with learners who never stop, and the commands of an operator beside it."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rebootcamp.cli.dev.servers import temporary_servers
from rebootcamp.config import Settings
from rebootcamp.integrations.programs import dying_with_us
from tests.acceptance.service import Service
from tests.bench.data import CHALLENGES, access_tokens, fill
from tests.stores import create_pair

SECRET = "a secret of the chaos suite, used nowhere else: 8f1d20c6"
CALLERS = 4


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, the JSON of its last line, what it told people."""

    code: int
    told: dict[str, Any]
    said: str


@dataclass
class World:
    """One pair of databases, its service, its backups."""

    service: Service
    place: Path
    tokens: dict[int, str] = field(default_factory=dict)

    @property
    def backups(self) -> Path:
        return self.place / "backups"

    @property
    def env(self) -> dict[str, str]:
        return self.service.env | {"BACKUP_DIR": str(self.backups), "ERASURE_LOG": str(self.place / "erasures.jsonl")}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the service."""
        return subprocess.Popen(
            [sys.executable, "-m", "flask", *arguments],
            env=self.env,
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=dying_with_us(signal.SIGKILL),  # noqa: PLW1509
        )

    def run(self, *arguments: str) -> Ended:
        """Run a command of the service to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        last = (out.splitlines() or [""])[-1]
        return Ended(process.returncode, json.loads(last) if last.startswith("{") else {}, out + err)

    def must(self, *arguments: str) -> Ended:
        """Run a command that has to succeed."""
        ended = self.run(*arguments)
        assert ended.code == 0, f"flask {' '.join(arguments)}: {ended.code}\n{ended.said}"
        return ended

    def kept(self) -> list[Path]:
        """Return the folders that claim to be whole backups."""
        found = self.backups.iterdir() if self.backups.exists() else ()
        return sorted(path for path in found if path.is_dir() and not path.is_symlink() and path.name[0] != ".")


@contextmanager
def world() -> Iterator[World]:
    """Yield a running service with 1,264 learners."""
    with ExitStack() as stack:
        servers = stack.enter_context(temporary_servers())
        # The longest there are: fifty backups take longer than a token usually lives.
        chosen = {"SECRET_KEY": SECRET, "APP_ENV": "test", "LOG_LEVEL": "WARNING", "ACCESS_TOKEN_MINUTES": "60"}
        base = Settings.from_env({**servers.env, **chosen})
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rebootcamp-chaos-")))
        print("filling a pair of databases …", flush=True)
        pair = create_pair(base, "chaos")
        fill(pair)
        service = Service(pair, place)
        stack.callback(service.stop)
        service.start()
        yield World(service, place, access_tokens(pair))


@dataclass
class Load:
    """Learners who complete challenges at a steady rate, from some threads, until told to stop."""

    world: World
    per_second: float
    answers: list[tuple[float, float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        learners = list(self.world.tokens)[64:]
        facts = [(user, challenge) for challenge in range(1, CHALLENGES + 1) for user in learners]
        random.Random(7).shuffle(facts)
        for number in range(CALLERS):
            thread = threading.Thread(target=self._call, args=(itertools.islice(facts, number, None, CALLERS),))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def between(self, spans: list[tuple[float, float]]) -> list[float]:
        """Return the milliseconds of the answers to requests that were sent in these spans of time."""
        return [ms for at, ms, _ in self.answers if any(start <= at < end for start, end in spans)]

    def _call(self, facts: Iterator[tuple[int, int]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.world.service.port, timeout=30)
        pause, due = CALLERS / self.per_second, time.monotonic()
        for user, challenge in facts:
            due = max(due + pause, time.monotonic() - 1)
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            headers = {"Authorization": f"Bearer {self.world.tokens[user]}", "Content-Type": "application/json"}
            sent = time.monotonic()
            connection.request("POST", f"/api/challenges/{challenge}/complete", "{}", headers)
            answer = connection.getresponse()
            answer.read()
            self.answers.append((sent, (time.monotonic() - sent) * 1000, answer.status))


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile; NaN of too few values."""
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")
