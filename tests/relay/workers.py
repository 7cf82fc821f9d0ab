"""Processes that do the service's work and may be killed: `python -m tests.relay.workers` forks one for each job.

A job is a line of JSON on the standard input: `{"failpoints": …, "task": …, "arguments": […]}`. The answer is one too:
`{"status": …, "acknowledged": […]}`, where a killed process has a negative status. Nothing is connected to before
the fork, so each job is a process as fresh as one of gunicorn's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TextIO

from flask import Flask, current_app

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core import failpoints
from rebootcamp.core.actors import Actor
from rebootcamp.events.rebuild import rebuild as make_anew
from rebootcamp.events.relay import Relay
from rebootcamp.services import challenges, workshops
from rebootcamp.services.challenges.errors import AlreadyCompleted
from rebootcamp.services.integrity import repair_stores
from rebootcamp.services.mails import PostOffice, send_due
from rebootcamp.services.workshops.errors import NotRegistered
from tests.factories import judge_the_past
from tests.relay.tools import environment

Acknowledge = Callable[[int], None]


def complete(acknowledge: Acknowledge, user_id: int, *challenge_ids: int) -> None:
    """Complete challenges one after the other; one that is already completed is as good."""
    for challenge_id in challenge_ids:
        try:
            challenges.complete_challenge(Actor(user_id, "student"), challenge_id, answer=None, evidence=None)
        except AlreadyCompleted:
            acknowledge(-challenge_id)
        else:
            acknowledge(challenge_id)


def comment(acknowledge: Acknowledge, user_id: int, workshop_id: int) -> None:
    """Comment on a workshop."""
    acknowledge(workshops.add_comment(Actor(user_id, "student"), workshop_id, "Said by a worker.").id)


def edit_comment(acknowledge: Acknowledge, user_id: int, workshop_id: int, comment_id: int) -> None:
    """Edit a comment."""
    actor = Actor(user_id, "student")
    acknowledge(workshops.edit_comment(actor, workshop_id, comment_id, "Edited by a worker.", None).version)


def relay(acknowledge: Acknowledge, batch: int) -> None:
    """Deliver until nothing waits."""
    acknowledge(Relay(batch, 0.01).drain())


def rebuild(acknowledge: Acknowledge) -> None:
    """Make every projection anew, and switch."""
    acknowledge(make_anew(lambda step, done: None).events)


def repair(acknowledge: Acknowledge) -> None:
    """Repair both stores."""
    repair_stores(lambda action: None)
    acknowledge(0)


def backfill(acknowledge: Acknowledge) -> None:
    """Judge the past by every rule that waits for it."""
    judge_the_past()
    acknowledge(0)


def reward(acknowledge: Acknowledge) -> None:
    """Reward the teams that reached their target."""
    acknowledge(challenges.reward_teams())


def review(acknowledge: Acknowledge) -> None:
    """Take back what teams that fell below their target were given."""
    acknowledge(challenges.review_teams())


def send_mails(acknowledge: Acknowledge, port: int) -> None:
    """Send the mails that are due to a server of the test, which needs neither TLS nor a login."""
    settings = replace(
        current_app.config["REBOOTCAMP"],
        mail_url=f"smtp://127.0.0.1:{port}?tls=none",
        mail_from="no-reply@example.org",
        public_url="https://example.org",
    )
    office = PostOffice.of(settings)
    assert office is not None
    acknowledge(send_due(office).sent)


def remind(acknowledge: Acknowledge) -> None:
    """Queue the reminders that are due."""
    acknowledge(workshops.remind())


def leave(acknowledge: Acknowledge, user_id: int, workshop_id: int) -> None:
    """Leave a workshop; whoever has left is as good."""
    try:
        workshops.leave(Actor(user_id, "student"), workshop_id)
    except NotRegistered:
        acknowledge(-workshop_id)
    else:
        acknowledge(workshop_id)


def promote(acknowledge: Acknowledge) -> None:
    """Give free seats to whoever is next."""
    acknowledge(workshops.promote_waiting())


TASKS: dict[str, Callable[..., None]] = {
    "complete": complete,
    "comment": comment,
    "edit_comment": edit_comment,
    "relay": relay,
    "rebuild": rebuild,
    "repair": repair,
    "backfill": backfill,
    "reward": reward,
    "review": review,
    "send_mails": send_mails,
    "remind": remind,
    "leave": leave,
    "promote": promote,
}


def run(app: Flask, job: dict[str, Any], output: TextIO) -> None:
    """Do one job in this process."""
    failpoints.arm(job["failpoints"])

    def acknowledge(number: int) -> None:
        output.write(f"{number}\n")
        output.flush()

    with app.app_context():
        TASKS[job["task"]](acknowledge, *job["arguments"])


def serve() -> None:
    """Fork a process for each line of the standard input."""
    app = create_app(Settings.from_env())
    for line in sys.stdin:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run(app, json.loads(line), os.fdopen(write_end, "w"))
                status = 0
            finally:
                os._exit(status)
        os.close(write_end)
        with os.fdopen(read_end) as output:
            acknowledged = [int(number) for number in output.read().split()]
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"status": status, "acknowledged": acknowledged}), flush=True)


@dataclass(frozen=True)
class Done:
    """How a process ended and what it had acknowledged by then."""

    status: int
    acknowledged: list[int]


class Workers:
    """The other side: asks for processes and waits for their end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, task: str, *arguments: int, failpoints: str = "") -> Done:
        """Run one job to its end, or to its death."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, "arguments": arguments, "failpoints": failpoints}) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))


@contextmanager
def workers_on(settings: Settings) -> Iterator[Workers]:
    """Run the forking process for the length of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.relay.workers"],
        env=environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Workers(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


if __name__ == "__main__":
    serve()
