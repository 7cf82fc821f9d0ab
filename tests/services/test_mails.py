"""The outbox of mails and a real mail server: what is sent, once, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest
from flask import Flask, current_app

from rebootcamp.config import MailServer, Settings
from rebootcamp.core import clock
from rebootcamp.integrations.mail import TIMEOUT, MailInterrupted, MailUnavailable, SmtpTransport
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import mails
from rebootcamp.services.jobs import run_job
from rebootcamp.services.mails import PostOffice, Round, WaitingMail, outbox, send_due
from rebootcamp.services.mails.outbox import FIRST_DELAY, LEASE, MAX_ATTEMPTS
from tests.factories import make_actor
from tests.factories.mails import all_mails, stay
from tests.factories.workshops import make_workshop
from tests.mail_servers import Authority, RunningServer, make_authority, running_server
from tests.relay.tools import execute, in_threads

pytestmark = pytest.mark.usefixtures("committed_db")

FROM, PUBLIC_URL = "RebootCamp <no-reply@learn.example.org>", "https://learn.example.org"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Authority) -> Iterator[RunningServer]:
    with running_server(authority) as running:
        yield running


def settings_for(url: str) -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    settings = replace(settings, mail_url=url, mail_from=FROM, public_url=PUBLIC_URL)
    settings.verify()
    return settings


def office_at(url: str) -> PostOffice:
    office = PostOffice.of(settings_for(url))
    assert office is not None
    return office


def make_due() -> None:
    """Let the time of every back-off and lease pass."""
    execute("UPDATE mails SET next_attempt_at = now() - interval '1 second'")


def register(*names: str, **fields: object) -> tuple[Workshop, list[str]]:
    """Register people for one workshop; return it and their addresses."""
    workshop = make_workshop(capacity=20, **fields)
    for name in names:
        stay(make_actor(email=f"{name}@example.org"), workshop)
    return workshop, [f"{name}@example.org" for name in names]


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize(("scheme", "is_wrapped"), [("smtp", False), ("smtps", True)])
def test_a_confirmation_is_sent_once_in_the_language_of_its_reader(
    authority: Authority, scheme: str, is_wrapped: bool
) -> None:
    starts_at = clock.now().replace(year=2031, month=7, day=1, hour=12, minute=30)
    workshop = make_workshop(starts_at=starts_at, ends_at=starts_at + timedelta(hours=2), link="https://meet.example/7")
    for name, locale in (("Zoé Œuvrard", "fr"), ("Bob", "en")):
        actor = make_actor(email=f"{locale}@example.org", locale=locale, display_name=name)
        stay(actor, workshop)
    with running_server(authority, is_wrapped=is_wrapped) as server:
        assert send_due(office_at(server.url(scheme=scheme))) == Round(sent=2)
        assert send_due(office_at(server.url(scheme=scheme))) == Round()
    french, english = server.office.mails
    assert server.office.recipients == ["fr@example.org", "en@example.org"]
    title = workshop.translations["fr"]["title"]
    assert french["Subject"] == f"Votre place est confirmée : {title}"
    assert str(french["To"]) == "Zoé Œuvrard <fr@example.org>"
    assert (french["From"], french["Content-Language"], english["Content-Language"]) == (FROM, "fr", "en")
    assert (french["Auto-Submitted"], french["List-Id"]) == ("auto-generated", "<workshops.learn.example.org>")
    assert french["Message-ID"] != english["Message-ID"]
    assert abs(french["Date"].datetime - clock.now()) < timedelta(minutes=1)
    for told in (text_of(french), html_of(french)):
        assert "Bonjour Zoé Œuvrard," in told
        assert "mardi 1er juillet 2031, 14:30–16:30 (Europe/Paris, UTC+02:00)" in told
        assert f"{PUBLIC_URL}/workshops/{workshop.id}" in told
        assert "https://meet.example/7" in told
    for told in (text_of(english), html_of(english)):
        assert "Hello Bob," in told
        assert "Tuesday 1 July 2031, 14:30–16:30 (Europe/Paris, UTC+02:00)" in told
    assert "Bonjour" not in text_of(english)
    assert [mail.attempts for mail in all_mails()] == [1, 1]
    assert all(mail.sent_at and not mail.dead_at and not mail.skipped_at for mail in all_mails())


def test_one_connection_serves_the_whole_batch(server: RunningServer) -> None:
    register("ada", "bob", "cyd")
    assert send_due(office_at(server.url())).sent == 3
    assert server.office.connections == 1


def test_parallel_senders_send_each_mail_once(committed_db: Flask, server: RunningServer) -> None:
    _, addresses = register(*(f"person-{number}" for number in range(8)))
    office, gate = office_at(server.url()), threading.Barrier(3)

    def work() -> int:
        gate.wait(10)
        return send_due(office).sent

    assert sum(in_threads(committed_db, work, work, work)) == 8
    assert sorted(server.office.recipients) == sorted(addresses)


@pytest.mark.parametrize("credentials", ["post%40office:wrong", "nobody:p%40ss%20word%2F1", "post%40office:d%C3%A9"])
def test_a_wrong_password_burns_nobodys_attempts(server: RunningServer, credentials: str) -> None:
    register("ada", "bob")
    with pytest.raises(MailUnavailable) as refusal:
        send_due(office_at(server.url(credentials)))
    assert "@" not in str(refusal.value)
    assert "wrong" not in str(refusal.value)
    assert [(mail.attempts, mail.reason) for mail in all_mails()] == [(0, None), (0, None)]
    assert send_due(office_at(server.url())).sent == 2


def test_nothing_is_told_to_a_server_that_nobody_vouches_for(server: RunningServer, tmp_path: Path) -> None:
    register("ada")
    for change in (("?ca=", f"?ca={make_authority(tmp_path).file}&x="), ("?ca=", "?ca=/no/such/file&x=")):
        url = server.url().replace(*change).partition("&x=")[0]
        with pytest.raises(MailUnavailable):
            send_due(office_at(url))
    with pytest.raises(MailUnavailable):
        send_due(office_at(server.url().partition("?")[0]))
    with pytest.raises(MailUnavailable):
        send_due(office_at(server.url().replace("?", "?tls=none&")))
    assert (server.office.mails, server.office.connections) == ([], 0)
    assert all_mails()[0].attempts == 0


def test_a_server_that_is_down_is_waited_for_and_the_mail_keeps_its_name(authority: Authority) -> None:
    register("ada")
    with running_server(authority) as first:
        office = office_at(first.url())
        first.office.answers["DATA"] = "451 4.3.0 try again"
        assert send_due(office) == Round(postponed=1)
    make_due()
    with pytest.raises(MailUnavailable):
        send_due(office)
    (mail,) = all_mails()
    assert (mail.attempts, mail.reason) == (1, "451 4.3.0 try again")
    with running_server(authority, first.port) as second:
        assert send_due(office) == Round(sent=1)
    first_name = first.office.attempted[0]["Message-ID"]
    store = current_app.test_cli_runner().invoke(args=["mongo-init"]).output.split()[-1]
    (message,) = second.office.mails
    queued = int(mail.created_at.timestamp() * 1000)
    assert message["Message-ID"] == f"<mail.{mail.id}.{queued}.{store}@learn.example.org>"
    assert message["Message-ID"] == first_name
    assert all_mails()[0].attempts == 2


def test_a_postponed_mail_waits_longer_each_time_and_is_given_up_in_the_end(server: RunningServer) -> None:
    register("ada")
    server.office.refused["ada@example.org"] = "450 4.2.1 grey"
    delays = []
    for _ in range(MAX_ATTEMPTS - 1):
        assert send_due(office_at(server.url())) == Round(postponed=1)
        assert send_due(office_at(server.url())) == Round()
        delays.append(all_mails()[0].next_attempt_at - clock.now())
        make_due()
    assert timedelta(0) <= FIRST_DELAY - delays[0] < timedelta(seconds=5)
    assert delays == sorted(delays)
    assert delays[-1] > timedelta(hours=5)
    assert send_due(office_at(server.url())) == Round(dead=1)
    assert (all_mails()[0].dead_at is not None, all_mails()[0].attempts) == (True, MAX_ATTEMPTS)


def test_a_refused_mail_is_dead_at_once_and_others_go_on(server: RunningServer) -> None:
    register("ada", "bob")
    server.office.refused["ada@example.org"] = "550 5.1.1 <ada@example.org>: no such user"
    assert send_due(office_at(server.url())) == Round(sent=1, dead=1)
    dead, sent = all_mails()
    assert (dead.dead_at is not None, dead.reason) == (True, "550 5.1.1 <(address)>: no such user")
    assert sent.sent_at is not None
    assert (mails.backlog().waiting, mails.backlog().dead) == (0, 1)
    make_due()
    assert send_due(office_at(server.url())) == Round()
    server.office.refused.clear()
    assert mails.redrive() == 1
    assert send_due(office_at(server.url())) == Round(sent=1)
    assert (all_mails()[0].reason, mails.backlog()) == (None, mails.Backlog(0, 0.0, 0))


@pytest.mark.parametrize(
    ("command", "answer"), [("MAIL", "553 5.7.1 not your address"), ("MAIL", "451 later"), ("RCPT", "421 closing")]
)
def test_what_a_server_says_about_everybody_counts_against_nobody(
    server: RunningServer, command: str, answer: str
) -> None:
    register("ada", "bob")
    server.office.answers[command] = answer
    for _ in range(3):
        with pytest.raises(MailUnavailable, match=answer):
            send_due(office_at(server.url()))
    assert [mail.attempts for mail in all_mails()] == [0, 0]
    server.office.answers.clear()
    assert send_due(office_at(server.url())).sent == 2


def test_a_mail_too_large_for_the_server_is_dead(server: RunningServer) -> None:
    register("ada")
    server.office.answers["MAIL"] = "552 5.3.4 too large"
    assert send_due(office_at(server.url())) == Round(dead=1)


def test_a_server_that_hangs_costs_one_mail_one_attempt(server: RunningServer) -> None:
    assert timedelta(seconds=6 * TIMEOUT) < LEASE
    route = settings_for(server.url()).mail_route
    assert isinstance(route, MailServer)
    register("ada", "bob")
    server.office.hangs.set()
    with pytest.raises(MailInterrupted):
        send_due(PostOffice(SmtpTransport(route, timeout=0.5), office_at(server.url()).head))
    assert [mail.attempts for mail in all_mails()] == [1, 0]


def test_deactivated_and_erased_accounts_get_nothing_and_the_reason_is_kept(server: RunningServer) -> None:
    register("ada", "bob", "cyd")
    execute("UPDATE users SET is_active = false WHERE email LIKE 'ada@%'")
    execute("UPDATE users SET is_active = false, erased_at = now() WHERE email LIKE 'bob@%'")
    assert send_due(office_at(server.url())) == Round(sent=1, skipped=2)
    assert [mail.reason for mail in all_mails()] == ["account_deactivated", "account_erased", None]
    assert [mail.skipped_at is not None for mail in all_mails()] == [True, True, False]
    assert mails.backlog() == mails.Backlog(0, 0.0, 0)


def test_a_mail_that_cannot_be_written_keeps_nobody_waiting(server: RunningServer) -> None:
    register("ada", "bob")
    execute("UPDATE mails SET data = '{}' WHERE id = 1")
    assert send_due(office_at(server.url())) == Round(sent=1, postponed=1)
    assert all_mails()[0].reason == "could not be written: KeyError"


def test_a_mail_whose_senders_die_each_time_is_given_up(server: RunningServer) -> None:
    register("ada")
    execute("UPDATE mails SET attempts = :attempts", attempts=MAX_ATTEMPTS)
    assert send_due(office_at(server.url())) == Round(dead=1)
    assert server.office.mails == []


@pytest.mark.parametrize("late", [outbox.give_back, partial(outbox.postpone, reason="late")])
def test_who_lost_a_mail_while_it_hung_does_not_take_it_from_the_next(late: Callable[[WaitingMail], object]) -> None:
    register("ada")
    first = outbox.claim()
    make_due()
    second = outbox.claim()
    assert first is not None
    assert second is not None
    due = [(mail.attempts, mail.next_attempt_at) for mail in all_mails()]
    late(first)
    assert [(mail.attempts, mail.next_attempt_at) for mail in all_mails()] == due
    outbox.mark_sent(first)
    outbox.bury(second, "Too late.")
    assert [(mail.sent_at is None, mail.dead_at) for mail in all_mails()] == [(False, None)]


def test_a_key_names_one_mail(committed_db: Flask) -> None:
    ada = make_actor()
    for _ in range(2):
        mails.queue_mail(mails.NewMail("once", ada.user_id, "workshop_left", {"workshop_id": 1}))
    assert [mail.key for mail in all_mails()] == ["once"]


def test_old_mails_are_dropped_and_waiting_ones_never(server: RunningServer) -> None:
    register("ada", "bob", "cyd", "dan", "eve")
    execute("UPDATE mails SET created_at = now() - interval '200 days'")
    for key, change in enumerate(("sent_at = now() - interval '31 days'", "sent_at = now() - interval '29 days'"), 1):
        execute(f"UPDATE mails SET {change} WHERE id = {key}")
    execute("UPDATE mails SET skipped_at = now() - interval '31 days' WHERE id = 3")
    execute("UPDATE mails SET dead_at = now() - interval '89 days' WHERE id = 4")
    outcome = run_job("old-mails")
    assert outcome.counts == {"mails": 2, "dead_mails": 0}
    assert [mail.id for mail in all_mails()] == [2, 4, 5]
    execute("UPDATE mails SET dead_at = now() - interval '91 days' WHERE id = 4")
    assert run_job("old-mails").counts == {"mails": 0, "dead_mails": 1}
