"""`make run`: the whole service on this machine, started step by step and stopped in reverse."""

import http.client
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rebootcamp.cli.dev.embedded import EmbeddedMongo, EmbeddedPostgres
from rebootcamp.cli.dev.processes import (
    DevError,
    end_leftovers,
    exclusive,
    is_port_free,
    spawn,
    stop,
    tail,
    write_private,
)

DEMO_ACCOUNTS = ("admin@example.org", "instructor@example.org", "examiner@example.org", "student@example.org")
DEMO_PASSWORD = "rebootcamp-demo-2026"  # noqa: S105
# What commands that are started by hand find in RUN_DIR/env.
KEPT_NAMES = (
    *("DATABASE_URL", "MONGODB_URI", "MONGODB_DATABASE", "SECRET_KEY", "APP_ENV", "PORT", "POSTGRES_BIN"),
    *("MAIL_URL", "MAIL_FROM", "PUBLIC_URL"),
)
MAIL_FROM = "RebootCamp <no-reply@example.org>"
STEPS = 6
READY_TIMEOUT = 60.0
# Long enough to look at the service without one of its stores, or to start the server again by hand.
OUTAGE_SECONDS = 30.0
LOG_LIMIT = 5_000_000


class Stopped(Exception):
    """Somebody asked us to stop."""


