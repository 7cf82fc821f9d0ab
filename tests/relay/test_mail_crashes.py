"""kill -9 between any two steps of a mail, and a mail server that is slow: nobody gets none, and events go on."""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta

import pytest
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import mails
from tests.factories import complete, make_challenge
from tests.factories.mails import all_mails, stay
from tests.factories.workshops import make_workshop
from tests.mail_servers import plain_server
from tests.relay.tools import execute, make_learners, started, until, waiting
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")

KILLED = -signal.SIGKILL


def registered(count: int) -> list[Actor]:
    """Return learners who are registered for a workshop that starts in a few hours."""
    starts_at = clock.now() + timedelta(hours=5)
    learners = make_learners(count + 1)
    workshop: Workshop = make_workshop(
        learners[0], starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), capacity=9
    )
    for learner in learners[1:]:
        stay(learner, workshop)
    return learners[1:]


def end_leases() -> None:
    execute("UPDATE mails SET next_attempt_at = now() - interval '1 second'")


@pytest.mark.parametrize(
    ("failpoint", "in_hand", "copies"),
    [
        pytest.param("transaction.before_commit:1", 0, [1, 1, 1], id="claiming"),
        pytest.param("transaction.after_commit:1", 1, [1, 1, 1], id="claimed"),
        pytest.param("mail.claimed", 1, [1, 1, 1], id="unsent"),
        pytest.param("mail.claimed:2", 1, [1, 1, 1], id="second unsent"),
        pytest.param("mail.sent", 1, [1, 1, 2], id="sent"),
        pytest.param("mail.sent:3", 1, [1, 1, 2], id="last sent"),
        pytest.param("transaction.before_commit:3", 1, [1, 1, 2], id="settling"),
        pytest.param("transaction.after_commit:3", 0, [1, 1, 1], id="settled"),
    ],
)
def test_a_killed_sender_loses_no_mail_and_sends_one_twice_at_most(
    workers: Workers, failpoint: str, in_hand: int, copies: list[int]
) -> None:
    registered(3)
    with plain_server() as server:
        assert workers.run("send_mails", server.port, failpoints=failpoint).status == KILLED
        # What is in hand is nobody else's until its lease is over.
        assert workers.run("send_mails", server.port).status == 0
        assert mails.backlog().waiting == in_hand
        end_leases()
        assert workers.run("send_mails", server.port).status == 0
        names = [message["Message-ID"] for message in server.office.mails]
    assert sorted(names.count(name) for name in set(names)) == copies
    assert len(set(server.office.recipients)) == 3
    assert all(mail.sent_at is not None for mail in all_mails())


@pytest.mark.parametrize("failpoint", ["workshops.reminding", "transaction.before_commit", "workshops.reminded"])
def test_a_killed_reminder_reaches_everybody_once(workers: Workers, failpoint: str) -> None:
    learners = registered(3)
    execute("DELETE FROM mails")
    assert workers.run("remind", failpoints=failpoint).status == KILLED
    assert workers.run("remind").status == 0
    assert [mail.user_id for mail in all_mails()] == [learner.user_id for learner in learners]


def test_events_go_on_while_the_mail_server_hangs(committed_db: Flask) -> None:
    (ada,) = registered(1)
    with plain_server() as server:
        server.office.hangs.set()
        settings = {"MAIL_URL": f"smtp://127.0.0.1:{server.port}?tls=none", "MAIL_FROM": "a@example.org"}
        with started(committed_db, "relay", PUBLIC_URL="https://example.org", **settings) as working:
            until(lambda: [mail.attempts for mail in all_mails()][:1] == [1])
            complete(ada, make_challenge())
            began = time.monotonic()
            until(lambda: not waiting(), seconds=5)
            assert server.office.mails == []
            server.office.hangs.clear()
            # The confirmation, and the reminder which the relay queues.
            until(lambda: [mail.sent_at is not None for mail in all_mails()] == [True, True])
            assert time.monotonic() - began < 15
            working.send_signal(signal.SIGTERM)
            assert working.wait(15) == 0
    assert sorted(mail.kind for mail in all_mails()) == ["workshop_registered", "workshop_reminder"]


def test_a_relay_stops_in_time_while_the_mail_server_hangs(committed_db: Flask) -> None:
    registered(1)
    with plain_server() as server:
        server.office.hangs.set()
        settings = {"MAIL_URL": f"smtp://127.0.0.1:{server.port}?tls=none", "MAIL_FROM": "a@example.org"}
        with started(committed_db, "relay", PUBLIC_URL="https://example.org", **settings) as working:
            until(lambda: [mail.attempts for mail in all_mails()][:1] == [1])
            working.send_signal(signal.SIGTERM)
            assert working.wait(20) == 0


def test_without_a_mail_server_mails_wait_and_the_relay_says_so_once(committed_db: Flask) -> None:
    registered(1)
    with started(committed_db, "relay", LOG_LEVEL="INFO", LOG_FORMAT="json", MAIL_URL="") as working:
        until(lambda: not waiting())
        working.send_signal(signal.SIGTERM)
        output, _ = working.communicate(timeout=15)
    assert output.count("mails.not_sent") == 1
    assert "MAIL_URL is not set" in output
    assert {mail.attempts for mail in all_mails()} == {0}


def test_commands_tell_send_and_redrive(committed_db: Flask) -> None:
    registered(2)
    run = committed_db.test_cli_runner().invoke
    told = run(args=["mails", "status"]).output
    assert re.fullmatch(r"waiting  2\noldest   \d+\.\d s\ndead     0\n", told), told
    assert '"waiting":2' in run(args=["mails", "status", "--json"]).output
    execute("UPDATE mails SET dead_at = now()")
    assert run(args=["mails", "redrive"]).output == "2 dead mails will be tried again\n"
    refused = run(args=["mails", "send"])
    assert (refused.exit_code, refused.output) == (2, "Error: MAIL_URL is not set: mails wait.\n")
    with plain_server() as server:
        settings = {"MAIL_URL": f"smtp://127.0.0.1:{server.port}?tls=none", "MAIL_FROM": "a@example.org"}
        with started(committed_db, "mails", "send", PUBLIC_URL="https://example.org", **settings) as sending:
            assert sending.communicate(timeout=30)[0] == "2 sent, 0 not needed, 0 to be tried again, 0 given up\n"
    with started(committed_db, "mails", "send", PUBLIC_URL="https://example.org", **settings) as idle:
        assert idle.communicate(timeout=30)[0].startswith("0 sent")
    execute("UPDATE mails SET sent_at = NULL, next_attempt_at = now()")
    with started(committed_db, "mails", "send", PUBLIC_URL="https://example.org", **settings) as hopeless:
        output, _ = hopeless.communicate(timeout=30)
        assert (hopeless.returncode, len(output.splitlines())) == (2, 1)
        assert output.startswith("Error: Mail cannot be sent:")
