"""kill -9 of web workers behind gunicorn: a client that repeats its request with the same key loses nothing."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from flask import Flask

from rebootcamp.config import Settings
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.storage.sql import db
from tests.factories import PASSWORD, drain, make_actor, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, count, environment

pytestmark = pytest.mark.usefixtures("committed_db")

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@contextmanager
def web_service(settings: Settings, log: Path, **extra: str) -> Iterator[str]:
    """Run gunicorn as in production, two workers that may be killed; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = environment(settings, PORT=port, WEB_CONCURRENCY="2", WEB_THREADS="2", **extra)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:rebootcamp.gunicorn_conf"]
    with log.open("w") as output, subprocess.Popen(command, env=env, stdout=output, stderr=output) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(40)


@dataclass
class Client:
    """A learner's program: whatever breaks is sent again, with the same key."""

    address: str
    broken: int = 0
    replayed: int = 0
    token: str = ""

    def post(self, path: str, body: object, key: str | None = None) -> requests.Response:
        """Send until there is an answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        end = time.monotonic() + 30
        while True:
            assert time.monotonic() < end
            try:
                answer = requests.post(self.address + path, json=body, headers=headers, timeout=20)
            except BROKEN:
                # Before the server listens there is nobody to be killed.
                self.broken += bool(self.token)
                time.sleep(0.05)
            else:
                self.replayed += "Idempotent-Replayed" in answer.headers
                return answer

    def complete_all(self, email: str, challenge_ids: list[int]) -> list[int]:
        """Sign in, complete every challenge, return the statuses."""
        self.token = self.post("/api/auth/login", {"email": email, "password": PASSWORD}).json()["access_token"]
        return [
            self.post(f"/api/challenges/{one}/complete", {}, key=f"complete-{one}").status_code for one in challenge_ids
        ]


@pytest.mark.parametrize("failpoint", ["transaction.before_commit:5", "transaction.after_commit:5"])
def test_killed_web_worker_loses_and_doubles_nothing(committed_db: Flask, tmp_path: Path, failpoint: str) -> None:
    make_badge("first_step")
    tasks = [make_challenge().id for _ in range(12)]
    emails = ["ada@example.org", "bob@example.org"]
    for email in emails:
        make_actor(email=email)
    log = tmp_path / "gunicorn.log"
    with web_service(committed_db.config["REBOOTCAMP"], log, TEST_FAILPOINTS=failpoint) as address:
        clients = [Client(address) for _ in emails]
        with ThreadPoolExecutor(2) as threads:
            statuses = list(threads.map(Client.complete_all, clients, emails, itertools.repeat(tasks)))
    assert statuses == [[201] * len(tasks)] * 2
    assert log.read_text().count("SIGKILL") >= 4
    assert sum(client.broken for client in clients) >= 4
    if failpoint.startswith("transaction.after_commit"):
        # Saved, but not acknowledged: the second time the stored answer is given.
        assert sum(client.replayed for client in clients) >= 2
    assert count(ChallengeCompletion) == 2 * len(tasks)
    scores = db.session.scalars(sa.select(LearnerState.challenge_points).where(LearnerState.challenge_points > 0))
    assert list(scores) == [240, 240]
    drain()
    assert_stores_agree()
