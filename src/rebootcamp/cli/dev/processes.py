"""Child processes that never outlive us: start, stop, find leftovers, pick ports."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rebootcamp.integrations.programs import dying_with_us

RUN_DIR_MARK = "REBOOTCAMP_RUN_DIR"


class DevError(Exception):
    """Something the developer must know, in one line."""


@dataclass(frozen=True)
class Account:
    """The operating-system account a child runs as."""

    uid: int
    gid: int


def free_port(preferred: int | None = None) -> int:
    """Return a port of 127.0.0.1 that nobody listens on, below the kernel's ephemeral range."""
    candidates = [preferred] if preferred else []
    candidates += random.sample(range(20000, 32000), 200)
    for port in candidates:
        if is_port_free("127.0.0.1", port):
            return port
    raise DevError("no free port between 20000 and 32000")


def is_port_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # Without it a port that was just closed looks busy for a minute; a listener is still refused.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # Two sockets may share a bound address, but only one may listen on it.
            probe.listen(1)
        except OSError:
            return False
    return True


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    run_dir: Path,
    death_signal: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a child in its own session; the kernel sends it `death_signal` when the calling thread dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**(os.environ if env is None else env), RUN_DIR_MARK: str(run_dir.resolve())},
            # The terminal's Ctrl-C must reach the supervisor only: it stops children in order.
            start_new_session=True,
            # It only makes two system calls, so a lock held by another thread cannot hurt it.
            preexec_fn=dying_with_us(death_signal),  # noqa: PLW1509
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def stop(
    process: "subprocess.Popen[bytes] | None", *, with_signal: signal.Signals = signal.SIGTERM, timeout: float = 30
) -> None:
    """Stop a child that we started: politely, then by force."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(with_signal)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _process_ids() -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            yield int(entry.name)


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _works_in(pid: int, directory: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == Path(directory)
    except OSError:
        return False


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _end_all(find: Callable[[], list[int]], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    for number, patience in steps:
        for pid in find():
            _kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not find():
                return
            time.sleep(0.05)
    if left := find():
        raise DevError(f"processes {left} of an earlier run do not stop")


def end_leftovers(run_dir: Path) -> None:
    """Stop what an earlier supervisor of this run directory left behind. The caller holds the directory's lock."""
    mark = f"{RUN_DIR_MARK}={run_dir.resolve()}".encode()
    own = {os.getpid(), os.getppid()}

    def leftovers() -> list[int]:
        return [pid for pid in _process_ids() if pid not in own and _is_marked(pid, mark) and not _is_zombie(pid)]

    # SIGINT is PostgreSQL's fast shutdown (SIGTERM waits for clients) and a clean stop for the others.
    _end_all(leftovers, [(signal.SIGINT, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)])


def end_processes_in(directory: Path) -> None:
    """Stop the processes whose working directory is this one: PostgreSQL children that lost their parent."""
    target = str(directory.resolve())

    def inside() -> list[int]:
        return [pid for pid in _process_ids() if _works_in(pid, target) and not _is_zombie(pid)]

    _end_all(inside, [(signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)])


@contextmanager
def exclusive(run_dir: Path) -> Iterator[None]:
    """Hold the run directory for ourselves; refuse when another run does."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DevError(f"{run_dir} is in use by another run: stop it first, or choose another RUN_DIR") from None
        yield


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)


def tail(log: Path, lines: int = 15) -> str:
    if not log.exists():
        return ""
    found = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(line[:300] for line in found)
