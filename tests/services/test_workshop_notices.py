"""Which mails workshops cause, what they say, and when nobody needs them any more."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.mails import MAIL_KINDS
from rebootcamp.events import journal
from rebootcamp.models.sql.mails import Mail
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import mails
from rebootcamp.services.challenges import goals
from rebootcamp.services.erasures import erase_account
from rebootcamp.services.gamification import engine
from rebootcamp.services.mails import Letterhead, Pointless, outbox
from rebootcamp.services.workshops import CANCELLED, CHANGED, announce, notices, remind
from rebootcamp.services.workshops.letters import composers
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.controllers.counting import Cost, counted
from tests.factories import make_actor
from tests.factories.mails import all_mails, edit, leave, offer, promote, stay
from tests.factories.workshops import enter, make_workshop
from tests.relay.tools import execute, in_threads

pytestmark = pytest.mark.usefixtures("committed_db")

HEAD = Letterhead("RebootCamp <no-reply@learn.example.org>", "https://learn.example.org")
HOSTILE = 'A\r\nBcc: victim@example.org\r\n\r\n<script>alert("x")</script> & {{ 7 * 7 }} \u2028\u202e\0'.replace(
    "\0", ""
)


def kinds() -> list[str]:
    return [mail.kind.removeprefix("workshop_") for mail in all_mails()]


def written(language: str = "en") -> EmailMessage | str:
    """Return the mail that is due longest as its reader sees it, or why it is pointless; it counts as sent."""
    execute("UPDATE users SET locale = :language", language=language)
    mail = outbox.claim()
    assert mail is not None
    letter = mails.compose(mail)
    if isinstance(letter, Pointless):
        outbox.skip(mail, letter.reason)
        return letter.reason
    outbox.mark_sent(mail)
    message = message_from_bytes(mails.write(mail, letter, HEAD).as_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def said(kind: str = "plain", language: str = "en") -> str:
    """Return the text of the mail that is due longest."""
    message = written(language)
    assert isinstance(message, EmailMessage), message
    part = message.get_body((kind,))
    assert part is not None
    return f"{message['Subject']}\n{part.get_content()}"


def waits() -> tuple[Actor, Workshop, int]:
    """Return somebody who waits for a seat; the mail about it is out."""
    ada, workshop = make_actor(), make_workshop()
    stay_id = stay(ada, workshop, "waitlisted")
    execute("UPDATE mails SET sent_at = now()")
    return ada, workshop, stay_id


def told(workshop: Workshop, kind: str, place: str = "Room 2") -> None:
    """Announce as an edit does: in its transaction, with a new version."""
    with transaction() as session:
        found = session.get_one(Workshop, workshop.id, with_for_update={"key_share": True}, populate_existing=True)
        found.place = place
        announce(session, found, kind)


def test_each_event_of_a_registration_causes_one_mail() -> None:
    ada, workshop = make_actor(), make_workshop()
    first = stay(ada, workshop, "waitlisted")
    offer(ada, workshop, first, clock.now() + timedelta(hours=3))
    promote(ada, workshop, first)
    leave(ada, workshop, first)
    stay(ada, workshop)
    assert kinds() == ["waitlisted", "offered", "promoted", "left", "registered"]
    assert all(re.fullmatch(r"event:[0-9a-f-]{36}", mail.key) for mail in all_mails())
    # Ids and plain values: no name, no address, nothing that the learner wrote.
    known = {"registration_id", "workshop_id", "offered_until", "cause", "had_seat"}
    assert all(set(mail.data) <= known for mail in all_mails())


def test_queueing_a_mail_costs_no_round_trip() -> None:
    everything = [engine.Engine, goals.Goals, notices.Notices]
    workshop, costs = make_workshop(capacity=9), list[Cost]()
    # Rules and curve are remembered from the first one on.
    stay(make_actor(), workshop)
    execute("DELETE FROM mails")
    try:
        for reactions, actor in ((everything[:2], make_actor()), (everything, make_actor())):
            journal.subscribe(reactions)
            with counted() as cost:
                stay(actor, workshop)
            costs.append(cost)
    finally:
        journal.subscribe(everything)
    without, with_mail = costs
    assert len(with_mail.sql) == len(without.sql) > 2
    assert with_mail.statements == without.statements + 1
    assert kinds() == ["registered"]


def test_who_leaves_with_the_account_gets_no_mail() -> None:
    ada, workshop = make_actor(), make_workshop()
    leave(ada, workshop, stay(ada, workshop), "account_erased")
    assert kinds() == ["registered"]


def test_an_erased_account_has_no_mails(tmp_path: Any) -> None:
    ada, bob, workshop = make_actor(), make_actor(), make_workshop()
    for actor in (ada, bob):
        enter(actor, workshop)
    erase_account(ada.user_id, tmp_path / "erasures.jsonl")
    assert [mail.user_id for mail in all_mails()] == [bob.user_id]


@pytest.mark.parametrize("cause", ["left", "removed", "declined", "offer_lapsed"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_way_of_leaving_has_its_words(cause: str, language: str) -> None:
    words = {"left": ("given back", "rendu"), "removed": ("trainer has ended", "a mis fin")}
    words |= {"declined": ("declined", "refusé"), "offer_lapsed": ("not accepted in time", "pas été acceptée à temps")}
    ada, workshop, stay_id = waits()
    leave(ada, workshop, stay_id, cause)
    assert words[cause][language == "fr"] in said(language=language)


def test_where_one_waits_and_until_when_a_seat_is_kept_is_told() -> None:
    workshop = make_workshop(timezone="America/Martinique")
    for _ in range(2):
        stay(make_actor(), workshop, "waitlisted")
        execute("UPDATE mails SET sent_at = now()")
    ada = make_actor()
    stay_id = stay(ada, workshop, "waitlisted")
    assert "at position 3" in said()
    until = clock.now().replace(year=2031, month=1, day=2, hour=1, minute=30, second=0, microsecond=0)
    offer(ada, workshop, stay_id, until)
    assert "until Wednesday 1 January 2031, 21:30 (America/Martinique, UTC-04:00)" in said()


def test_a_workshop_over_a_change_of_the_clock_tells_both_hours() -> None:
    starts_at = clock.now().replace(year=2031, month=3, day=29, hour=21, minute=0, second=0, microsecond=0)
    workshop = make_workshop(starts_at=starts_at, ends_at=starts_at + timedelta(hours=6), timezone="Europe/Paris")
    stay(make_actor(), workshop)
    assert (
        "samedi 29 mars 2031, 22:00 (Europe/Paris, UTC+01:00) – dimanche 30 mars 2031, 05:00 (Europe/Paris, UTC+02:00)"
        in said(language="fr")
    )


def test_a_trainer_writes_under_the_name_by_which_he_is_known() -> None:
    trainer = make_actor("instructor", display_name="Grace Hopper")
    execute("UPDATE users SET nickname = 'Gigi' WHERE id = :id", id=trainer.user_id)
    stay(make_actor(), make_workshop(trainer))
    text = said()
    assert ("Gigi" in text, "Hopper" in text) == (True, False)


def test_the_link_of_a_meeting_is_for_those_with_a_seat() -> None:
    workshop = make_workshop(link="https://meet.example/secret")
    stay(make_actor(), workshop)
    assert "https://meet.example/secret" in said()
    stay(make_actor(), workshop, "waitlisted")
    assert "meet.example" not in said()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "cancelled"}, "workshop_cancelled"),
        ({"starts_at": "past", "ends_at": "past"}, "workshop_over"),
    ],
)
def test_a_confirmation_of_what_is_no_more_is_not_sent(change: dict[str, Any], reason: str) -> None:
    workshop = make_workshop()
    stay(make_actor(), workshop)
    now = clock.now()
    if "starts_at" in change:
        change = {"starts_at": now - timedelta(hours=3), "ends_at": now - timedelta(seconds=1)}
    edit(workshop, **change)
    assert written() == reason


def test_a_mail_that_a_later_deed_has_overtaken_is_not_sent() -> None:
    ada, workshop = make_actor(), make_workshop()
    first = stay(ada, workshop, "waitlisted")
    offer(ada, workshop, first, clock.now() + timedelta(hours=1))
    promote(ada, workshop, first)
    leave(ada, workshop, first)
    stay(ada, workshop)
    reasons = [written() for _ in range(4)]
    assert reasons == ["no_longer_waiting", "offer_lapsed", "registration_ended", "registered_again"]
    assert "confirmed" in said()


def test_an_offer_that_lapsed_or_was_renewed_is_not_told() -> None:
    ada, workshop, stay_id = waits()
    until = clock.now() + timedelta(hours=1)
    offer(ada, workshop, stay_id, until)
    with time_machine.travel(until + timedelta(seconds=1), tick=False):
        assert written() == "offer_lapsed"
    offer(ada, workshop, stay_id, until)
    offer(ada, workshop, stay_id, until + timedelta(hours=1))
    assert written() == "offer_lapsed"
    assert "is kept for you until" in said()


def test_everybody_who_is_registered_or_waits_is_told_of_a_change_and_nobody_twice() -> None:
    workshop, actors = make_workshop(capacity=5), [make_actor() for _ in range(4)]
    stay(actors[0], workshop)
    stay(actors[1], workshop, "waitlisted")
    leave(actors[2], workshop, stay(actors[2], workshop))
    stay(actors[3], make_workshop())
    execute("DELETE FROM mails")
    told(workshop, CHANGED)
    assert [mail.user_id for mail in all_mails()] == [actors[0].user_id, actors[1].user_id]
    with transaction() as session:
        announce(session, session.get_one(Workshop, workshop.id), CHANGED)
    assert len(all_mails()) == 2
    first = said()
    assert "You keep your seat" in first
    assert "Room 2" in first
    assert "rang en liste d'attente" in said(language="fr")
    told(workshop, CHANGED, place="Room 3")
    assert len(all_mails()) == 4


def test_a_cancellation_is_told_with_its_reason_and_without_the_link() -> None:
    workshop = make_workshop(link="https://meet.example/secret")
    stay(make_actor(), workshop)
    execute("DELETE FROM mails")
    edit(workshop, status="cancelled", cancelled_at=clock.now(), cancel_reason="The trainer\nis ill.")
    told(workshop, CANCELLED)
    text = said()
    assert "Cancelled: Workshop" in text
    assert "The trainer says: The trainer is ill." in text
    assert "meet.example" not in text


def soon(**fields: Any) -> Workshop:
    starts_at = clock.now() + timedelta(hours=23)
    return make_workshop(starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), capacity=9, **fields)


def test_a_reminder_reaches_those_with_a_seat_once() -> None:
    workshop, later, ada = soon(), make_workshop(), make_actor()
    stay(ada, workshop)
    stay(make_actor(), workshop, "waitlisted")
    stay(ada, later)
    for status in ("cancelled", "draft"):
        stay(ada, soon(status=status))
    execute("DELETE FROM mails")
    assert (remind(), remind()) == (1, 0)
    assert [(mail.kind, mail.user_id) for mail in all_mails()] == [("workshop_reminder", ada.user_id)]
    assert "commence dans moins d'un jour" in said(language="fr")
    db.session.remove()
    assert db.session.get_one(Workshop, workshop.id).version == 1


def test_a_reminder_follows_a_workshop_that_was_moved() -> None:
    workshop, ada = soon(), make_actor()
    stay(ada, workshop)
    execute("DELETE FROM mails")
    assert remind() == 1
    starts_at = workshop.starts_at + timedelta(days=7)
    edit(workshop, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))
    assert written() == "workshop_moved"
    assert remind() == 0
    with time_machine.travel(starts_at - timedelta(hours=20), tick=False):
        assert remind() == 1
        assert "starts within a day" in said()


def test_parallel_relays_remind_once(committed_db: Flask) -> None:
    workshops = [soon() for _ in range(6)]
    for workshop in workshops:
        stay(make_actor(), workshop)
    execute("DELETE FROM mails")
    gate = threading.Barrier(3)

    def work() -> int:
        gate.wait(10)
        return remind()

    assert sum(in_threads(committed_db, work, work, work)) == 6
    assert len({mail.key for mail in all_mails()}) == len(all_mails()) == 6


def test_every_kind_can_be_written_in_both_languages() -> None:
    assert set(composers()) == set(MAIL_KINDS)
    ada, workshop = make_actor(), soon()
    stay_id = stay(ada, workshop)
    told(workshop, CHANGED)
    remind()
    data = {"registration_id": stay_id, "workshop_id": workshop.id}
    with transaction() as session:
        now = clock.now()
        row = {"user_id": ada.user_id, "kind": "workshop_promoted", "data": data}
        session.add(Mail(key="promoted", created_at=now, next_attempt_at=now, **row))
    titles = {said("html", language).partition("\n")[0] for language in ("en", "fr", "en", "fr")}
    assert len(titles) == 4


@pytest.mark.parametrize("language", ["en", "fr"])
def test_hostile_words_stay_words(language: str) -> None:
    texts = {"title": HOSTILE, "description": HOSTILE}
    workshop = make_workshop(place=HOSTILE, link='javascript:alert("x")', translations={"en": texts, "fr": texts})
    stay(make_actor(display_name=HOSTILE), workshop)
    message = written(language)
    assert isinstance(message, EmailMessage)
    assert message["Bcc"] is None
    assert message.get_all("To") == message.get_all("To")[:1]
    assert [len(message[name].addresses) for name in ("From", "To")] == [1, 1]
    assert message["Subject"].endswith('A Bcc: victim@example.org <script>alert("x")</script> & {{ 7 * 7 }}')
    html, plain = (message.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert plain is not None
    page = html.get_content()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert 'href="javascript' not in page
    assert "{{ 7 * 7 }}" in page
    assert "<script>" in plain.get_content()
    assert not re.search("[\u2028\u202e]", page + plain.get_content() + message["Subject"])


def test_a_calendar_goes_with_confirmations() -> None:
    writers = composers(lambda *who: f"BEGIN:VCALENDAR\r\nX-WHO:{who}\r\nEND:VCALENDAR\r\n")
    workshop = make_workshop(slug="été")
    ada = make_actor(locale="fr")
    stay(ada, workshop)
    mail = outbox.claim()
    assert mail is not None
    letter = writers[mail.kind](mail)
    assert not isinstance(letter, Pointless)
    message = message_from_bytes(mails.write(mail, letter, HEAD).as_bytes(), policy=policy.default)
    (attached,) = message.iter_attachments()  # type: ignore[attr-defined]
    assert (attached.get_content_type(), attached.get_filename()) == ("text/calendar", "été.ics")
    who = (ada.user_id, workshop.id, "fr")
    # A calendar without METHOD must not be said to have one (RFC 6047, 2.4).
    assert dict(attached["Content-Type"].params) == {"charset": "utf-8"}
    assert attached.get_content() == f"BEGIN:VCALENDAR\r\nX-WHO:{who}\r\nEND:VCALENDAR\r\n"
