"""The commands as operators run them: exit codes, signals, and kill -9 by way of the environment."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from rebootcamp.storage import mongo
from tests.factories import complete, drain, make_challenge
from tests.relay.tools import (
    assert_stores_agree,
    environment,
    execute,
    flask_command,
    journal_size,
    make_learners,
    started,
    until,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")

NO_POSTGRESQL = {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}
NO_MONGODB = {"MONGODB_URI": "mongodb://127.0.0.1:1/?replicaSet=rs0"}


def test_check_tells_agreement_findings_and_inability_apart(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    complete(ada, make_challenge())
    drain()
    with (
        started(committed_db, "check") as clean,
        started(committed_db, "check", **NO_POSTGRESQL) as without_postgresql,
        started(committed_db, "check", **NO_MONGODB) as without_mongodb,
    ):
        codes = [process.wait(30) for process in (clean, without_postgresql, without_mongodb)]
        assert codes == [0, 2, 2]
        assert "both stores agree" in clean.communicate()[0]
        for process in (without_postgresql, without_mongodb):
            assert len(process.communicate()[0].strip().splitlines()) == 1
    execute("UPDATE leaderboard_entries SET score = score + 1")
    with started(committed_db, "check", "--json") as corrupted:
        output, _ = corrupted.communicate(timeout=30)
        assert corrupted.returncode == 1
        assert '"invariant":"leaderboard"' in output


def test_check_reports_documents_that_nobody_can_read(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    drain()
    changed = [{"q": {"_id": ada.user_id}, "u": {"$unset": {"badges": 1}}}]
    mongo.database().command("update", "progress", updates=changed, bypassDocumentValidation=True)
    with started(committed_db, "check") as checked:
        output, _ = checked.communicate(timeout=30)
        assert (checked.returncode, "malformed" in output) == (1, True)


@pytest.mark.parametrize("command", ["check", "relay", "outbox status"])
def test_a_command_without_settings_says_so_in_one_line(committed_db: Flask, tmp_path: Path, command: str) -> None:
    env = environment(committed_db.config["REBOOTCAMP"])
    del env["DATABASE_URL"]
    source = os.pathsep.join(os.path.abspath(part) for part in env["PYTHONPATH"].split(os.pathsep))
    done = subprocess.run(
        flask_command(*command.split()),
        env={**env, "PYTHONPATH": source},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines() == [
        "Error: DATABASE_URL is not set: see .env.example, or start everything with `make run`."
    ]


@pytest.mark.parametrize("command", ["rebuild", "outbox status", "admin set-role a@b.org admin"])
def test_a_command_without_postgresql_says_so_in_one_line(committed_db: Flask, command: str) -> None:
    with started(committed_db, *command.split(), **NO_POSTGRESQL) as hopeless:
        output, _ = hopeless.communicate(timeout=30)
        assert (hopeless.returncode, len(output.strip().splitlines())) == (2, 1), output


def test_relay_stops_on_sigterm_with_its_work_done(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    complete(ada, make_challenge())
    with started(committed_db, "relay") as working:
        until(lambda: not waiting())
        working.send_signal(signal.SIGTERM)
        assert working.wait(10) == 0
    assert_stores_agree()


def test_relay_stops_on_sigterm_while_it_waits_for_a_store(committed_db: Flask) -> None:
    make_learners(1)
    with started(committed_db, "relay", LOG_LEVEL="WARNING", **NO_MONGODB) as hopeless:
        assert hopeless.stdout is not None
        assert "relay.waiting" in hopeless.stdout.readline()
        hopeless.send_signal(signal.SIGTERM)
        assert hopeless.wait(10) == 0
    assert {entry.attempts for entry in waiting()} == {0}


def test_relay_command_killed_at_a_failpoint_is_replaced_by_the_next(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    complete(ada, make_challenge())
    size = journal_size()
    with started(committed_db, "relay", TEST_FAILPOINTS="relay.after_states") as killed:
        assert killed.wait(30) == -signal.SIGKILL
    assert len(waiting()) == size
    with started(committed_db, "relay", "--once") as next_one:
        assert next_one.communicate(timeout=30)[0].strip() == f"{size} events delivered"
    assert_stores_agree()
