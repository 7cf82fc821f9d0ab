"""kill -9 during load, wherever it may hit: what was acknowledged is kept, what was repeated is done once.

The deaths at named places are in `tests/relay`; here they come when they come.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import requests

from tests.acceptance.service import Caller, Service, eventually

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.Timeout)
LEARNERS, CHALLENGES, KILLS = 6, 20, 10


def insist(who: Caller, challenge: int, key: str) -> tuple[bytes, int]:
    """Repeat with the same key until there is an answer; return it with the number of attempts that broke."""
    broken, deadline = 0, time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            answer = who.complete(challenge, key)
        except BROKEN:
            broken += 1
            continue
        if (
            answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            and answer.json().get("code") != "idempotency_in_progress"
        ):
            assert answer.status_code == HTTPStatus.CREATED, answer.text
            return answer.content, broken
        time.sleep(0.05)
    raise AssertionError("no answer in time")


def kill_workers(service: Service, done: threading.Event) -> int:
    """Kill one worker after another at odd moments, and the relay between them; return how many died."""
    dice, killed = random.Random(20261120), 0
    while not done.wait(dice.uniform(0.05, 0.25)) and killed < KILLS:
        if workers := service.workers():
            os.kill(dice.choice(workers), signal.SIGKILL)
            killed += 1
        if killed % 3 == 0 and service.relay is not None:
            service.relay.kill()
            service.relay.wait()
            service.start_relay()
    return killed


def test_no_acknowledged_completion_is_lost_and_none_is_doubled(service: Service) -> None:
    learners = [service.join() for _ in range(LEARNERS)]
    challenges = [service.make_challenge(points=number + 1) for number in range(CHALLENGES)]
    answers: dict[tuple[int, int], bytes] = {}
    done = threading.Event()

    def work(who: Caller) -> int:
        broken = 0
        for challenge in challenges:
            answers[who.id, challenge], attempts = insist(who, challenge, f"crash-{challenge}")
            broken += attempts
        return broken

    with ThreadPoolExecutor(LEARNERS + 1) as threads:
        killer = threads.submit(kill_workers, service, done)
        broken = sum(threads.map(work, learners))
        done.set()
        killed = killer.result()
    # The kernel ends a relay together with the thread that started it.
    service.stop_relay()
    service.start_relay()
    assert killed >= 3, "the load ended before the crashes came"
    eventually(lambda: len(service.workers()) == 2)
    for who in learners:
        progress = who.read(f"{who.path}/progress")
        assert progress["score"]["challenge_points"] == sum(range(1, CHALLENGES + 1)), broken
        for challenge in challenges:
            again = who.complete(challenge, f"crash-{challenge}")
            assert (again.content, again.headers["Idempotent-Replayed"]) == (answers[who.id, challenge], "true")
    service.assert_stores_agree()
