"""Calendars and tables of workshops: judged by a parser that is not ours, and by what may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from icalendar import Calendar, Event
from werkzeug.test import TestResponse

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events.journal import lock_line, record
from rebootcamp.events.workshops import WorkshopRegistered
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.erasures import erase_account
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import make_actor
from tests.factories.workshops import make_stay, make_workshop

PATH = "/api/workshops"
LINKS = "/api/users/me/share-links"
STARTS = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
TIMES = {"starts_at": STARTS, "ends_at": STARTS + timedelta(hours=2)}
LINK = "https://meet.example.org/a,b;c?d=é&e=1"
NASTY = 'A, b; c\\n: "d" = é🌱\nEND:VEVENT\r\nBEGIN:VEVENT\rUID:x\u2028' + "ça va " * 40


def calendar_of(answer: TestResponse) -> Calendar:
    """Parse a calendar, held against the form of RFC 5545 first: lines, their ends and their lengths."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.data.endswith(b"END:VCALENDAR\r\n")
    lines = answer.data.split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in lines)
    assert all(line.decode() for line in lines[:-1])
    calendar = Calendar.from_ical(answer.data)
    assert isinstance(calendar, Calendar)
    assert (calendar["VERSION"], calendar["CALSCALE"]) == ("2.0", "GREGORIAN")
    assert calendar["PRODID"]
    assert calendar.errors == []
    assert all(event.errors == [] for event in calendar.walk("VEVENT"))
    return calendar


def events_of(answer: TestResponse) -> list[Event]:
    return [event for event in calendar_of(answer).walk("VEVENT") if isinstance(event, Event)]


def event_of(wire: Wire, workshop: Workshop, who: Person, **options: Any) -> Event:
    (event,) = events_of(wire.get(f"{PATH}/{workshop.id}/calendar.ics", who, **options))
    return event


@pytest.fixture
def trainer(wire: Wire) -> Person:
    return wire.join("instructor", display_name="Ms Roux")


# The calendar of a workshop


def test_a_workshop_is_a_calendar_entry(wire: Wire, trainer: Person, ada: Person) -> None:
    workshop = make_workshop(trainer.actor, **TIMES, place="Salle 3, au fond", tags=["vélo", "a,b"])
    event = event_of(wire, workshop, ada)
    number = workshop.slug.removeprefix("made-workshop-")
    assert (event["SUMMARY"], event["DESCRIPTION"]) == (f"Workshop {number}", "Come.")
    assert (event["LOCATION"], event["STATUS"]) == ("Salle 3, au fond", "CONFIRMED")
    assert (event.start, event.end) == (STARTS, STARTS + timedelta(hours=2))
    assert event["DTSTART"].to_ical() == b"20270328T003000Z"
    assert [str(tag) for tag in event["CATEGORIES"].cats] == ["vélo", "a,b"]
    updated = workshop.updated_at.replace(microsecond=0)
    assert {event[name].dt for name in ("DTSTAMP", "LAST-MODIFIED", "CREATED")} == {updated}
    french = event_of(wire, workshop, ada, headers={"Accept-Language": "fr"})
    assert french["SUMMARY"] == event_of(wire, workshop, ada, query_string={"lang": "fr"})["SUMMARY"]
    assert french["SUMMARY"] == f"Atelier {number}"


def test_no_text_breaks_out_of_its_line(wire: Wire, trainer: Person) -> None:
    texts = {"title": NASTY, "description": NASTY}
    workshop = make_workshop(trainer.actor, translations={"en": texts}, place=NASTY, tags=[NASTY], link=LINK)
    event = event_of(wire, workshop, trainer)
    told = NASTY.replace("\r\n", "\n").replace("\r", "\n")
    assert [str(event[name]) for name in ("SUMMARY", "DESCRIPTION", "LOCATION")] == [told] * 3
    assert [str(tag) for tag in event["CATEGORIES"].cats] == [told]
    assert event["URL"] == LINK
    # The parser forgives what calendar programs do not.
    raw = wire.get(f"{PATH}/{workshop.id}/calendar.ics", trainer).data.replace(b"\r\n ", b"").decode().split("\r\n")
    escaped = told.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    assert {f"SUMMARY:{escaped}", f"CATEGORIES:{escaped}", f"URL:{LINK}"} <= set(raw)


