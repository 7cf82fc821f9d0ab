"""Everything that is derived can be made anew and switched to, whatever happens meanwhile."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy
from rebootcamp.core.pages import PageRequest
from rebootcamp.events import rebuild
from rebootcamp.events.rebuild import RebuildRuns, Rebuilt
from rebootcamp.events.relay import Relay
from rebootcamp.events.replay import Unreplayable
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.services import challenges, progress
from rebootcamp.services.integrity import check_stores, repair_stores
from rebootcamp.services.integrity.mending import mend_learner
from rebootcamp.services.integrity.repair import RepairRunning
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import DDL, REBUILD, exclusive
from rebootcamp.storage.mongo_schema import apply_schema
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge, make_goal, make_group
from tests.relay.test_poison import exhaust, newer_version, poisoned_line
from tests.relay.tools import (
    assert_stores_agree,
    documents,
    execute,
    in_threads,
    journal_size,
    make_learners,
    started,
    until,
    waiting,
)
from tests.relay.workers import Workers

pytestmark = pytest.mark.usefixtures("committed_db")

BROKEN = {
    "entries": "UPDATE leaderboard_entries SET score = 1",
    "no entries": "DELETE FROM leaderboard_entries",
    "moments": "UPDATE leaderboard_entries SET reached_at = reached_at - interval '1 day'",
    "an entry of nothing": "INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at) "
    "SELECT 'weekly', '2001-W01', id, 5, now() FROM users",
    "listing": "UPDATE leaderboard_entries SET is_listed = false",
    "counts": "UPDATE leaderboard_counts SET learners = learners + 1",
    "no counts": "DELETE FROM leaderboard_counts",
    "eco totals": "UPDATE eco_totals SET value = value + 7",
    "a total of nothing": "INSERT INTO eco_totals VALUES ('co2e_grams:nothing', 1)",
    "eco contributions": "DELETE FROM eco_contributions",
    "teams": "UPDATE team_contributions SET value = value + 1",
    "no teams": "DELETE FROM team_contributions",
}


@pytest.fixture(autouse=True)
def swept(app: Flask) -> Iterator[None]:
    """No database of another test is in the way, nor left to one."""
    drop_rebuilt()
    yield
    drop_rebuilt()
    # Some have dropped it as a former database.
    apply_schema(mongo.client()["suite"])


def drop_rebuilt() -> None:
    for name in rebuilt_names():
        mongo.client().drop_database(name)


def rebuilt_names() -> list[str]:
    """Return the databases that rebuilds have made."""
    return [name for name in mongo.client().list_database_names() if re.fullmatch(r"suite_[0-9a-f]{8}", name)]


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


def made_anew() -> Rebuilt:
    return rebuild.rebuild(lambda step, done: None)


def test_rebuild_makes_the_same_documents_in_another_database() -> None:
    told_stories()
    before, steps = documents(), dict[str, int]()
    done = rebuild.rebuild(steps.__setitem__)
    assert done == Rebuilt(mongo.database_name(), "suite", journal_size(), 5, 0)
    assert steps == {"learners compared": 5, "events replayed": journal_size()}
    assert documents() == before
    assert rebuilt_names() == [done.database]
    assert_stores_agree()


def test_rebuild_again_keeps_former_databases_until_they_are_dropped() -> None:
    told_stories()
    first, second = made_anew(), made_anew()
    assert second.former == first.database
    assert sorted(rebuilt_names()) == sorted([first.database, second.database])
    assert sorted(rebuild.drop_former()) == sorted(["suite", first.database])
    assert rebuild.drop_former() == []
    assert rebuilt_names() == [second.database]
    assert_stores_agree()


@pytest.mark.parametrize("lock", [REBUILD, DDL])
def test_rebuild_does_not_start_beside_another_or_a_migration(lock: int) -> None:
    told_stories(1)
    with exclusive(lock), pytest.raises(RebuildRuns):
        made_anew()
    assert rebuilt_names() == []


def test_rebuild_mends_documents_that_were_broken_by_hand() -> None:
    told_stories()
    before = documents()
    mongo.collection("awards").delete_many({})
    mongo.collection("badges").update_many({}, {"$set": {"points": 1}})
    mongo.collection("progress").update_many({}, {"$set": {"totals.badge_points": 9}})
    mongo.collection("history").drop()
    made_anew()
    assert documents() == before
    assert_stores_agree()


@pytest.mark.parametrize("statement", BROKEN.values(), ids=BROKEN)
def test_rebuild_mends_tables_in_place(statement: str) -> None:
    people = told_stories(2)
    make_goal(team_target=10, starts_at=clock.now() - timedelta(days=8))
    make_group(*people)
    for who in people:
        complete(who, make_challenge())
    drain()
    execute(statement)
    assert check_stores().findings
    made_anew()
    assert_stores_agree()


def test_rebuild_leaves_right_tables_alone() -> None:
    told_stories()
    names = ("leaderboard_entries", "leaderboard_counts", "eco_totals", "eco_contributions")

    def versions() -> list[object]:
        select = "SELECT string_agg(xmin::text || ctid::text, ',' ORDER BY ctid) FROM "
        with db.engine.connect() as connection:
            return [connection.exec_driver_sql(select + name).scalar() for name in names]

    before = versions()
    assert all(before)
    made_anew()
    assert versions() == before


def test_rebuild_waits_for_nobody_and_leaves_what_waits_to_the_relay() -> None:
    (ada, *_) = told_stories()
    complete(ada, make_challenge())
    pending = [entry.event_id for entry in waiting()]
    assert pending
    done = made_anew()
    assert done.events == journal_size() - len(pending)
    assert [entry.event_id for entry in waiting()] == pending
    assert_stores_agree(pending=len(pending))
    drain()
    assert_stores_agree()


def test_rebuild_shows_a_dead_event_that_became_readable() -> None:
    (ada,) = make_learners(1)
    poisoned_line(ada)
    exhaust()
    made_anew()
    exhaust()
    with newer_version():
        assert made_anew().revived > 0
        drain()
        assert_stores_agree()


def test_rebuild_refuses_what_cannot_be_shown_again_and_changes_nothing() -> None:
    told_stories(1)
    before = documents()
    execute("UPDATE activity_events SET version = 99 WHERE seq = 2")
    with pytest.raises(Unreplayable):
        made_anew()
    execute("UPDATE activity_events SET version = 1 WHERE seq = 2")
    assert mongo.database_name() == "suite"
    assert documents() == before
    made_anew()
    assert len(rebuilt_names()) == 1
    assert_stores_agree()


def test_rebuild_of_a_journal_with_a_gap_is_refused() -> None:
    (ada, *_) = told_stories(1)
    execute("UPDATE learner_states SET last_seq = last_seq + 1 WHERE user_id = :id", id=ada.user_id)
    with pytest.raises(rebuild.Incomplete):
        made_anew()
    assert mongo.database_name() == "suite"


def test_rebuild_copies_what_no_event_tells() -> None:
    told_stories(1)
    kept = [{"_id": number, "text": "only here"} for number in range(3)]
    mongo.collection("native").insert_many([dict(document) for document in kept])
    made_anew()
    assert list(mongo.collection("native").find().sort("_id")) == kept


@pytest.mark.parametrize(
    "failpoint",
    [
        "rebuild.mended",
        "rebuild.created",
        "rebuild.replayed",
        "rebuild.natives_copied",
        "rebuild.caught_up",
        "rebuild.before_switch",
    ],
)
def test_killed_before_the_switch_the_former_pair_stays(workers: Workers, failpoint: str) -> None:
    (ada, *_) = told_stories()
    before = documents()
    assert workers.run("rebuild", failpoints=failpoint).status == -signal.SIGKILL
    mongo.forget()
    assert mongo.database_name() == "suite"
    complete(ada, make_challenge())
    drain()
    assert_stores_agree()
    assert workers.run("rebuild").acknowledged == [journal_size()]
    mongo.forget()
    assert rebuilt_names() == [mongo.database_name()]
    assert len(documents()["history"]) == len(before["history"]) + 1
    assert_stores_agree()


def test_killed_while_it_mends_boards_the_rest_is_mended_the_next_time(workers: Workers) -> None:
    told_stories()
    execute("UPDATE leaderboard_entries SET score = 1")
    assert workers.run("rebuild", failpoints="rebuild.retold").status == -signal.SIGKILL
    assert workers.run("rebuild").status == 0
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["transaction.after_commit", "rebuild.switched"])
def test_killed_after_the_switch_the_new_pair_is_in_use(workers: Workers, failpoint: str) -> None:
    (ada, *_) = told_stories()
    # Of the transactions of a rebuild here, the switch is the sixth that commits.
    at = f"{failpoint}:6" if failpoint.startswith("transaction") else failpoint
    assert workers.run("rebuild", failpoints=at).status == -signal.SIGKILL
    mongo.forget()
    assert [mongo.database_name()] == rebuilt_names()
    complete(ada, make_challenge())
    drain()
    assert_stores_agree()
    # The next one knows which is the former database, although nobody had the time to say so.
    assert rebuild.drop_former() == ["suite"]
    assert_stores_agree()


def test_a_repair_that_a_switch_overtook_mends_the_pair_in_use() -> None:
    (ada,) = told_stories(1)
    former = made_anew().former
    complete(ada, make_challenge())
    drain()
    # So far it had read the former database, which is behind for ever.
    mongo.follow(former)
    assert mend_learner(ada.user_id) == []
    assert waiting() == []
    assert_stores_agree()


def test_a_repair_does_not_begin_while_a_rebuild_compares() -> None:
    told_stories(1)
    refused: list[type[Exception]] = []

    def repair(step: str, done: int) -> None:
        with pytest.raises(RepairRunning) as told:
            repair_stores(lambda action: None)
        refused.append(told.type)

    rebuild.rebuild(repair)
    assert len(refused) == 2
    assert_stores_agree()


def test_databases_of_other_stores_are_not_swept() -> None:
    told_stories(1)
    foreign = mongo.client()["suite_00000000"]
    foreign["meta"].insert_one({"_id": "rebuild", "store_id": "another", "epoch": 1})
    ours = mongo.collection("meta").find_one({"_id": "store"})
    assert ours is not None
    kept = mongo.client()["suite_11111111"]
    kept["meta"].insert_one(ours)
    made_anew()
    rebuild.drop_former()
    # The second is what a restore keeps beside: it has no mark of a rebuild.
    assert {"suite_00000000", "suite_11111111"} <= set(rebuilt_names())


def test_rebuild_catches_up_with_relays_and_holds_them_off_for_the_rest(committed_db: Flask) -> None:
    (ada, *_) = told_stories()
    tasks, outcomes = [make_challenge() for _ in range(3)], list[str]()

    def carry() -> str:
        complete(ada, tasks[len(outcomes)])
        try:
            drain()
        except Busy:
            return "held off"
        return "delivered"

    def told(step: str, _: int) -> None:
        # After the first bulk, after the first round, and while the switch does what is left.
        if step == "events replayed":
            outcomes.extend(in_threads(committed_db, carry))

    done = rebuild.rebuild(told)
    assert outcomes == ["delivered", "delivered", "held off"]
    assert mongo.collection("history").count_documents({}) == journal_size() - 1
    assert done.events == journal_size() - 2
    drain()
    assert_stores_agree()


def test_rebuild_while_a_relay_writers_and_readers_run_hides_nothing(committed_db: Flask) -> None:
    people = told_stories(6)
    lists = [[make_challenge() for _ in range(12)] for _ in range(2)]
    stop, readings = threading.Event(), list[int]()

    def carry() -> None:
        Relay(20, 0.01).run(stop)

    def write(who: Actor, tasks: list[Challenge]) -> Callable[[], None]:
        return lambda: [complete(who, task) for task in tasks] and None

    def read() -> None:
        shown = 0
        while not stop.is_set():
            mongo.forget()
            found = progress.get_progress(people[0].user_id, people[0].user_id)
            page = progress.list_history(people[0], people[0].user_id, PageRequest(limit=100), event_type=None).page
            assert found is not None
            assert shown <= found.summary.seq <= len(page.items)
            shown = len(page.items)
            readings.append(shown)

    def make() -> None:
        try:
            for _ in range(3):
                made_anew()
        finally:
            stop.set()

    writers = [write(who, tasks) for who, tasks in zip(people[:2], lists, strict=True)]
    in_threads(committed_db, carry, *writers, read, make)
    assert len(readings) > 10
    mongo.forget()
    drain()
    assert_stores_agree()


def test_a_running_rebuild_killed_at_any_moment_leaves_a_pair(committed_db: Flask) -> None:
    told_stories(6)
    size = journal_size()
    for pause in (0, 0.02, 0.05, 0.1, 0.2):
        before = set(rebuilt_names())
        with started(committed_db, "rebuild") as working:
            until(lambda known=before: set(rebuilt_names()) - known)
            time.sleep(pause)
            working.kill()
        mongo.forget()
        assert_stores_agree()
        assert count_in_use() == size
    made_anew()
    rebuild.drop_former()
    assert rebuilt_names() == [mongo.database_name()]


def count_in_use() -> int:
    return mongo.collection("history").count_documents({})
