"""Run the benchmark: interleaved rounds, medians, ratios. `python -m tests.bench --help`."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from rebootcamp.cli.dev.processes import free_port
from rebootcamp.cli.dev.servers import Servers, temporary_servers
from rebootcamp.config import Settings
from tests.bench import load
from tests.bench.data import CHALLENGES, READERS, WORKSHOPS, access_tokens, fill
from tests.stores import create_pair

ROOT = Path(__file__).resolve().parents[2]
SECRET = secrets.token_hex(32)


@dataclass
class Target:
    """One thing to measure."""

    name: str
    port: int
    requests: Iterator[bytes]
    expected: int


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", nargs="*", help="measure targets whose names hold one of these words")
    options = parser.parse_args()
    with ExitStack() as stack:
        started = stack.enter_context(temporary_servers())
        base = Settings.from_env({**started.env, "SECRET_KEY": SECRET, "APP_ENV": "test", "LOG_LEVEL": "WARNING"})
        print("filling two identical pairs of databases …", flush=True)
        ours, raw = (create_pair(base, name) for name in ("bench_ours", "bench_raw"))
        for pair in (ours, raw):
            fill(pair)
        port, raw_port = free_port(), free_port()
        stack.enter_context(service(started, ours, port))
        stack.enter_context(frameworkless(started, raw, raw_port))
        targets = make_targets(port, raw_port, access_tokens(ours))
        words = options.only or [""]
        measure([target for target in targets if any(word in target.name for word in words)], options)


def service(servers: Servers, pair: Settings, port: int) -> ExitStack:
    """Run gunicorn as shipped and one relay."""
    env = environment(servers, pair) | {"PORT": str(port)}
    stack = ExitStack()
    stack.enter_context(
        process(
            [sys.executable, "-m", "gunicorn", "-c", "python:rebootcamp.gunicorn_conf", "--log-level", "warning"], env
        )
    )
    stack.enter_context(process([sys.executable, "-m", "flask", "relay"], env))
    wait(f"http://127.0.0.1:{port}/readyz")
    return stack


def frameworkless(servers: Servers, pair: Settings, port: int) -> ExitStack:
    """Run the raw applications with the same workers and threads."""
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads", "4", "--no-control-socket"]
    command += ["--log-level", "warning"]
    stack = ExitStack()
    stack.enter_context(
        process([*command, "-b", f"127.0.0.1:{port}", "tests.bench.raw:app"], environment(servers, pair))
    )
    wait(f"http://127.0.0.1:{port}/progress/1")
    return stack


def environment(servers: Servers, pair: Settings) -> dict[str, str]:
    """Return what the processes need to find their pair."""
    plain = pair.database_url.replace("postgresql+psycopg2", "postgresql")
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "APP_ENV": "production",
        "SECRET_KEY": pair.secret_key,
        "LOG_LEVEL": "WARNING",
        "FLASK_APP": "rebootcamp.wsgi",
        "DATABASE_URL": plain,
        "MONGODB_URI": servers.MONGODB_URI,
        "MONGODB_DATABASE": pair.mongodb_database,
        "BENCH_DATABASE_URL": plain,
        "BENCH_MONGODB_URI": servers.MONGODB_URI,
        "BENCH_MONGODB_DATABASE": pair.mongodb_database,
    }


@contextmanager
def process(command: list[str], env: dict[str, str]) -> Iterator[None]:
    """Run a process for the length of the block."""
    child = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.terminate()
        child.wait(timeout=40)


def wait(url: str) -> None:
    """Wait until the address answers 200."""
    for _ in range(100):
        try:
            if requests.get(url, timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def make_targets(port: int, raw_port: int, tokens: dict[int, str]) -> list[Target]:
    """Prepare the requests: readers only read, so that their 304 stays one; each write is a new fact."""
    readers, writers = list(tokens)[:READERS], list(tokens)[READERS:]
    etags = {user: progress(port, user, tokens[user]).headers["ETag"] for user in readers}
    facts = [(user, challenge) for challenge in range(1, CHALLENGES + 1) for user in writers]
    trainer = tokens[writers[-1]]
    # Seats of many workshops at once: those of one are given one after the other. Nobody may have more than these.
    rng = random.Random(7)
    seats = [(user, w) for user in writers[:-1] for w in rng.sample(range(2, WORKSHOPS + 2), 18)]
    rng.shuffle(seats)
    return [
        Target("raw read", raw_port, (get(f"/progress/{user}") for user in itertools.cycle(readers)), 200),
        Target("read", port, (read(user, tokens) for user in itertools.cycle(readers)), 200),
        Target("read, 304", port, (read(u, tokens, etags[u]) for u in itertools.cycle(readers)), 304),
        Target("naive double write", raw_port, (post(f"/complete/{user}/{c}") for user, c in facts), 200),
        Target("write", port, (post(f"/api/challenges/{c}/complete", tokens[user]) for user, c in facts), 201),
        Target("raw joined read", raw_port, itertools.repeat(get("/guests/1")), 200),
        Target("joined read", port, itertools.repeat(get("/api/workshops/1/registrations", trainer)), 200),
        Target("naive registration", raw_port, (post(f"/register/{user}/{w}") for user, w in seats), 200),
        Target("registration", port, (post(f"/api/workshops/{w}/register", tokens[user]) for user, w in seats), 201),
    ]


def progress(port: int, user: int, token: str) -> requests.Response:
    """Ask once."""
    url = f"http://127.0.0.1:{port}/api/users/{user}/progress"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def read(user: int, tokens: dict[int, str], etag: str | None = None) -> bytes:
    """Return the bytes of one progress read."""
    return get(f"/api/users/{user}/progress", tokens[user], etag)


def get(path: str, token: str | None = None, etag: str | None = None) -> bytes:
    """Return the bytes of a GET."""
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    head += f"If-None-Match: {etag}\r\n" if etag else ""
    return (head + "\r\n").encode()


def post(path: str, token: str | None = None) -> bytes:
    """Return the bytes of a POST of an empty object."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    return (head + "\r\n{}").encode()


def measure(targets: list[Target], options: argparse.Namespace) -> None:
    """Interleave the rounds and print medians and ratios."""
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    latencies: dict[str, list[float]] = {target.name: [] for target in targets}
    for number in range(options.rounds + 1):
        for target in targets:
            result = load.run(target.port, target.requests, options.seconds, options.connections)
            if set(result.statuses) != {target.expected}:
                raise SystemExit(f"{target.name}: expected only {target.expected}, got {result.statuses}")
            # The first round warms caches, pools and plans.
            if number:
                rates[target.name].append(result.rate)
                latencies[target.name].append(result.median_ms)
        print(f"round {number} of {options.rounds} {'(warm-up)' if not number else ''}", flush=True)
    base = {
        "read": "raw read",
        "read, 304": "raw read",
        "write": "naive double write",
        "joined read": "raw joined read",
        "registration": "naive registration",
    }
    print(f"\n{'target':<20} {'requests/s':>11} {'median ms':>10} {'ratio':>7} {'lowest':>7} {'highest':>8}")
    for name, values in rates.items():
        against = rates[base.get(name, name)]
        ratios = [mine / theirs for mine, theirs in zip(values, against, strict=True)]
        row = statistics.median(values), statistics.median(latencies[name]), statistics.median(ratios)
        print(f"{name:<20} {row[0]:>11.0f} {row[1]:>10.2f} {row[2]:>7.2f} {min(ratios):>7.2f} {max(ratios):>8.2f}")


if __name__ == "__main__":
    main()