@dataclass
class Child:
    """A process that must stay alive; one with `restart` is started again instead of ending the run.

    A store that stops is an outage which the service survives: it is left alone for a while, then started again.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    restart: Callable[[], "subprocess.Popen[bytes]"] | None = None
    server: EmbeddedPostgres | EmbeddedMongo | None = None
    started: float = 0.0
    failures: int = 0
    retry_at: float = 0.0


def run_directory(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("RUN_DIR") or ".run")


def port_of(environ: Mapping[str, str]) -> int:
    text = environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise DevError(f"PORT must be a number between 1 and 65535, not {text!r}")
    return int(text)


def _keep_logs_small(folder: Path) -> None:
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))


def secret_of(run_dir: Path) -> str:
    """Return the development secret of this run directory: sessions survive a restart."""
    file = run_dir / "secret_key"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(48))
    return file.read_text(encoding="utf-8").strip()


class Supervisor:
    """Starts everything in order, watches it, and stops what it started."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)
        self.run_dir = run_directory(environ).resolve()
        self.host = environ.get("HOST") or "127.0.0.1"
        self.port = port_of(environ)
        self.children: list[Child] = []
        self.asked_to_stop = threading.Event()
        self.cleanup = ExitStack()
        self._step = 0
        self._announced = False

    @property
    def url(self) -> str:
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{shown}:{self.port}"

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.asked_to_stop.set())
        try:
            with exclusive(self.run_dir), self.cleanup:
                self._start_and_watch()
        except Stopped:
            print("Stopped.", flush=True)
        return 0

    def _start_and_watch(self) -> None:
        end_leftovers(self.run_dir)
        if not is_port_free(self.host, self.port):
            raise DevError(f"port {self.port} is in use: stop the other program, or choose one: make run PORT=8001")
        _keep_logs_small(self.run_dir / "logs")
        try:
            self._start()
            while True:
                self._check_children()
                self._pause(0.2)
        finally:
            print("\nStopping …", flush=True)

    def _start(self) -> None:
        self._start_databases()
        self._write_env()
        with self._reporting("Schema, collections and demo data"):
            self._prepare()
        with self._reporting("Web service"):
            self._launch("web", "gunicorn", "-c", "python:rebootcamp.gunicorn_conf")
            self._wait_for("/livez")
        with self._reporting("Relay"):
            self._launch("relay", "flask", "relay", restarted=True)
        with self._reporting("Health check"):
            self._wait_for("/readyz")
        self._announce()

    @contextmanager
    def _reporting(self, what: str, done: str = "ready") -> Iterator[None]:
        self._step += 1
        print(f"[{self._step}/{STEPS}] {what} … ", end="", flush=True)
        began = time.monotonic()
        try:
            self._pause(0)
            yield
            self._pause(0)
        except BaseException:
            print("not finished", flush=True)
            raise
        print(f"{done} ({time.monotonic() - began:.1f} s)", flush=True)

    def _start_databases(self) -> None:
        with self._reporting("PostgreSQL 18", "yours" if self.environ.get("DATABASE_URL") else "ready"):
            if not self.environ.get("DATABASE_URL"):
                self._start_server("DATABASE_URL", EmbeddedPostgres(self.run_dir))
        with self._reporting("MongoDB", "yours" if self.environ.get("MONGODB_URI") else "ready"):
            if not self.environ.get("MONGODB_URI"):
                self._start_server("MONGODB_URI", EmbeddedMongo(self.run_dir))

    def _start_server(self, variable: str, server: EmbeddedPostgres | EmbeddedMongo) -> None:
        self.cleanup.callback(server.stop)
        server.start()
        if server.process is not None:
            self.children.append(Child(server.name, server.process, server.log, server=server))
        self.environ[variable] = server.url
        if isinstance(server, EmbeddedPostgres):
            self.environ["POSTGRES_BIN"] = str(server.bin_dir)

    def _write_env(self) -> None:
        self.environ |= {"APP_ENV": "development", "PORT": str(self.port), "HOST": self.host}
        self.environ |= {"FLASK_APP": "rebootcamp.wsgi", "PYTHONUNBUFFERED": "1"}
        self.environ["SECRET_KEY"] = self.environ.get("SECRET_KEY") or secret_of(self.run_dir)
        self.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(self.run_dir / "metrics"))
        self.environ.setdefault("LOG_FORMAT", "console")
        self.environ["MAIL_URL"] = self.environ.get("MAIL_URL") or f"maildir:{self.run_dir / 'mails'}"
        self.environ["MAIL_FROM"] = self.environ.get("MAIL_FROM") or MAIL_FROM
        # Links then lead to what there is here: the addresses of the API.
        self.environ["PUBLIC_URL"] = self.environ.get("PUBLIC_URL") or f"{self.url}/api"
        lines = [f"{name}={self.environ[name]}\n" for name in KEPT_NAMES if self.environ.get(name)]
        write_private(self.run_dir / "env", "".join(lines))
        self.cleanup.callback((self.run_dir / "env").unlink, missing_ok=True)

    def _module(self, log: Path, *command: str) -> "subprocess.Popen[bytes]":
        return spawn([sys.executable, "-m", *command], log=log, run_dir=self.run_dir, env=self.environ)

    def _prepare(self) -> None:
        log = self.run_dir / "logs" / "prepare.log"
        # Each attempt is read on its own: an old error must not be shown as today's.
        log.unlink(missing_ok=True)
        process = self._module(log, "flask", "prepare", "--demo")
        try:
            while process.poll() is None:
                self._pause(0.03)
        finally:
            stop(process)
        if process.returncode:
            raise DevError(f"preparing the stores failed; {log} ends with:\n{tail(log)}")

    def _launch(self, name: str, *command: str, restarted: bool = False) -> None:
        log = self.run_dir / "logs" / f"{name}.log"

        def launch() -> "subprocess.Popen[bytes]":
            return self._module(log, *command)

        child = Child(name, launch(), log, launch if restarted else None, started=time.monotonic())
        self.children.append(child)
        self.cleanup.callback(lambda: stop(child.process, timeout=35))

    def _wait_for(self, path: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while (status := self._status(path)) != http.HTTPStatus.OK:
            self._check_children()
            if time.monotonic() > deadline:
                raise DevError(
                    f"{path} answers {status or 'nothing'} after {READY_TIMEOUT:.0f} s; see {self.run_dir}/logs"
                )
            self._pause(0.05)

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _announce(self) -> None:
        print(f"\n  API        {self.url}\n  docs       {self.url}/api/docs\n  logs       {self.run_dir}/logs")
        if self.environ["MAIL_URL"].startswith("maildir:"):
            print(f"  mails      {self.url}/mails")
        print(f"  accounts   {', '.join(DEMO_ACCOUNTS)}\n  password   {DEMO_PASSWORD}\n\n  Ctrl-C stops everything.\n")
        print(f"ready {self.url}", flush=True)
        self._announced = True

    def _pause(self, seconds: float) -> None:
        if self.asked_to_stop.wait(seconds):
            raise Stopped

    def _check_children(self) -> None:
        for child in self.children:
            if child.process.poll() is None:
                continue
            if child.server is not None and self._announced:
                self._wait_out(child, child.server)
                continue
            if child.restart is None:
                raise DevError(
                    f"{child.name} stopped unexpectedly (exit {child.process.returncode}); "
                    f"{child.log} ends with:\n{tail(child.log)}"
                )
            self._revive(child, child.restart)

    def _wait_out(self, child: Child, server: EmbeddedPostgres | EmbeddedMongo) -> None:
        now = time.monotonic()
        if not child.retry_at:
            child.retry_at = now + OUTAGE_SECONDS
            print(
                f"{child.name} stopped (exit {child.process.returncode}): the service goes on without it; "
                f"started again in {OUTAGE_SECONDS:.0f} s, see {child.log}",
                flush=True,
            )
        elif now >= child.retry_at:
            child.retry_at = 0.0
            if not is_port_free("127.0.0.1", server.port):
                # Somebody started it by hand on its own port; it is theirs now.
                child.retry_at = now + OUTAGE_SECONDS
                return
            try:
                server.start()
            except DevError as error:
                print(error, flush=True)
            else:
                print(f"{child.name} is back", flush=True)
                child.process = server.process or child.process

    def _revive(self, child: Child, restart: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        now = time.monotonic()
        if not child.retry_at:
            child.failures = 1 if now - child.started > 60 else child.failures + 1
            child.retry_at = now + min(30, 2 ** (child.failures - 1))
            wait = child.retry_at - now
            print(
                f"{child.name} stopped (exit {child.process.returncode}); again in {wait:.0f} s, see {child.log}",
                flush=True,
            )
        elif now >= child.retry_at:
            child.retry_at = 0.0
            child.started = now
            child.process = restart()


def run(environ: Mapping[str, str] = os.environ) -> int:
    """Run the service until Ctrl-C; 0 when asked to stop."""
    return Supervisor(environ).run()