def test_an_edit_keeps_the_name_and_counts_on(wire: Wire, trainer: Person) -> None:
    workshop, other = make_workshop(trainer.actor), make_workshop(trainer.actor)
    before, beside = event_of(wire, workshop, trainer), event_of(wire, other, trainer)
    assert before["UID"] != beside["UID"]
    moved = {"starts_at": clock.iso(STARTS), "ends_at": clock.iso(STARTS + timedelta(hours=1))}
    assert wire.patch(f"{PATH}/{workshop.id}", trainer, json=moved).status_code == 200
    after = event_of(wire, workshop, trainer)
    assert (after["UID"], after.start) == (before["UID"], STARTS)
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["LAST-MODIFIED"].dt >= before["LAST-MODIFIED"].dt
    wire.post(f"{PATH}/{workshop.id}/cancel", trainer, json={"reason": "Flu; sorry."})
    gone = event_of(wire, workshop, trainer)
    assert (gone["UID"], gone["STATUS"], gone["COMMENT"]) == (before["UID"], "CANCELLED", "Flu; sorry.")
    assert gone["SEQUENCE"] > after["SEQUENCE"]


def test_the_link_is_in_the_calendars_of_those_with_a_seat(wire: Wire, trainer: Person, ada: Person) -> None:
    workshop, waiting = make_workshop(trainer.actor, link=LINK, place=None), wire.join()
    make_stay(workshop, ada.actor)
    make_stay(workshop, waiting.actor, status="waitlisted")
    for who in (ada, trainer):
        event = event_of(wire, workshop, who)
        assert (event["URL"], event["LOCATION"]) == (LINK, LINK)
    for who in (waiting, wire.join()):
        assert {"URL", "LOCATION"}.isdisjoint(event_of(wire, workshop, who))


def test_a_calendar_is_sent_again_only_when_it_changed(wire: Wire, trainer: Person, ada: Person) -> None:
    workshop = make_workshop(trainer.actor)
    path, feed = f"{PATH}/{workshop.id}/calendar.ics", f"{ada.path}/workshops.ics"

    def held(who: Person, where: str, etag: str | None = None) -> tuple[int, str]:
        answer = wire.get(where, who, headers={"If-None-Match": etag} if etag else {})
        assert answer.headers["Cache-Control"] == "private, no-cache"
        return answer.status_code, answer.headers["ETag"]

    (_, one), (_, two) = held(ada, path), held(ada, feed)
    assert (held(ada, path, one), held(ada, feed, two)) == ((304, one), (304, two))
    make_stay(workshop, ada.actor)
    assert held(ada, feed, two)[0] == 200
    _, two = held(ada, feed)
    wire.patch(f"{PATH}/{workshop.id}", trainer, json={"place": "Room 9"})
    assert (held(ada, path, one)[0], held(ada, feed, two)[0]) == (200, 200)


def test_drafts_have_no_calendar_but_for_who_runs_them(wire: Wire, trainer: Person, ada: Person) -> None:
    draft = make_workshop(trainer.actor, status="draft")
    assert_problem(wire.get(f"{PATH}/{draft.id}/calendar.ics", ada), 404, "not_found")
    assert event_of(wire, draft, trainer)["STATUS"] == "TENTATIVE"
    assert_problem(wire.get(f"{PATH}/{draft.id}/calendar.ics"), 401, "unauthenticated")


# The learner's agenda


@pytest.fixture
def busy(wire: Wire, ada: Person) -> Person:
    """Ada with a workshop of each kind."""
    now = clock.now()
    past = {"starts_at": now - timedelta(days=30), "ends_at": now - timedelta(days=29)}
    long_ago = {"starts_at": now - timedelta(days=500), "ends_at": now - timedelta(days=499)}
    for name, fields, status in (
        ("long ago", long_ago, "attended"),
        ("attended", past, "attended"),
        ("seat", {}, "registered"),
        ("waiting", {}, "waitlisted"),
        ("cancelled", {"status": "cancelled"}, "registered"),
        ("left", {}, "cancelled"),
    ):
        texts = {"en": {"title": name, "description": ""}}
        make_stay(make_workshop(translations=texts, link=LINK, **fields), ada.actor, status=status)
    make_stay(make_workshop(), make_actor())
    return ada


AGENDA = {"attended": "CONFIRMED", "seat": "CONFIRMED", "waiting": "TENTATIVE", "cancelled": "CANCELLED"}


def agenda(answer: TestResponse) -> dict[str, str]:
    return {str(event["SUMMARY"]): str(event["STATUS"]) for event in events_of(answer)}


