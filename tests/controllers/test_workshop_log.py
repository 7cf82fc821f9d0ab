"""The log of a workshop: who did what, newest first, never behind, and for a time only."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from rebootcamp.core import clock
from rebootcamp.models.sql.workshops import Workshop, WorkshopComment
from rebootcamp.storage import mongo
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import drain
from tests.factories.registrations import Stay
from tests.factories.workshops import make_workshop
from tests.relay.tools import close_breaker, execute, fault


@pytest.fixture
def trainer(wire: Wire) -> Person:
    return wire.join("instructor")


def path_of(workshop: Workshop) -> str:
    return f"/api/workshops/{workshop.id}/log"


def look(workshop: Workshop, who: Person, at: datetime | None = None) -> str:
    """Note that somebody looked at a workshop; return the id of the entry."""
    at = at or clock.now()
    key = f"{workshop.id}:{who.id}:{at:%Y-%m-%d}"
    mongo.collection("workshop_views").insert_one({"_id": key, "workshop_id": workshop.id, "user_id": who.id, "at": at})
    return key


def say(workshop: Workshop, who: Person, *texts: str, is_counted: bool = True) -> int:
    """Comment, and edit the comment for each further text; return its id."""
    about, digest = {"workshop_id": workshop.id, "user_id": who.id}, hashlib.sha256(texts[-1].encode())
    with transaction() as session:
        row = WorkshopComment(**about, version=len(texts), text_hash=digest.digest(), created_at=clock.now())
        row.state = "visible"
        session.add(row)
        session.flush()
        number = row.id
        if not is_counted:
            session.delete(row)
    for version, text in enumerate(texts, 1):
        key = {"_id": f"{number}:{version}", "comment_id": number, "version": version, **about}
        told = {"text": text, "hash": hashlib.sha256(text.encode()).hexdigest(), "allow_list": 1, "at": clock.now()}
        mongo.collection("comments").insert_one({**key, **told})
    return number


def lived(workshop: Workshop, ada: Person, bob: Person) -> None:
    """Let a workshop be lived through, one thing a minute."""
    start = clock.now() - timedelta(hours=1)
    with time_machine.travel(start, tick=False) as time:

        def act(do: Any, *arguments: Any, **options: Any) -> Any:
            time.shift(timedelta(minutes=1))
            return do(*arguments, **options)

        act(look, workshop, ada)
        stay = act(Stay, ada.actor, workshop, note="A secret.")
        waiting = act(Stay, bob.actor, workshop, waits=True)
        act(stay.leave)
        act(waiting.offer)
        act(waiting.promote)
        act(say, workshop, bob, "A secret.", "Another secret.")
        act(waiting.attend)
        act(waiting.revoke)
        act(waiting.attend)
        act(waiting.rate, 4, text="A secret.")


TYPES = [
    *("rated", "attended", "attendance_revoked", "attended", "comment_edited", "commented", "promoted", "offered"),
    *("left", "waitlisted", "registered", "saw"),
]


def test_the_log_tells_who_did_what_newest_first(wire: Wire, ada: Person, trainer: Person) -> None:
    workshop, other, bob = make_workshop(trainer.actor), make_workshop(trainer.actor), wire.join(display_name="Bob")
    lived(workshop, ada, bob)
    Stay(ada.actor, other)
    look(other, bob)
    say(other, bob, "Elsewhere.")
    for _ in range(2):
        answer = wire.get(path_of(workshop), trainer)
        wire.conforms(answer, "list_log")
        assert "secret" not in answer.text
        body = answer.json
        assert [entry["type"] for entry in body["items"]] == TYPES
        assert (body["consistency"], body["next_cursor"]) == ({"degraded": False}, None)
        names = {entry["type"]: entry["user"] for entry in body["items"]}
        assert names["saw"] == names["left"] == {"id": ada.id, "display_name": "Ada"}
        assert names["rated"] == names["commented"] == {"id": bob.id, "display_name": "Bob"}
        data = {entry["type"]: entry["data"] for entry in body["items"]}
        assert (data["rated"]["rating"], data["left"]["cause"], data["left"]["had_seat"]) == (4, "left", True)
        assert data["comment_edited"] == {"comment_id": data["commented"]["comment_id"], "version": 2}
        assert set(data["attended"]) == {"registration_id", "attended_on"}
        assert set(data["offered"]) == {"registration_id", "offered_until"}
        assert data["saw"] == {}
        drain()


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_pages_of_all_sources_meet_without_gap_or_repetition(
    wire: Wire, ada: Person, trainer: Person, limit: int
) -> None:
    workshop, bob = make_workshop(trainer.actor), wire.join()
    lived(workshop, ada, bob)
    # All of one instant: the ids decide.
    with time_machine.travel(clock.now(), tick=False):
        for who in (bob, trainer, wire.join()):
            look(workshop, who)
            Stay(who.actor, workshop, waits=True) if who is trainer else say(workshop, who, "Hm.")
    whole = wire.items(path_of(workshop), trainer)
    assert len(whole) == len(TYPES) + 6
    assert wire.items(path_of(workshop), trainer, limit) == whole
    execute("UPDATE outbox SET dead_at = now() WHERE user_id = :id AND seq > 3", id=bob.id)
    drain()
    assert wire.items(path_of(workshop), trainer, limit) == whole
    assert_problem(wire.get(f"{path_of(workshop)}?cursor=nonsense", trainer), 422, "validation_failed")


def test_what_no_comment_counts_is_not_told(wire: Wire, ada: Person, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor)
    say(workshop, ada, "Killed before the commit.", is_counted=False)
    number = say(workshop, ada, "Once.", "Twice.")
    execute("UPDATE workshop_comments SET version = 1 WHERE id = :id", id=number)
    assert [entry["type"] for entry in wire.items(path_of(workshop), trainer)] == ["commented"]


def test_what_is_older_than_the_setting_is_not_told(wire: Wire, ada: Person, trainer: Person) -> None:
    workshop, past = make_workshop(trainer.actor), clock.now() - timedelta(days=366)
    with time_machine.travel(past, tick=False):
        stay = Stay(ada.actor, workshop)
        look(workshop, ada)
        say(workshop, ada, "Long ago.")
    stay.leave()
    assert [entry["type"] for entry in wire.items(path_of(workshop), trainer)] == ["left"]
    drain()
    assert [entry["type"] for entry in wire.items(path_of(workshop), trainer)] == ["left"]
    with fault(failCommands=["aggregate"], errorCode=11600):
        assert [entry["type"] for entry in wire.items(path_of(workshop), trainer)] == ["left"]
    close_breaker(wire.app)


def test_events_are_told_without_mongodb(wire: Wire, ada: Person, trainer: Person) -> None:
    workshop = make_workshop(trainer.actor)
    lived(workshop, ada, wire.join())
    drain()
    whole = wire.items(path_of(workshop), trainer)
    with fault(failCommands=["aggregate"], errorCode=11600):
        away = wire.get(path_of(workshop), trainer)
        wire.conforms(away, "list_log")
        events = [entry for entry in whole if entry["type"] not in ("saw", "commented", "comment_edited")]
        assert away.json == {"items": events, "next_cursor": None, "consistency": {"degraded": True}}
        assert wire.items(path_of(workshop), trainer, 2) == events
    close_breaker(wire.app)
    assert wire.items(path_of(workshop), trainer) == whole


def test_the_log_is_for_the_trainer_and_staff(wire: Wire, ada: Person, trainer: Person, root: Person) -> None:
    workshop, draft = make_workshop(trainer.actor), make_workshop(trainer.actor, status="draft")
    Stay(ada.actor, workshop)
    for reader in (trainer, root, wire.join("examiner")):
        assert len(wire.items(path_of(workshop), reader)) == 1
    assert wire.get(path_of(workshop)).status_code == 401
    assert_problem(wire.get(path_of(workshop), ada), 403, "forbidden")
    assert wire.items(path_of(draft), trainer) == wire.items(path_of(draft), root) == []
    for missing in (path_of(draft), "/api/workshops/4711/log"):
        assert_problem(wire.get(missing, wire.join("instructor")), 404, "not_found")


@pytest.mark.parametrize("collection", ["history", "workshop_views", "comments"])
def test_each_source_is_read_in_order_by_its_index(wire: Wire, ada: Person, trainer: Person, collection: str) -> None:
    for workshop in (workshops := [make_workshop(trainer.actor) for _ in range(2)]):
        Stay(ada.actor, workshop)
        look(workshop, ada)
        say(workshop, ada, "Hm.")
    drain()
    owner = "data.workshop_id" if collection == "history" else "workshop_id"
    wanted = {owner: workshops[0].id, "at": {"$lte": clock.now()}}
    plan = mongo.collection(collection).find(wanted).sort([("at", -1), ("_id", -1)]).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1
    assert "SORT" not in repr(plan["queryPlanner"]["winningPlan"])
