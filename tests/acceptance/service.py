"""The whole service as it is shipped, gunicorn and a relay, reached by HTTP and by its commands alone."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import requests

from rebootcamp.cli.dev.processes import free_port, spawn, stop
from rebootcamp.config import Settings

T = TypeVar("T")
PASSWORD = "correct horse battery"
PATIENCE = 30.0
Process = subprocess.Popen[bytes]
_numbers = itertools.count(1)


def eventually(test: Callable[[], T], patience: float = PATIENCE) -> T:
    """Return the first true result of the test."""
    deadline = time.monotonic() + patience
    while not (found := test()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def at_once(actions: Sequence[Callable[[], T]]) -> list[T]:
    """Run the actions in parallel, each in a thread of its own."""
    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(lambda action: action(), actions))


@dataclass(frozen=True)
class Caller:
    """A signed-in client."""

    service: Service
    id: int
    token: str

    @property
    def path(self) -> str:
        return f"/api/users/{self.id}"

    def send(self, method: str, path: str, key: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.service.send(method, path, headers=headers, **options)

    def read(self, path: str) -> Any:
        """Return the body of a successful GET."""
        answer = self.send("GET", path)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return answer.json()

    def complete(self, challenge_id: int, key: str | None = None) -> requests.Response:
        return self.send("POST", f"/api/challenges/{challenge_id}/complete", key, json={})


@dataclass
class Service:
    """Processes on one pair of databases; each can be stopped, killed and started again on its port."""

    settings: Settings
    place: Path
    port: int = field(default_factory=free_port)
    web: Process | None = None
    relay: Process | None = None
    extra: dict[str, str] = field(default_factory=dict)
    _admin: Caller | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        own = {
            "APP_ENV": "test",
            "SECRET_KEY": self.settings.secret_key,
            "DATABASE_URL": self.settings.database_url,
            "MONGODB_URI": self.settings.mongodb_uri,
            "MONGODB_DATABASE": self.settings.mongodb_database,
            "PROMETHEUS_MULTIPROC_DIR": str(self.place / "metrics"),
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "LOG_LEVEL": "WARNING",
            # The administrator signs in once, and a loaded machine may take longer than ten minutes.
            "ACCESS_TOKEN_MINUTES": "60",
            "FLASK_APP": "rebootcamp.wsgi",
            "RELAY_POLL_SECONDS": "0.05",
        }
        return {**os.environ, **own, **self.extra}

    def start(self) -> None:
        """Start what does not run."""
        self.start_web()
        self.start_relay()

    def start_web(self) -> None:
        if self.web is None or self.web.poll() is not None:
            self.web = self._spawn("web", "gunicorn", "-c", "python:rebootcamp.gunicorn_conf")
            eventually(self.is_alive)

    def start_relay(self) -> None:
        if self.relay is None or self.relay.poll() is not None:
            self.relay = self._spawn("relay", "flask", "relay")

    def stop_relay(self) -> None:
        stop(self.relay)

    def stop(self) -> None:
        for process in (self.relay, self.web):
            stop(process, timeout=35)

    def _spawn(self, name: str, *command: str) -> Process:
        log = self.place / f"{name}.log"
        return spawn([sys.executable, "-m", *command], log=log, run_dir=self.place, env=self.env)

    def is_alive(self) -> bool:
        try:
            return self.send("GET", "/livez").ok
        except requests.ConnectionError:
            return False

    def workers(self) -> list[int]:
        """Return the process ids of gunicorn's workers."""
        assert self.web is not None
        children = Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]

    def flask(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the service to its end."""
        command = [sys.executable, "-m", "flask", *arguments]
        return subprocess.run(
            command, env=self.env, cwd=self.place, input=given, capture_output=True, text=True, check=False, timeout=60
        )

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=20, **options)

    def sign_in(self, email: str) -> Caller:
        answer = self.send("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == HTTPStatus.OK, answer.text
        return Caller(self, answer.json()["user"]["id"], answer.json()["access_token"])

    def join(self) -> Caller:
        """Register a learner over HTTP."""
        email = f"learner{next(_numbers)}@acceptance.example.org"
        person = {"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
        answer = self.send("POST", "/api/auth/register", json=person)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return self.sign_in(email)

    def admin(self) -> Caller:
        """Return the administrator, made by the command at the first call."""
        if self._admin is None:
            email = "root@acceptance.example.org"
            made = self.flask("admin", "create", email, "--password-file", "-", given=PASSWORD)
            assert made.returncode == 0, made.stderr
            self._admin = self.sign_in(email)
        return self._admin

    def make_challenge(self, **changes: Any) -> int:
        """Add a challenge over HTTP and return its id."""
        texts = {"title": f"Challenge {next(_numbers)}", "description": "Do it."}
        body = {"translations": {"en": texts}, "category": "energy", "difficulty": "easy", "points": 20, **changes}
        answer = self.admin().send("POST", "/api/challenges", json=body)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return int(answer.json()["id"])

    def make_badge(self, at_least: int, points: int = 10) -> str:
        """Add a badge for so many completions and return its code."""
        code = f"badge_{next(_numbers)}"
        texts = {"name": code, "description": "For the tests."}
        criteria = {"count": {"event": "challenge.completed", "at_least": at_least}}
        body = {"code": code, "tier": "bronze", "points": points, "criteria": criteria}
        answer = self.admin().send("POST", "/api/badges", json={**body, "translations": {"en": texts, "fr": texts}})
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return code

    def ready(self) -> dict[str, Any]:
        """Return what /readyz says."""
        found: dict[str, Any] = self.send("GET", "/readyz").json()
        return found

    def is_delivered(self) -> bool:
        """Tell whether nothing waits for the relay."""
        outbox = self.ready()["checks"]["outbox"]
        return outbox is not None and outbox["pending"] == 0

    def assert_stores_agree(self) -> None:
        """Wait for the relay, then prove that both stores hold the same."""
        eventually(self.is_delivered)
        checked = self.flask("check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
