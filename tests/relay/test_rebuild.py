"""Everything in MongoDB that is derived can be dropped and made again, whatever happens meanwhile."""

from __future__ import annotations

import signal
import threading

import pytest
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.events.rebuild import drop_projections, replay
from rebootcamp.events.relay import Relay
from rebootcamp.services import challenges
from rebootcamp.services.progress import get_progress
from rebootcamp.storage import mongo
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.test_poison import exhaust, newer_version, poisoned_line
from tests.relay.tools import (
    assert_stores_agree,
    documents,
    execute,
    in_threads,
    journal_size,
    make_learners,
    waiting,
)
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")


def told_stories(learners: int = 4) -> list[Actor]:
    """Let learners complete challenges and earn badges, take one completion back, and show it all."""
    make_badge("first_step")
    make_badge("third_step", at_least=3)
    people, tasks = make_learners(learners), [make_challenge() for _ in range(4)]
    for learner in people:
        done = [complete(learner, task) for task in tasks]
    challenges.revoke_completion(admin(), people[-1].user_id, done[0].completion.id, reason="A test.")
    drain()
    return people


def rebuilt(batch: int = 50) -> int:
    drop_projections()
    return replay(Relay(batch, 0.01), lambda done: None)


def test_rebuild_makes_the_same_documents_again() -> None:
    told_stories()
    before = documents()
    seen: list[int] = []
    assert drop_projections() == journal_size()
    assert documents() == {name: [] for name in before}
    assert replay(Relay(10, 0.01), seen.append) == journal_size() == seen[-1]
    assert documents() == before
    assert_stores_agree()


def test_rebuild_mends_what_was_broken_by_hand() -> None:
    told_stories()
    before = documents()
    mongo.collection("awards").delete_many({})
    mongo.collection("badges").update_many({}, {"$set": {"points": 1}})
    mongo.collection("progress").update_many({}, {"$set": {"totals.badge_points": 9}})
    mongo.collection("history").drop()
    execute("UPDATE leaderboard_entries SET score = 1")
    rebuilt()
    assert documents() == before
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["rebuild.before_drop", "rebuild.after_drop"])
def test_killed_rebuild_is_finished_by_any_relay(workers: Workers, failpoint: str) -> None:
    (ada, *_) = told_stories()
    before = documents()
    done = workers.run("rebuild", 10, failpoints=failpoint)
    assert (done.status, done.acknowledged) == (-signal.SIGKILL, [])
    progress = get_progress(ada.user_id, ada.user_id)
    assert progress is not None
    assert sum(progress.summary.totals.values()) == 100
    assert len(waiting()) == journal_size()
    drain()
    assert documents() == before
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["rebuild.swapped:2", "relay.after_history:2", "relay.after_mongo:3"])
def test_rebuild_killed_in_the_middle_can_be_started_again(workers: Workers, failpoint: str) -> None:
    told_stories()
    before = documents()
    assert workers.run("rebuild", 10, failpoints=failpoint).status == -signal.SIGKILL
    assert workers.run("rebuild", 10).acknowledged == [journal_size()]
    assert documents() == before
    assert_stores_agree()


def test_rebuild_killed_between_two_collections_leaves_their_rules_in_force(workers: Workers) -> None:
    told_stories()
    before = documents()
    for swapped in (1, 2, 3, 4):
        assert workers.run("rebuild", 10, failpoints=f"rebuild.swapped:{swapped}").status == -signal.SIGKILL
        drain()
        # The check compares validators and indexes, too.
        assert_stores_agree()
    assert documents() == before


@pytest.mark.parametrize("is_killed", [False, True])
def test_rebuild_shows_a_dead_event_that_became_readable(workers: Workers, is_killed: bool) -> None:
    (ada,) = make_learners(1)
    poisoned_line(ada)
    exhaust()
    with newer_version():
        if is_killed:
            assert workers.run("rebuild", 10, failpoints="rebuild.before_drop").status == -signal.SIGKILL
            drain()
        else:
            rebuilt()
        assert_stores_agree()


def test_rebuild_while_a_relay_and_a_writer_run_ends_with_everything_shown(committed_db: Flask) -> None:
    people, tasks = told_stories(10), [make_challenge() for _ in range(20)]
    stop = threading.Event()

    def carry() -> None:
        Relay(20, 0.01).run(stop)

    def write() -> None:
        for task in tasks:
            complete(people[0], task)

    def rebuild() -> None:
        try:
            started = journal_size()
            for _ in range(3):
                rebuilt(20)
                assert mongo.collection("history").count_documents({}) >= started
        finally:
            stop.set()

    in_threads(committed_db, carry, write, rebuild)
    drain()
    assert_stores_agree()
