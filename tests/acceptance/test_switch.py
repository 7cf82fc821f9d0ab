"""A restore under a running service: it follows without a restart, and no answer is made of both pairs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest

from rebootcamp.config import Settings
from tests.acceptance.service import PASSWORD, Caller, Service, eventually
from tests.stores import create_pair

OK, AWAY, REFUSED = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.UNAUTHORIZED
Answer = tuple[int, bytes]


@pytest.fixture
def followed(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own: its pair is replaced."""
    service = Service(create_pair(settings, "followed"), tmp_path_factory.mktemp("followed"))
    try:
        service.start()
        yield service
    finally:
        service.stop()


@dataclass
class Reader:
    """Reads the same address all the time, and keeps each answer that differs from the one before."""

    service: Service
    path: str
    token: str | None = None
    seen: list[Answer] = field(default_factory=list)
    longest_gap: float = 0.0

    def run(self, done: threading.Event) -> None:
        """Read until told to stop."""
        last = time.monotonic()
        while not done.is_set():
            answer = self.read()
            if answer[0] != AWAY:
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
            if not self.seen or self.seen[-1] != answer:
                self.seen.append(answer)
            time.sleep(0.02)

    def read(self) -> Answer:
        """Return status and body; of a refusal the status is enough."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self.service.send("GET", self.path, headers=headers)
        return answer.status_code, answer.content if answer.status_code == OK else b""


def card_of(who: Caller) -> str:
    """Share one's card; return an address that needs no token."""
    shared = who.send("POST", "/api/users/me/share-links", json={"pictures": ["progress"]})
    assert shared.status_code == HTTPStatus.CREATED, shared.text
    return f"{who.path}/progress.svg?key={shared.json()['key']}"


def without(answers: list[Answer], status: int) -> list[Answer]:
    return [answer for answer in answers if answer[0] != status]


def test_a_running_service_follows_a_restore(followed: Service) -> None:
    ada = followed.join()
    challenges = [followed.make_challenge() for _ in range(3)]
    assert ada.complete(challenges[0]).status_code == HTTPStatus.CREATED
    card, progress, history = card_of(ada), f"{ada.path}/progress", f"{ada.path}/history"
    eventually(followed.is_delivered)
    readers = [Reader(followed, card), Reader(followed, progress, ada.token), Reader(followed, history, ada.token)]
    saved = [reader.read() for reader in readers]
    email = ada.read("/api/users/me")["email"]
    old_device = followed.send("POST", "/api/auth/login", json={"email": email, "password": PASSWORD}).json()
    assert followed.flask("backup").returncode == 0
    assert ada.complete(challenges[1]).status_code == HTTPStatus.CREATED
    eventually(followed.is_delivered)
    live, processes = [reader.read() for reader in readers], (followed.web, followed.relay, followed.workers())
    done, threads = threading.Event(), []
    for reader in readers * 2:
        threads.append(threading.Thread(target=reader.run, args=(done,)))
        threads[-1].start()
    try:
        restored = followed.flask("restore", "--force")
        time.sleep(1)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert restored.returncode == 0, restored.stdout + restored.stderr
    print(f"the card was away for {readers[0].longest_gap:.1f} s")
    # Two threads share a reader, so an answer may be noted twice; what it may be is the same.
    assert set(without(readers[0].seen, AWAY)) == {live[0], saved[0]}
    for reader, before in zip(readers[1:], live[1:], strict=True):
        assert set(without(reader.seen, AWAY)) == {before, (REFUSED, b"")}
    assert [reader.read() for reader in readers] == [saved[0], (REFUSED, b""), (REFUSED, b"")]
    again = followed.send("POST", "/api/auth/refresh", json={"refresh_token": old_device["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (REFUSED, "refresh_token_invalid")
    ada = followed.sign_in(email)
    assert [Reader(followed, path, ada.token).read() for path in (progress, history)] == saved[1:]
    assert ada.complete(challenges[2]).status_code == HTTPStatus.CREATED
    assert (followed.web, followed.relay, followed.workers()) == processes
    followed.assert_stores_agree()