def test_an_agenda_has_the_workshops_of_a_learner(wire: Wire, busy: Person, root: Person) -> None:
    answer = wire.get(f"{busy.path}/workshops.ics", busy)
    assert agenda(answer) == AGENDA
    assert calendar_of(answer)["X-WR-CALNAME"] == "My workshops"
    links = {str(event["SUMMARY"]): "URL" in event for event in events_of(answer)}
    assert [name for name, has_link in links.items() if not has_link] == ["waiting"]
    assert len({str(event["UID"]) for event in events_of(answer)}) == len(AGENDA)
    since = clock.now().replace(microsecond=0) + timedelta(hours=1)
    make_stay(make_workshop(), busy.actor, seated_at=since)
    assert max(event["DTSTAMP"].dt for event in events_of(wire.get(f"{busy.path}/workshops.ics", busy))) == since
    answer = wire.get(f"{busy.path}/workshops.ics", busy)
    for reader in (root, wire.join("instructor"), wire.join("examiner")):
        assert wire.get(f"{busy.path}/workshops.ics", reader).data == answer.data
    assert agenda(wire.get(f"{root.path}/workshops.ics", root)) == {}
    assert_problem(wire.get(f"{busy.path}/workshops.ics", wire.join()), 404, "not_found")
    assert_problem(wire.get(f"{busy.path}/workshops.ics"), 401, "unauthenticated")
    assert_problem(wire.get("/api/users/999999/workshops.ics", root), 404, "not_found")


def test_a_share_link_opens_the_agenda_to_programs_without_a_token(wire: Wire, busy: Person, root: Person) -> None:
    shared = wire.post(LINKS, busy, json={"pictures": ["workshops"], "label": "Phone"}).json
    assert (shared["pictures"], list(shared["urls"])) == (["workshops"], ["workshops"])
    url = shared["urls"]["workshops"]
    answer = wire.get(url, query_string=None)
    assert agenda(answer) == AGENDA
    assert wire.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert calendar_of(wire.get(f"{url}&lang=fr"))["X-WR-CALNAME"] == "Mes ateliers"
    other, wrong = wire.join(), url[:-1] + ("a" if url[-1] != "a" else "b")
    for path in (wrong, url.replace(busy.path, other.path), f"{busy.path}/progress.svg?key={shared['key']}"):
        assert_problem(wire.get(path), 404, "not_found")
    wire.patch(busy.path, root, json={"is_active": False})
    assert_problem(wire.get(url), 404, "not_found")
    wire.patch(busy.path, root, json={"is_active": True})
    assert wire.get(url).status_code == 200
    assert (
        wire.delete(f"{LINKS}/{shared['id']}", Person(busy.actor, busy.email, wire.token(busy.email))).status_code
        == 204
    )
    assert_problem(wire.get(url), 404, "not_found")


def test_sharing_pictures_shares_no_agenda(wire: Wire, busy: Person) -> None:
    shared = wire.post(LINKS, busy, json={}).json
    assert sorted(shared["urls"]) == sorted(shared["pictures"]) == ["activity", "progress"]
    assert_problem(wire.get(f"{busy.path}/workshops.ics?key={shared['key']}"), 404, "not_found")


# The table of registrations


QUESTIONS = [
    {"key": "size", "labels": {"en": '=Size, "cm"', "fr": "Taille"}, "is_required": True},
    {"key": "why", "labels": {"en": "Why?"}, "is_required": False},
]


def register(workshop: Workshop, learner: Actor, words: dict[str, Any], **fields: Any) -> WorkshopRegistration:
    """Add a registration with its first event."""
    with transaction():
        seq = lock_line(learner.user_id).last_seq + 1
        row = make_stay(workshop, learner, first_seq=seq, last_seq=seq, **fields)
        record(
            WorkshopRegistered(
                learner_id=learner.user_id,
                registration_id=row.id,
                workshop_id=workshop.id,
                slug=workshop.slug,
                titles={"en": "x"},
                words=words,
            )
        )
    return row


def table(answer: TestResponse) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert answer.data.count(b"\xef\xbb\xbf") == 1
    assert answer.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""), strict=True))


def csv_of(wire: Wire, workshop: Workshop, who: Person, **options: Any) -> list[list[str]]:
    return table(wire.get(f"{PATH}/{workshop.id}/registrations.csv", who, **options))


@pytest.fixture
def course(trainer: Person) -> Workshop:
    return make_workshop(trainer.actor, capacity=10, questions=QUESTIONS)


