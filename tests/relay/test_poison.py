"""Poison: an event that cannot be shown delays its own learner only, and can be shown later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest

from rebootcamp.core.actors import Actor
from rebootcamp.core.pages import PageRequest
from rebootcamp.events import facts
from rebootcamp.events.facts import Fact
from rebootcamp.events.relay import FIRST_DELAY, LONGEST_DELAY, MAX_ATTEMPTS, Relay, redrive
from rebootcamp.models.sql.progress import OutboxEntry
from rebootcamp.services import badges
from rebootcamp.services.integrity import check_stores
from rebootcamp.services.progress import get_progress, list_awards, list_history
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import (
    append_foreign,
    assert_stores_agree,
    attempts_later,
    make_due,
    make_learners,
    refusing,
    seqs_in_history,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")

FUTURE = "test.future"


@contextmanager
def newer_version() -> Iterator[None]:
    """Let this process know the event type, as after an update of the service."""

    @dataclass(frozen=True, kw_only=True)
    class Future(Fact):
        type: ClassVar[str] = FUTURE
        note: str

    try:
        yield
    finally:
        del facts._REGISTRY[Future.type]


def poisoned_line(learner: Actor, *, before: int = 2, after: int = 2) -> int:
    """Give a learner completions around an event of an unknown type; return its seq."""
    for _ in range(before):
        complete(learner, make_challenge())
    seq = append_foreign(learner.user_id, FUTURE, '{"note": "from tomorrow"}')
    for _ in range(after):
        complete(learner, make_challenge())
    return seq


def exhaust() -> None:
    """Let all attempts of everything that is refused pass."""
    for _ in range(MAX_ATTEMPTS):
        drain()
        make_due()
    drain()


def head(learner: Actor) -> OutboxEntry:
    return waiting(learner.user_id)[0]


def shown(learner: Actor) -> tuple[int, int, list[str]]:
    """Return what a reader sees of the learner's totals and badges."""
    db.session.remove()
    progress = get_progress(learner.user_id, learner.user_id)
    assert progress is not None
    totals = progress.summary.totals
    return totals["challenge_points"], totals["badge_points"], [badge["code"] for badge in progress.summary.badges]


def test_everybody_else_and_all_that_came_before_is_delivered() -> None:
    poisoned, *others = make_learners(12)
    task = make_challenge()
    seq = poisoned_line(poisoned)
    for learner in others:
        complete(learner, task)
    drain()
    assert seqs_in_history(poisoned.user_id) == list(range(1, seq))
    assert {entry.user_id for entry in waiting()} == {poisoned.user_id}
    assert [entry.seq for entry in waiting()] == [seq, seq + 1, seq + 2]


def test_attempts_are_counted_with_longer_and_longer_pauses_until_it_is_given_up() -> None:
    (ada,) = make_learners(1)
    seq = poisoned_line(ada, after=0)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        drain()
        entry = head(ada)
        assert (entry.seq, entry.attempts, entry.last_error) == (
            seq,
            attempt,
            f"UnreadableEvent: no reader for {FUTURE} version 1",
        )
        assert (entry.dead_at is not None) == (attempt == MAX_ATTEMPTS)
        expected = min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY)
        assert expected - 1 < attempts_later(entry).total_seconds() <= expected
        make_due()


def test_event_that_is_not_due_yet_is_left_alone() -> None:
    (ada,) = make_learners(1)
    poisoned_line(ada, after=0)
    for _ in range(4):
        drain()
        make_due()
    drain()
    attempts = head(ada).attempts
    assert Relay(10, 0.01).drain() == 0
    assert (attempts, head(ada).attempts) == (5, 5)


