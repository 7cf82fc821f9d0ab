"""Delivery: everything once, in order for each learner, whatever is repeated and however many relays run."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay, redrive
from rebootcamp.models.mongo import BadgeDocument, HistoryDocument, ProgressDocument
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.models.sql.leaderboards import LeaderboardEntry
from rebootcamp.models.sql.progress import ActivityEvent, LearnerState
from rebootcamp.services import badges, challenges
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, exclusive
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import (
    append_foreign,
    assert_stores_agree,
    close_breaker,
    count,
    documents,
    execute,
    fault,
    in_threads,
    journal_size,
    make_learners,
    refusing,
    restore_outbox,
    waiting,
)

pytestmark = pytest.mark.usefixtures("committed_db")


def busy_learners(learners: int, deeds: int) -> tuple[list[Actor], list[Challenge]]:
    """Let learners complete challenges, with badges on the way and one completion taken back."""
    make_badge("first_step")
    make_badge("third_step", at_least=3)
    make_badge("hundred", criteria={"points": {"at_least": 100}}, points=50)
    people, tasks = make_learners(learners), [make_challenge() for _ in range(deeds)]
    for learner, task in itertools.product(people, tasks):
        complete(learner, task)
    done = complete(people[0], make_challenge())
    challenges.revoke_completion(admin(), people[0].user_id, done.completion.id, reason="A test.")
    return people, tasks


@pytest.mark.parametrize("batch", [1, 3, 7, 200])
def test_any_batch_size_delivers_everything_and_both_stores_agree(batch: int) -> None:
    busy_learners(3, 4)
    assert Relay(batch, 0.01).drain() == journal_size()
    assert waiting() == []
    assert_stores_agree()


def test_documents_of_a_learner_appear_in_the_order_of_the_events() -> None:
    with mongo.database().watch([{"$match": {"ns.coll": {"$in": ["history", "progress"]}}}]) as changes:
        busy_learners(4, 5)
        Relay(7, 0.01).drain()
        in_history: dict[int, list[int]] = defaultdict(list)
        in_summary: dict[int, int] = defaultdict(int)
        for change in iter(changes.try_next, None):
            if change["ns"]["coll"] == "history":
                document = change["fullDocument"]
                in_history[document["user_id"]].append(document["seq"])
                continue
            user_id = change["documentKey"]["_id"]
            described = change.get("fullDocument") or change["updateDescription"]["updatedFields"]
            # A summary never shows an event before the history does, and never steps back.
            assert in_summary[user_id] < described["seq"] == len(in_history[user_id])
            in_summary[user_id] = described["seq"]
    assert sum(map(len, in_history.values())) == journal_size()
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in in_history.values())


def test_delivering_everything_again_changes_no_document_and_no_board() -> None:
    busy_learners(3, 4)
    drain()
    before = documents()
    restore_outbox()
    assert Relay(5, 0.01).drain() == journal_size()
    assert documents() == before
    assert_stores_agree()


def test_late_copy_of_an_older_state_never_wins() -> None:
    learners, _ = busy_learners(1, 4)
    late = ProgressDocument(learners[0].user_id, seq=2).save_if_newer()
    drain()
    first = BadgeDocument.collection().find_one({"_id": "first_step"}) or {}
    badges.update_badge(admin(), "first_step", {"points": 15}, None)
    drain()
    before = documents()
    ProgressDocument.write_all([late])
    code, version = first.pop("_id"), first.pop("version")
    BadgeDocument.write_all([BadgeDocument.save_if_newer(code, version, first)])
    HistoryDocument.write_all([HistoryDocument.insert({**before["history"][0], "data": {"forged": True}})])
    assert documents() == before


def test_four_relays_and_two_writers_deliver_each_event_once(committed_db: Flask) -> None:
    make_badge("first_step")
    make_badge("tenth_step", at_least=10, points=30)
    make_badge("hundred", criteria={"points": {"at_least": 100}}, points=50)
    learners, tasks = make_learners(40), [make_challenge() for _ in range(24)]
    are_done = threading.Event()
    writing = threading.Barrier(2, action=lambda: None)

    def write(share: list[Actor]) -> int:
        for learner, task in itertools.product(share, tasks):
            complete(learner, task)
        writing.wait(60)
        are_done.set()
        return 0

    def carry() -> int:
        relay, delivered = Relay(25, 0.01), 0
        while not are_done.is_set() or waiting():
            delivered += relay.drain()
            time.sleep(0.005)
        return delivered

    tasks_of_all = [lambda: write(learners[:20]), lambda: write(learners[20:]), carry, carry, carry, carry]
    delivered = in_threads(committed_db, *tasks_of_all)
    assert sum(delivered) == journal_size() > 1000
    # Everybody stands on five boards: of all time, of the category, and of three periods.
    assert count(LeaderboardEntry) == 5 * 40
    assert_stores_agree()


def test_parallel_deeds_of_one_learner_take_their_turns(committed_db: Flask) -> None:
    make_badge("tenth_step", at_least=10, points=30)
    (ada,), tasks = make_learners(1), [make_challenge() for _ in range(24)]

    def write(share: list[Challenge]) -> int:
        return len([complete(ada, task) for task in share])

    in_threads(committed_db, *(partial(write, tasks[n::4]) for n in range(4)))
    db.session.remove()
    seqs = db.session.scalars(sa.select(ActivityEvent.seq).where(ActivityEvent.user_id == ada.user_id))
    assert sorted(seqs) == list(range(1, 1 + 24 + 1 + 1))
    state = db.session.get_one(LearnerState, ada.user_id)
    assert (state.last_seq, state.challenge_points, state.badge_points) == (26, 480, 30)
    drain()
    assert_stores_agree()


def test_redrive_during_a_batch_counts_nothing_twice(committed_db: Flask) -> None:
    (ada,), tasks = make_learners(1), [make_challenge() for _ in range(3)]
    drain()
    for task in tasks:
        complete(ada, task)
    execute("UPDATE outbox SET dead_at = now(), attempts = 8 WHERE seq = 2")

    def redrive_and_carry() -> int:
        time.sleep(0.2)
        redrive()
        return Relay(10, 0.01).drain()

    with fault({"times": 1}, failCommands=["insert"], blockConnection=True, blockTimeMS=700):
        delivered = in_threads(committed_db, Relay(10, 0.01).drain, redrive_and_carry)
    assert sum(delivered) == 3
    assert_stores_agree()


def test_head_that_waits_for_its_next_attempt_takes_nobodys_place() -> None:
    poisoned, *others = make_learners(4)
    drain()
    append_foreign(poisoned.user_id, "test.unknown")
    Relay(1, 0.01).deliver_batch()
    for learner in others:
        complete(learner, make_challenge())
    # The poisoned head comes first by its number, and a batch has one place.
    assert Relay(1, 0.01).drain() >= len(others)
    assert [entry.user_id for entry in waiting()] == [poisoned.user_id]


def test_relay_waits_for_a_check_or_a_backup_instead_of_finding_nothing(committed_db: Flask) -> None:
    busy_learners(1, 1)
    size = journal_size()
    is_held = threading.Event()

    def hold() -> int:
        with exclusive(BARRIER):
            is_held.set()
            time.sleep(0.3)
        return 0

    def carry() -> int:
        is_held.wait(5)
        started = time.monotonic()
        delivered = Relay(100, 0.01).drain()
        assert time.monotonic() - started > 0.2
        return delivered

    assert in_threads(committed_db, hold, carry) == [0, size]


def test_catalogue_shows_each_new_version_of_a_badge(committed_db: Flask) -> None:
    make_badge("first_step")
    drain()
    assert_stores_agree()
    shown = BadgeDocument.collection().find_one({"_id": "first_step"})
    assert shown is not None
    assert (shown["version"], shown["tier"], shown["is_active"]) == (1, "bronze", True)
    with fault(failCommands=["update"], errorCode=11600):
        badges.update_badge(admin(), "first_step", {"tier": "gold", "is_active": False}, None)
        with pytest.raises(mongo.MongoUnavailable):
            Relay(10, 0.01).deliver_batch()
    close_breaker(committed_db)
    assert_stores_agree()
    drain()
    shown = BadgeDocument.collection().find_one({"_id": "first_step"})
    assert shown is not None
    assert (shown["version"], shown["tier"], shown["is_active"]) == (2, "gold", False)
    assert_stores_agree()


def test_relay_runs_on_through_an_outage_until_it_is_told_to_stop(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    stop = threading.Event()

    def run() -> None:
        Relay(10, 0.01).run(stop)

    def disturb() -> None:
        with fault(failCommands=["insert", "update"], closeConnection=True):
            for _ in range(3):
                complete(ada, make_challenge())
            time.sleep(0.5)
            assert len(waiting()) >= 3
        mongo_is_back = time.monotonic()
        while waiting() and time.monotonic() - mongo_is_back < 15:
            time.sleep(0.05)
        stop.set()

    in_threads(committed_db, run, disturb)
    db.session.remove()
    assert waiting() == []
    assert_stores_agree()


def test_chores_are_done_while_batches_are_full_and_stop_when_the_relay_does() -> None:
    make_learners(5)
    stop, seen = threading.Event(), []

    def first(is_over: Callable[[], bool]) -> None:
        seen.append(len(waiting()))
        assert not is_over()
        stop.set()
        assert is_over()

    Relay(1, 0.01, chores=(first, lambda is_over: seen.append(-1))).run(stop)
    assert seen == [journal_size() - 1]


def test_chores_are_done_while_mongodb_is_away_and_their_turn_ends(committed_db: Flask) -> None:
    make_learners(1)
    stop, seen = threading.Event(), []

    def patient(is_over: Callable[[], bool]) -> None:
        while not is_over():
            time.sleep(0.01)
        seen.append(-1 if stop.is_set() else len(waiting()))

    def last(is_over: Callable[[], bool]) -> None:
        stop.set()

    too_long = threading.Timer(10, stop.set)
    too_long.start()
    with fault(failCommands=["insert", "update"], closeConnection=True):
        Relay(10, 0.01, chores=(patient, last)).run(stop)
    too_long.cancel()
    close_breaker(committed_db)
    assert seen == [journal_size()]


@pytest.mark.parametrize("size", [2, 30])
def test_refused_document_in_a_bulk_holds_back_nobody_else(size: int) -> None:
    learners = make_learners(size)
    bad = waiting(learners[0].user_id)[0]
    with refusing("history", {"_id": {"$ne": str(bad.event_id)}}):
        assert Relay(200, 0.01).drain() == journal_size() - 1 >= size - 1
        assert [(entry.event_id, entry.attempts) for entry in waiting()] == [(bad.event_id, 1)]
