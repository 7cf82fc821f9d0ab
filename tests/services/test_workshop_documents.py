"""Documents of registrations: whatever the order and the number of deliveries, they are what the events say."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.events import rebuild
from rebootcamp.events.facts import RecordedEvent, fact_types
from rebootcamp.events.states import states
from rebootcamp.events.workshops import (
    WorkshopAttendanceRevoked,
    WorkshopAttended,
    WorkshopFact,
    WorkshopLeft,
    WorkshopOffered,
    WorkshopPromoted,
    WorkshopRated,
    WorkshopRegistered,
    WorkshopWaitlisted,
)
from rebootcamp.models.mongo.workshops import RegistrationDocument
from rebootcamp.services.erasures import erase_account
from rebootcamp.services.workshops.documents import REGISTRATIONS
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import declarations
from tests.factories import drain, make_actor
from tests.factories.events import DAY, happened
from tests.factories.registrations import Stay
from tests.factories.workshops import make_workshop
from tests.relay.tools import assert_stores_agree, documents, execute, make_due, restore_outbox, waiting

EXTRA: dict[type[WorkshopFact], dict[str, Any]] = {
    WorkshopRegistered: {"words": {"answers": {"why": "To learn."}, "note": "I come by train."}},
    WorkshopWaitlisted: {"words": {"answers": {}}},
    WorkshopOffered: {"offered_until": "2026-05-03T10:00:00Z"},
    WorkshopPromoted: {},
    WorkshopLeft: {"cause": "left", "had_seat": True},
    WorkshopAttended: {"points": 30},
    WorkshopAttendanceRevoked: {"points": 30},
    WorkshopRated: {"rating": 4, "words": {"text": "Good."}},
}


def told(kind: type[WorkshopFact], registration_id: int = 7, **fields: Any) -> WorkshopFact:
    values = {"slug": "w", "titles": {"en": "W"}, "workshop_id": 3, "learner_id": 1, **EXTRA[kind], **fields}
    return kind(registration_id=registration_id, **values)


lines = st.lists(st.builds(told, st.sampled_from(list(EXTRA)), st.integers(7, 9)), min_size=1, max_size=12).map(
    lambda facts: [happened(fact, seq, DAY + timedelta(days=seq)) for seq, fact in enumerate(facts, 1)]
)


def stay(*kinds: type[WorkshopFact]) -> dict[str, Any]:
    return REGISTRATIONS.changes(happened(told(kind), seq) for seq, kind in enumerate(kinds, 1))[7]


@given(lines, st.integers(0, 12))
def test_what_is_told_in_parts_is_what_is_told_at_once(line: list[RecordedEvent], cut: int) -> None:
    fields = REGISTRATIONS.changes(line[:cut])
    for key, newer in REGISTRATIONS.changes(line[cut:]).items():
        RegistrationDocument.merge(fields.setdefault(key, {}), newer)
    assert fields == REGISTRATIONS.changes(line)


@given(lines)
def test_each_event_is_one_step(line: list[RecordedEvent]) -> None:
    found = REGISTRATIONS.changes(line)
    steps = {int(seq): step for fields in found.values() for seq, step in fields["steps"].items()}
    assert {seq: step["type"] for seq, step in steps.items()} == {
        event.seq: event.fact.type.removeprefix("workshop.") for event in line
    }


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ((WorkshopRegistered,), "registered"),
        ((WorkshopWaitlisted,), "waitlisted"),
        ((WorkshopWaitlisted, WorkshopOffered), "waitlisted"),
        ((WorkshopWaitlisted, WorkshopPromoted), "registered"),
        ((WorkshopRegistered, WorkshopLeft), "cancelled"),
        ((WorkshopRegistered, WorkshopAttended), "attended"),
        ((WorkshopRegistered, WorkshopAttended, WorkshopAttendanceRevoked), "registered"),
        ((WorkshopRegistered, WorkshopAttended, WorkshopRated), "attended"),
    ],
)
def test_status_follows_the_last_step(kinds: tuple[type[WorkshopFact], ...], status: str) -> None:
    assert stay(*kinds)["status"] == status


def test_an_offer_ends_when_it_is_taken_or_not() -> None:
    assert stay(WorkshopWaitlisted, WorkshopOffered)["offered_until"].isoformat() == "2026-05-03T10:00:00+00:00"
    for kind in (WorkshopPromoted, WorkshopLeft):
        assert stay(WorkshopWaitlisted, WorkshopOffered, kind)["offered_until"] is None


def test_words_stay_where_they_were_said_until_they_are_erased() -> None:
    kinds = (WorkshopRegistered, WorkshopAttended, WorkshopRated)
    fields = stay(*kinds)
    assert (fields["answers"], fields["note"], fields["feedback"]) == (
        {"why": "To learn."},
        "I come by train.",
        "Good.",
    )
    dashed = [told(kind, **({"words": "–"} if "words" in EXTRA[kind] else {})) for kind in kinds]
    fields = REGISTRATIONS.changes(happened(fact, seq) for seq, fact in enumerate(dashed, 1))[7]
    assert (fields["answers"], fields["note"], fields["feedback"], fields["rating"]) == ({}, None, None, 4)
    assert "Good." not in repr(fields)


def lived() -> list[Stay]:
    """Let four learners go all ways; nothing of it is shown yet."""
    workshop = make_workshop(capacity=2)
    people = [make_actor() for _ in range(4)]
    first, second = (Stay(who, workshop, answers={"why": "To learn."}, note="By train.") for who in people[:2])
    third, fourth = (Stay(who, workshop, waits=True) for who in people[2:])
    first.leave()
    third.offer()
    third.promote()
    second.attend()
    second.rate(4, text="Good.")
    third.attend()
    third.revoke()
    return [first, second, third, fourth, Stay(people[0], workshop, waits=True)]


@pytest.mark.usefixtures("committed_db")
def test_documents_are_what_the_events_say_however_they_arrive() -> None:
    stays = lived()
    drain()
    assert_stores_agree()
    (again,) = mongo.collection("registrations").find({"_id": stays[1].id})
    steps = [again["steps"][seq]["type"] for seq in sorted(again["steps"], key=int)]
    assert steps == ["registered", "attended", "rated"]
    assert (again["status"], again["rating"], again["feedback"]) == ("attended", 4, "Good.")
    before, dice = documents()["registrations"], Random(5)
    assert len(before) == 5
    for _ in range(4):
        restore_outbox()
        for entry in waiting():
            # Some are held back, so that later ones pass them.
            if dice.random() < 0.5:
                execute("UPDATE outbox SET attempts = 1, dead_at = now() WHERE event_id = :id", id=entry.event_id)
        drain()
        execute("UPDATE outbox SET dead_at = NULL")
        make_due()
        drain()
        assert documents()["registrations"] == before
        assert_stores_agree()


@pytest.mark.usefixtures("committed_db")
def test_rebuild_makes_the_same_registrations() -> None:
    lived()
    drain()
    before = documents()
    made = rebuild.rebuild(lambda step, done: None)
    try:
        assert documents() == before
        assert len(before["registrations"]) == 5
        assert_stores_agree()
    finally:
        mongo.client().drop_database(made.database)


@pytest.mark.usefixtures("committed_db")
def test_words_of_an_erased_learner_go_with_the_next_delivery(tmp_path: Any) -> None:
    stays = lived()
    drain()
    erase_account(stays[1].user_id, tmp_path / "erasures.jsonl")
    drain()
    shown = mongo.collection("registrations").find_one({"_id": stays[1].id})
    assert shown is not None
    assert (shown["answers"], shown["note"], shown["feedback"], shown["rating"]) == ({}, None, None, 4)
    assert len(shown["steps"]) == 3
    assert_stores_agree()


def test_every_fact_about_a_registration_has_a_place_in_its_document() -> None:
    facts = {name for name, kind in fact_types().items() if issubclass(kind, WorkshopFact)}
    assert facts == {kind.type for kind in EXTRA}


@pytest.mark.usefixtures("app")
def test_every_projection_is_made_by_somebody() -> None:
    declared = {one["collection"] for one in declarations() if one["projection"]}
    assert declared == {"history", "progress", "badges"} | {state.collection for state in states()}


def test_the_collection_takes_what_the_projector_makes_and_nothing_else() -> None:
    (declared,) = [one for one in declarations() if one["collection"] == "registrations"]
    properties = declared["validator"]["$jsonSchema"]["properties"]
    everything = stay(*EXTRA)
    assert everything.keys() | {"_id"} == properties.keys()
    named = properties["steps"]["patternProperties"]["^[1-9][0-9]*$"]["properties"]
    assert {name for step in everything["steps"].values() for name in step} == named.keys()
