"""A server as the guide imagines it: a copy of the source, its own databases, a `.env`, a service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import requests

from rebootcamp.cli.dev.processes import free_port, spawn, stop
from rebootcamp.cli.dev.run import DEMO_PASSWORD
from rebootcamp.cli.dev.servers import Servers

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("src", "migrations", "mongo_init", "data", "backup.sh", "restore.sh", ".flaskenv")
PATIENCE = 60.0
# Nothing of the machine that runs the drill may leak into what a command finds.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass
class Site:
    """One of both servers."""

    name: str
    place: Path
    servers: Servers
    secret: str
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def install(self) -> None:
        """Put the source where a clone would be."""
        self.place.mkdir(mode=0o755)
        for name in LINKED:
            (self.place / name).symlink_to(ROOT / name)
        (self.place / ".venv").symlink_to(sys.prefix)

    def write_env(self, **values: str) -> None:
        """Write `.env`."""
        (self.place / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()), "utf-8")

    def env_of(self, names: list[str], user: str, password: str) -> dict[str, str]:
        """Return the values that a reader of the guide would fill in here; no other names may be asked for."""
        address = f"127.0.0.1:{self.servers.postgres.port}" if self.servers.postgres else ""
        values = {
            # The demo's published passwords are refused in production.
            "APP_ENV": "development",
            "SECRET_KEY": self.secret,
            "DATABASE_URL": f"postgresql://{user}:{password}@{address}/rebootcamp",
            "MONGODB_URI": self.servers.MONGODB_URI,
            "MONGODB_DATABASE": "rebootcamp",
            "BACKUP_DIR": "backups",
        }
        return {name: values[name] for name in names}

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the shell of whoever runs the service."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        # A real clone has a .venv of its own that knows where its source is.
        return {**kept, "PYTHONPATH": str(ROOT / "src"), **self.variables}

    def run(self, text: str) -> str:
        """Run a block of the guide in a shell; return what it printed."""
        script = f"set -eu\n{text}"
        done = subprocess.run(
            ["/bin/sh", "-c", script], cwd=self.place, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{self.name}: {text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, text: str, database: str, **account: str) -> list[tuple[Any, ...]]:
        """Run SQL, as the superuser unless another account is given; return its rows."""
        assert self.servers.postgres is not None
        server = self.servers.postgres
        who = {"user": server.user, "password": server.password, **account}
        with closing(psycopg2.connect(host="127.0.0.1", port=server.port, dbname=database, **who)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []

    @property
    def url(self) -> str:
        """Return the address of the service."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start web service and relay as they are shipped, and wait until they are ready."""
        own = {"PORT": str(self.port), "LOG_LEVEL": "WARNING", "ACCESS_TOKEN_MINUTES": "60"}
        own["PROMETHEUS_MULTIPROC_DIR"] = str(self.place / "metrics")
        commands = {"web": ("gunicorn", "-c", "python:rebootcamp.gunicorn_conf"), "relay": ("flask", "relay")}
        for name, command in commands.items():
            log, env = self.place / f"{name}.log", {**self.environment, **own}
            command_line = [sys.executable, "-m", *command]
            self.processes.append(spawn(command_line, log=log, run_dir=self.place, env=env, cwd=self.place))
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert time.monotonic() < deadline, f"{self.name} is not ready: see {self.place}"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Tell whether requests are served."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=20).ok
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        """Stop web service and relay."""
        while self.processes:
            stop(self.processes.pop(), timeout=35)

    def sign_in(self, email: str) -> dict[str, Any]:
        """Return the tokens of an account of the demo."""
        answer = self.send("POST", "/api/auth/login", json={"email": email, "password": DEMO_PASSWORD})
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """Send a request."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)
