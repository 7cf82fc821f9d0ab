"""The check while the service runs: it waits for what is under way, and never cries wolf."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay
from rebootcamp.services import badges, challenges
from rebootcamp.services.integrity import check_stores
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import fault, in_threads, make_learners
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.mark.parametrize("command", ["insert", "update"])
def test_check_waits_for_the_write_that_is_under_way(committed_db: Flask, command: str) -> None:
    ada, _ = sound_stores()
    if command == "insert":
        complete(ada, make_challenge())
    else:
        badges.update_badge(admin(), "gift", {"points": 11}, None)
    is_asked = threading.Event()

    def carry() -> float:
        with fault({"times": 1}, failCommands=[command], blockConnection=True, blockTimeMS=800):
            is_asked.set()
            Relay(10, 0.01).drain()
        return 0

    def check() -> float:
        is_asked.wait(5)
        time.sleep(0.2)
        started = time.monotonic()
        report = check_stores()
        assert (report.findings, report.pending) == ([], 0)
        return time.monotonic() - started

    assert in_threads(committed_db, carry, check)[1] > 0.3


def test_check_under_load_raises_no_false_alarm(committed_db: Flask) -> None:
    make_badge("first_step")
    make_badge("tenth_step", at_least=10)
    learners, tasks = make_learners(6), [make_challenge(cadence="daily") for _ in range(40)]
    stop, boss = threading.Event(), admin()

    def write(share: list[Actor]) -> int:
        for task in tasks * 20:
            for learner in share:
                if stop.is_set():
                    return 0
                done = complete(learner, task)
                # A daily challenge cannot be done twice a day: taken back, it can.
                challenges.revoke_completion(boss, learner.user_id, done.completion.id, reason="Again.")
                if task.id % 4 == 0:
                    badges.update_badge(boss, "first_step", {"points": 10 + task.id}, None)
        return 0

    def carry() -> int:
        Relay(20, 0.01).run(stop)
        return 0

    def check() -> int:
        checks, until = 0, datetime.now(UTC) + timedelta(seconds=4)
        try:
            while datetime.now(UTC) < until:
                report = check_stores()
                assert report.findings == []
                checks += 1
                time.sleep(0.05)
        finally:
            stop.set()
        return checks

    checks = max(in_threads(committed_db, lambda: write(learners[:3]), lambda: write(learners[3:]), carry, check))
    assert checks >= 5
    drain()
    assert check_stores().findings == []