def test_a_table_has_a_row_for_each_registration(wire: Wire, trainer: Person, course: Workshop) -> None:
    ada, bob, eve, zoe = (make_actor(display_name=name, email=f"{name}@example.org") for name in ("a", "b", "e", "z"))
    said = {"answers": {"size": '1,80\r\n"m"', "why": "é🌱"}, "note": "a;b"}
    one = register(course, ada, said, rating=4, status="attended")
    register(course, bob, {"answers": {"size": "1"}}, status="waitlisted")
    register(course, eve, {"answers": {}}, status="cancelled")
    until = clock.now() + timedelta(hours=2)
    register(course, zoe, {"answers": {"gone": "x"}}, status="waitlisted", offered_until=until)
    answer = wire.get(f"{PATH}/{course.id}/registrations.csv", trainer)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{course.slug}-registrations.csv"'
    assert answer.data.endswith(b"\r\n")
    head, *rows = table(answer)
    assert head[:5] == ["Status", "Position", "Name", "E-mail", "Registered at"]
    assert head[-3:] == ["Remark", '\'=Size, "cm"', "Why?"]
    assert {len(row) for row in rows} == {len(head)}
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["Name"] for row in found] == ["a", "b", "e", "z"]
    assert [row["Status"] for row in found] == ["attended", "waitlisted", "cancelled", "waitlisted"]
    assert [row["Position"] for row in found] == ["", "1", "", "2"]
    assert [row["E-mail"] for row in found] == [f"{name}@example.org" for name in "abez"]
    assert rows[0][-4:] == ["4", "a;b", '1,80\r\n"m"', "é🌱"]
    assert rows[1][-3:] == ["", "1", ""]
    assert (found[0]["Registered at"], found[0]["Attended on"]) == (
        clock.iso(one.registered_at),
        str(one.attended_on),
    )
    assert (found[3]["Offered until"], found[2]["Ended at"] != "") == (clock.iso(until), True)
    french = csv_of(wire, course, trainer, headers={"Accept-Language": "fr"})[0]
    assert (french[0], french[-2:]) == ("Statut", ["Taille", "Why?"])


@pytest.mark.parametrize("cell", ["=1+1", "+33 1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(wire: Wire, trainer: Person, course: Workshop, cell: str) -> None:
    learner = make_actor()
    with transaction() as session:
        session.execute(sa.text("UPDATE users SET display_name = :n WHERE id = :i"), {"n": cell, "i": learner.user_id})
    register(course, learner, {"answers": {"size": cell, "why": f" {cell}"}, "note": cell})
    (_, row) = csv_of(wire, course, trainer)
    assert (row[2], row[-3:]) == (f"'{cell}", [f"'{cell}", f"'{cell}", f" {cell}"])


def test_the_table_is_for_the_trainer_and_staff(wire: Wire, trainer: Person, course: Workshop, root: Person) -> None:
    learner = wire.join(display_name="Ada", email="ada@example.org")
    register(course, learner.actor, {"answers": {}})
    path = f"{PATH}/{course.id}/registrations.csv"
    assert_problem(wire.get(path), 401, "unauthenticated")
    assert_problem(wire.get(path, learner), 403, "forbidden")
    addresses = {"trainer": csv_of(wire, course, trainer)[1][3], "root": csv_of(wire, course, root)[1][3]}
    assert addresses == {"trainer": "ada@example.org", "root": "ada@example.org"}
    for other in (wire.join("instructor"), wire.join("examiner")):
        assert csv_of(wire, course, other)[1][2:4] == ["Ada", ""]
    draft = make_workshop(trainer.actor, status="draft")
    assert_problem(wire.get(f"{PATH}/{draft.id}/registrations.csv", wire.join("instructor")), 404, "not_found")
    assert len(csv_of(wire, draft, trainer)) == 1


def test_a_long_table_is_whole(wire: Wire, trainer: Person) -> None:
    course, learner = make_workshop(trainer.actor, capacity=2000), make_actor()
    make_stay(course, make_actor(), "waitlisted")
    with transaction() as session:
        many = sa.text("""INSERT INTO workshop_registrations (
            workshop_id, user_id, status, registered_at, ended_at, first_seq, last_seq)
            SELECT :workshop, :user, 'cancelled', now(), now(), n, n FROM generate_series(1, 450) n""")
        session.execute(many, {"workshop": course.id, "user": learner.user_id})
    make_stay(course, make_actor(), "waitlisted")
    _, *lines = csv_of(wire, course, trainer)
    assert (len(lines), [line[1] for line in lines if line[1]]) == (452, ["1", "2"])


@pytest.fixture
def log(tmp_path: Any) -> Iterator[Any]:
    return tmp_path / "erasures.jsonl"


def test_what_an_erased_account_said_is_gone(wire: Wire, trainer: Person, course: Workshop, log: Any) -> None:
    learner = make_actor(display_name="Ada")
    register(course, learner, {"answers": {"size": "secret"}, "note": "secret"}, status="cancelled")
    erase_account(learner.user_id, log)
    text = wire.get(f"{PATH}/{course.id}/registrations.csv", trainer).text
    assert "secret" not in text
    assert "Ada" not in text
