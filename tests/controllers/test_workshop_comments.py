"""Comments on workshops: who may read, write and hide them, what is left of a text, and how many there may be."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from rebootcamp.core import clock
from rebootcamp.models.sql.workshops import Workshop, WorkshopComment
from rebootcamp.storage import mongo
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories.workshops import make_stay, make_workshop
from tests.relay.tools import close_breaker, count, execute, fault, in_threads


@pytest.fixture
def trainer(wire: Wire) -> Person:
    """Who gives the workshop."""
    return wire.join("instructor", display_name="Tara")


@pytest.fixture
def workshop(trainer: Person) -> Workshop:
    """A workshop of hers."""
    return make_workshop(trainer.actor, capacity=50)


@pytest.fixture
def ada(wire: Wire, workshop: Workshop) -> Person:
    """A participant."""
    return participant(wire, workshop, display_name="Ada")


def participant(wire: Wire, workshop: Workshop, status: str = "registered", **fields: Any) -> Person:
    who = wire.join(**fields)
    make_stay(workshop, who.actor, status)
    return who


def signed_in_again(wire: Wire, who: Person) -> Person:
    """Return somebody with a token of today."""
    return Person(who.actor, who.email, wire.token(who.email))


def path(workshop: Workshop, *rest: object) -> str:
    return "/".join([f"/api/workshops/{workshop.id}/comments", *map(str, rest)])


def said(wire: Wire, workshop: Workshop, who: Person, text: str = "Hello") -> Any:
    answer = wire.post(path(workshop), who, json={"text": text})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_comment_is_told_to_the_participants_oldest_first(wire: Wire, workshop: Workshop, ada: Person) -> None:
    answer = wire.post(path(workshop), ada, json={"text": " Is there a <b>projector</b>? "})
    wire.conforms(answer, "add_comment")
    told = answer.json
    assert told == {
        "id": told["id"],
        "workshop_id": workshop.id,
        "author": {"id": ada.id, "display_name": "Ada"},
        "text": "Is there a <b>projector</b>?",
        "state": "visible",
        "reason": None,
        "version": 1,
        "created_at": told["created_at"],
        "edited_at": None,
    }
    assert answer.headers["ETag"] == f'"comment-{told["id"]}-1"'
    bob = participant(wire, workshop, "waitlisted")
    second = said(wire, workshop, bob, "Yes.")
    answer = wire.get(path(workshop), ada)
    wire.conforms(answer, "list_comments")
    assert answer.json == {"items": [told, second], "next_cursor": None}
    again = wire.get(path(workshop), ada, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_comments_are_paged(wire: Wire, workshop: Workshop, ada: Person) -> None:
    ids = [said(wire, workshop, ada, f"Number {number}")["id"] for number in range(5)]
    said(wire, make_workshop(), wire.admin(), "Elsewhere")
    assert [one["id"] for one in wire.items(path(workshop), ada, limit=2)] == ids
    assert_problem(wire.get(f"{path(workshop)}?cursor=nonsense", ada), 422)


@pytest.mark.parametrize("status", ["registered", "waitlisted", "attended"])
def test_everybody_who_takes_part_may_read_and_write(wire: Wire, workshop: Workshop, status: str) -> None:
    who = participant(wire, workshop, status)
    said(wire, workshop, who)
    assert len(wire.read(path(workshop), who)["items"]) == 1


@pytest.mark.parametrize("role", ["instructor", "examiner", "admin"])
def test_staff_may_read_and_write(wire: Wire, workshop: Workshop, role: str) -> None:
    who = wire.join(role)
    said(wire, workshop, who)
    assert len(wire.read(path(workshop), who)["items"]) == 1


def test_who_takes_no_part_is_refused(wire: Wire, workshop: Workshop, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    for who in (wire.join(), participant(wire, workshop, "cancelled"), participant(wire, make_workshop())):
        for answer in (
            wire.get(path(workshop), who),
            wire.post(path(workshop), who, json={"text": "Hello"}),
            wire.patch(path(workshop, comment["id"]), who, json={"text": "Hello"}),
            wire.delete(path(workshop, comment["id"]), who),
            wire.get(path(workshop, comment["id"], "history"), who),
        ):
            assert_problem(answer, 403, "participants_only")
    assert count(WorkshopComment) == 1


def test_a_draft_is_its_trainers_and_administrators_alone(wire: Wire, trainer: Person, root: Person) -> None:
    draft = make_workshop(trainer.actor, status="draft")
    for who in (wire.join(), wire.join("instructor"), wire.join("examiner")):
        assert_problem(wire.get(path(draft), who), 404, "not_found")
        assert_problem(wire.post(path(draft), who, json={"text": "Hello"}), 404, "not_found")
    for who in (trainer, root):
        said(wire, draft, who)


def test_what_is_not_there_is_not_found(wire: Wire, workshop: Workshop, ada: Person, root: Person) -> None:
    comment = said(wire, workshop, ada)
    other = make_workshop()
    make_stay(other, ada.actor)
    for who in (ada, root):
        assert_problem(wire.get("/api/workshops/999999/comments", who), 404)
        assert_problem(wire.patch(path(workshop, 999999), who, json={"text": "x"}), 404)
        assert_problem(wire.patch(path(other, comment["id"]), who, json={"text": "x"}), 404)
        assert_problem(wire.delete(path(other, comment["id"]), who), 404)
        assert_problem(wire.get(path(other, comment["id"], "history"), who), 404)
    execute("UPDATE workshops SET archived_at = now() WHERE id = :id", id=workshop.id)
    assert_problem(wire.get(path(workshop), root), 404)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<p> </p>", "<br>", "&nbsp;", "&#8203;", "<img src=x>"])
def test_a_comment_of_which_nothing_is_left_is_refused(wire: Wire, workshop: Workshop, ada: Person, text: str) -> None:
    problem = assert_problem(wire.post(path(workshop), ada, json={"text": text}), 422, "validation_failed")
    assert pointers(problem) == {"/text": "unreadable"}
    assert count(WorkshopComment) == 0


def test_a_comment_has_two_thousand_characters_that_one_sees(wire: Wire, workshop: Workshop, ada: Person) -> None:
    for sign in ("x", "&", "<"):
        said(wire, workshop, ada, sign * 2000)
        answer = wire.post(path(workshop), ada, json={"text": sign * 2001})
        assert pointers(assert_problem(answer, 422)) == {"/text": "too_long"}
    said(wire, workshop, ada, f"<b>{'x' * 2000}</b>")
    for body in (
        {},
        {"text": ""},
        {"text": 7},
        {"text": "x", "html": "y"},
        {"text": "a\u0000b"},
        {"text": "x" * 10_001},
    ):
        assert_problem(wire.post(path(workshop), ada, json=body), 422)


def test_hostile_html_is_stored_as_it_is_shown(wire: Wire, workshop: Workshop, ada: Person) -> None:
    text = "<a href='javascript:alert(1)' onclick=x>one</a> <script>two()</script>if a<b & c"
    shown = '<a rel="nofollow noopener noreferrer">one</a> if a&lt;b &amp; c'
    comment = said(wire, workshop, ada, text)
    assert comment["text"] == shown
    stored = mongo.collection("comments").find_one({"_id": f"{comment['id']}:1"})
    assert stored is not None
    assert (stored["text"], stored["user_id"], stored["workshop_id"]) == (shown, ada.id, workshop.id)


def test_an_edit_is_a_new_version_and_earlier_ones_stay(wire: Wire, workshop: Workshop, ada: Person) -> None:
    comment = said(wire, workshop, ada, "First")
    answer = wire.patch(path(workshop, comment["id"]), ada, json={"text": "Second"})
    wire.conforms(answer, "edit_comment")
    assert (answer.json["text"], answer.json["version"]) == ("Second", 2)
    assert answer.json["edited_at"] is not None
    assert wire.read(path(workshop), ada)["items"] == [answer.json]
    wire.patch(path(workshop, comment["id"]), ada, json={"text": "Third"})
    history = path(workshop, comment["id"], "history")
    answer = wire.get(history, ada)
    wire.conforms(answer, "list_comment_versions")
    assert [(one["version"], one["text"]) for one in answer.json["items"]] == [
        (1, "First"),
        (2, "Second"),
        (3, "Third"),
    ]
    assert [one["version"] for one in wire.items(history, ada, limit=1)] == [1, 2, 3]


def test_who_read_an_older_version_edits_nothing(wire: Wire, workshop: Workshop, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    read = {"If-Match": f'"comment-{comment["id"]}-1"'}
    address = path(workshop, comment["id"])
    answer = wire.patch(address, ada, json={"text": "Second"}, headers=read)
    assert (answer.status_code, answer.headers["ETag"]) == (200, f'"comment-{comment["id"]}-2"')
    assert_problem(wire.patch(address, ada, json={"text": "Lost"}, headers=read), 412, "stale_edit")
    assert wire.read(path(workshop), ada)["items"][0]["text"] == "Second"


def test_only_the_author_edits_and_only_for_a_day(wire: Wire, workshop: Workshop, trainer: Person, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    address = path(workshop, comment["id"])
    for who in (trainer, wire.admin(), participant(wire, workshop)):
        assert_problem(wire.patch(address, who, json={"text": "Mine"}), 403, "forbidden")
        assert_problem(wire.delete(address, who), 403, "forbidden")
    with time_machine.travel(clock.now() + timedelta(hours=23, minutes=59), tick=False):
        late = signed_in_again(wire, ada)
        assert wire.patch(address, late, json={"text": "Just"}).status_code == 200
    with time_machine.travel(clock.now() + timedelta(hours=24), tick=False):
        late = signed_in_again(wire, ada)
        assert_problem(wire.patch(address, late, json={"text": "Late"}), 409, "comment_not_editable")


def test_a_comment_has_twenty_versions_at_most(wire: Wire, workshop: Workshop, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    for number in range(2, 21):
        assert wire.patch(path(workshop, comment["id"]), ada, json={"text": str(number)}).status_code == 200
    answer = wire.patch(path(workshop, comment["id"]), ada, json={"text": "21"})
    assert_problem(answer, 409, "comment_not_editable")


def test_a_deleted_comment_is_gone_for_everybody(wire: Wire, workshop: Workshop, trainer: Person, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    kept = said(wire, workshop, ada, "Kept")
    # Who has left may still take back what they said.
    execute("UPDATE workshop_registrations SET status = 'cancelled', ended_at = now()")
    assert wire.delete(path(workshop, comment["id"]), ada).status_code == 204
    assert [one["id"] for one in wire.read(path(workshop), trainer)["items"]] == [kept["id"]]
    execute("UPDATE workshop_registrations SET status = 'registered', ended_at = NULL")
    for who in (ada, trainer):
        assert_problem(wire.delete(path(workshop, comment["id"]), who), 404)
        assert_problem(wire.patch(path(workshop, comment["id"]), who, json={"text": "x"}), 404)
        assert_problem(wire.get(path(workshop, comment["id"], "history"), who), 404)
    answer = wire.post(path(workshop, comment["id"], "hide"), trainer, json={"reason": "Late."})
    assert_problem(answer, 404)


def test_a_hidden_comment_has_no_text_for_others(wire: Wire, workshop: Workshop, trainer: Person, ada: Person) -> None:
    comment, bob = said(wire, workshop, ada, "Rude"), participant(wire, workshop)
    answer = wire.post(path(workshop, comment["id"], "hide"), trainer, json={"reason": "Be kind."})
    wire.conforms(answer, "hide_comment")
    assert answer.json == {"id": comment["id"], "state": "hidden", "reason": "Be kind."}

    def told(who: Person) -> tuple[str, str | None, str | None]:
        (item,) = wire.read(path(workshop), who)["items"]
        return item["state"], item["text"], item["reason"]

    assert told(bob) == ("hidden", None, None)
    for who in (ada, trainer, wire.admin(), wire.join("examiner"), wire.join("instructor")):
        assert told(who) == ("hidden", "Rude", "Be kind.")
    answer = wire.patch(path(workshop, comment["id"]), ada, json={"text": "Kind"})
    assert_problem(answer, 409, "comment_not_editable")
    answer = wire.post(path(workshop, comment["id"], "show"), trainer)
    wire.conforms(answer, "show_comment")
    assert told(bob) == ("visible", "Rude", None)


@pytest.mark.parametrize(
    ("role", "status"),
    [("student", 403), ("participant", 403), ("trainer", 200), ("instructor", 403), ("examiner", 403), ("admin", 200)],
)
def test_the_trainer_and_administrators_moderate(
    wire: Wire, workshop: Workshop, trainer: Person, ada: Person, role: str, status: int
) -> None:
    people = {"trainer": lambda: trainer, "participant": lambda: participant(wire, workshop)}
    who = people.get(role, lambda: wire.join(role))()
    comment = path(workshop, said(wire, workshop, ada)["id"])
    assert wire.post(f"{comment}/hide", who, json={"reason": "So."}).status_code == status
    assert wire.post(f"{comment}/show", who).status_code == status
    if status == 200:
        assert_problem(wire.post(f"{comment}/hide", who, json={}), 422)


@pytest.mark.parametrize(
    ("role", "status"),
    [("author", 200), ("participant", 403), ("trainer", 200), ("instructor", 200), ("examiner", 200), ("admin", 200)],
)
def test_earlier_versions_are_for_the_author_the_trainer_and_staff(
    wire: Wire, workshop: Workshop, trainer: Person, ada: Person, role: str, status: int
) -> None:
    people = {"trainer": lambda: trainer, "author": lambda: ada, "participant": lambda: participant(wire, workshop)}
    who = people.get(role, lambda: wire.join(role))()
    history = path(workshop, said(wire, workshop, ada)["id"], "history")
    assert wire.get(history, who).status_code == status


def test_ten_comments_in_ten_minutes_over_all_workshops(wire: Wire, workshop: Workshop, ada: Person) -> None:
    other = make_workshop()
    make_stay(other, ada.actor)
    with time_machine.travel(clock.now(), tick=False) as traveller:
        for number in range(10):
            traveller.shift(1)
            comment = said(wire, (workshop, other)[number % 2], ada)
        # What was taken back was said all the same.
        assert wire.delete(path(other, comment["id"]), ada).status_code == 204
        refused = wire.post(path(workshop), ada, json={"text": "Eleventh"}, headers={"Idempotency-Key": "eleventh"})
        assert_problem(refused, 429, "too_many_comments")
        assert refused.headers["Retry-After"] == "591"
        assert refused.headers["RateLimit-Policy"] == '"comments";q=10;w=600'
        assert refused.headers["RateLimit"] == '"comments";r=0;t=591'
        traveller.shift(591)
        ada = signed_in_again(wire, ada)
        answer = wire.post(path(workshop), ada, json={"text": "Eleventh"}, headers={"Idempotency-Key": "eleventh"})
        assert answer.status_code == 201
        assert_problem(wire.post(path(workshop), ada, json={"text": "Twelfth"}), 429)
        assert said(wire, workshop, participant(wire, workshop))


def test_parallel_requests_do_not_pass_the_limit(app: Flask, wire: Wire, workshop: Workshop, ada: Person) -> None:
    def say() -> int:
        return wire.post(path(workshop), ada, json={"text": "Hello"}).status_code

    assert Counter(in_threads(app, *[say] * 16)) == {201: 10, 429: 6}
    assert count(WorkshopComment) == 10
    assert mongo.collection("comments").count_documents({}) == 10


def test_of_two_edits_at_once_one_wins(app: Flask, wire: Wire, workshop: Workshop, ada: Person) -> None:
    comment = said(wire, workshop, ada)
    read = {"If-Match": f'"comment-{comment["id"]}-1"'}

    def edit(text: str) -> TestResponse:
        return wire.patch(path(workshop, comment["id"]), ada, json={"text": text}, headers=read)

    answers = in_threads(app, *[lambda text=text: edit(text) for text in "abcdef"])
    (won,) = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not won:
            assert_problem(answer, 412, "stale_edit")
    assert wire.read(path(workshop), ada)["items"] == [won.json]
    assert [one["text"] for one in wire.read(path(workshop, comment["id"], "history"), ada)["items"]] == [
        "Hello",
        won.json["text"],
    ]


def test_a_repeated_request_says_it_once(wire: Wire, workshop: Workshop, ada: Person) -> None:
    once = {"json": {"text": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, second = wire.post(path(workshop), ada, **once), wire.post(path(workshop), ada, **once)
    assert (first.json, second.headers["Idempotent-Replayed"]) == (second.json, "true")
    assert (count(WorkshopComment), mongo.collection("comments").count_documents({})) == (1, 1)


def test_without_mongodb_nothing_is_said_and_moderation_goes_on(
    app: Flask, wire: Wire, workshop: Workshop, trainer: Person, ada: Person
) -> None:
    comment = said(wire, workshop, ada)
    once = {"json": {"text": "Later"}, "headers": {"Idempotency-Key": "later"}}
    with fault(failCommands=["find", "insert"], errorCode=91):
        for answer in (
            wire.get(path(workshop), ada),
            wire.post(path(workshop), ada, **once),
            wire.patch(path(workshop, comment["id"]), ada, json={"text": "Later"}),
            wire.get(path(workshop, comment["id"], "history"), ada),
        ):
            assert_problem(answer, 503, "store_unavailable")
            assert answer.headers["Retry-After"] == "5"
        assert wire.post(path(workshop, comment["id"], "hide"), trainer, json={"reason": "So."}).status_code == 200
        bob = participant(wire, workshop)
        assert wire.read(path(workshop), bob)["items"][0]["text"] is None
    assert count(WorkshopComment) == 1
    close_breaker(app)
    assert wire.post(path(workshop), ada, **once).status_code == 201