def test_dead_letter_no_longer_blocks_its_learner_and_reads_stay_right() -> None:
    make_badge("third_step", at_least=3, points=30)
    (ada,) = make_learners(1)
    seq = poisoned_line(ada)
    before = shown(ada)
    exhaust()
    assert [entry.seq for entry in waiting()] == [seq]
    last = seqs_in_history(ada.user_id)[-1]
    assert seqs_in_history(ada.user_id) == [n for n in range(1, last + 1) if n != seq]
    assert shown(ada) == before == (80, 30, ["third_step"])
    complete(ada, make_challenge())
    assert shown(ada)[0] == 100
    drain()
    assert shown(ada)[0] == 100
    assert [finding.invariant for finding in check_stores().findings] == ["dead letter"]


def test_redriven_event_that_became_readable_is_shown_and_everything_agrees() -> None:
    make_badge("third_step", at_least=3, points=30)
    (ada,) = make_learners(1)
    seq = poisoned_line(ada)
    exhaust()
    with newer_version():
        assert redrive() == 1
        assert drain() == 1
        assert waiting() == []
        assert seqs_in_history(ada.user_id) == list(range(1, seqs_in_history(ada.user_id)[-1] + 1))
        recent = mongo.collection("progress").find_one({"_id": ada.user_id}) or {}
        assert seq in [entry["seq"] for entry in recent["recent"]]
        assert_stores_agree()


def test_redriven_event_that_is_still_unreadable_gets_a_new_series_of_attempts() -> None:
    (ada,) = make_learners(1)
    seq = poisoned_line(ada)
    exhaust()
    redrive()
    complete(ada, make_challenge())
    drain()
    assert (head(ada).seq, head(ada).attempts, head(ada).dead_at) == (seq, 2, None)
    exhaust()
    assert head(ada).dead_at is not None
    assert [entry.seq for entry in waiting(ada.user_id)] == [seq]


def test_document_that_mongodb_refuses_is_isolated_to_its_event() -> None:
    make_badge("first_step")
    learners, task = make_learners(5), make_challenge()
    for learner in learners:
        complete(learner, task)
    refused = next(entry for entry in waiting(learners[2].user_id) if entry.seq == 2)
    with refusing("history", {"_id": {"$ne": str(refused.event_id)}}):
        drain()
        assert [(entry.user_id, entry.seq, entry.attempts) for entry in waiting()] == [
            (learners[2].user_id, 2, 1),
            (learners[2].user_id, 3, 0),
        ]
        assert "121" in str(waiting()[0].last_error) or "validation" in str(waiting()[0].last_error)
    make_due()
    drain()
    assert_stores_agree()


def test_award_that_was_revoked_before_it_could_be_shown_is_complete_in_the_end() -> None:
    make_badge("gift", criteria={"points": {"at_least": 1000}})
    (ada,) = make_learners(1)
    drain()
    badges.award_badge(admin(), ada.user_id, "gift", reason="For the help.")
    refused = head(ada)
    with refusing("history", {"_id": {"$ne": str(refused.event_id)}}):
        exhaust()
        badges.revoke_badge(admin(), ada.user_id, "gift", reason="Wrong person.")
        drain()
        assert [(entry.seq, entry.dead_at is None) for entry in waiting()] == [(refused.seq, False)]
        page = list_awards(ada, ada.user_id, PageRequest(), state="revoked").page
        assert [(award["origin"], award["revoke_reason"]) for award in page.items] == [("manual", "Wrong person.")]
    redrive()
    drain()
    assert_stores_agree()
    page = list_awards(ada, ada.user_id, PageRequest(), state="revoked").page
    assert page.items[0]["event_id"] == str(refused.event_id)


def test_history_shows_a_waiting_event_in_its_place_while_mongodb_refuses_it() -> None:
    (ada,) = make_learners(1)
    for _ in range(3):
        complete(ada, make_challenge())
    refused = next(entry for entry in waiting(ada.user_id) if entry.seq == 3)
    with refusing("history", {"_id": {"$ne": str(refused.event_id)}}):
        exhaust()
        items = list_history(ada, ada.user_id, PageRequest(), event_type=None).page.items
        assert [item["seq"] for item in items] == [4, 3, 2, 1]
