"""The check while the service runs: it waits for what is under way, and never cries wolf."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.relay import Relay
from rebootcamp.services import badges, challenges, workshops
from rebootcamp.services.backfills import work_on_backfills
from rebootcamp.services.integrity import check_stores, repair_stores
from rebootcamp.services.integrity.mending import mend_learner
from rebootcamp.services.integrity.repair import RepairRunning
from rebootcamp.services.workshops.comments import LIMIT
from rebootcamp.services.workshops.log import list_log
from rebootcamp.services.workshops.registrations import list_registrations
from rebootcamp.services.workshops.retention import forget_log
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import REPAIR, try_exclusive
from tests.factories import admin, complete, drain, make_actor, make_badge, make_challenge, make_group
from tests.factories.workshops import enter, make_workshop
from tests.relay.tools import execute, fault, in_threads, make_learners
from tests.services.test_integrity import sound_stores

# What a registration is after its last step.
STATUSES = {
    **dict.fromkeys(("registered", "promoted", "attendance_revoked"), "registered"),
    **dict.fromkeys(("waitlisted", "offered"), "waitlisted"),
    "left": "cancelled",
    "attended": "attended",
}
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.mark.parametrize("command", ["insert", "update"])
def test_check_waits_for_the_write_that_is_under_way(committed_db: Flask, command: str) -> None:
    ada, _ = sound_stores()
    if command == "insert":
        complete(ada, make_challenge())
    else:
        badges.update_badge(admin(), "gift", {"points": 11}, None)
    is_asked = threading.Event()

    def carry() -> float:
        with fault({"times": 1}, failCommands=[command], blockConnection=True, blockTimeMS=800):
            is_asked.set()
            Relay(10, 0.01).drain()
        return 0

    def check() -> float:
        is_asked.wait(5)
        time.sleep(0.2)
        started = time.monotonic()
        report = check_stores()
        assert (report.findings, report.pending) == ([], 0)
        return time.monotonic() - started

    assert in_threads(committed_db, carry, check)[1] > 0.3


class Load:
    """Learners who complete and lose, an administrator who edits badges, relays that carry it all."""

    def __init__(self, app: Flask) -> None:
        make_badge("first_step")
        make_badge("tenth_step", at_least=10)
        self.learners, self.tasks = make_learners(6), [make_challenge(cadence="daily") for _ in range(40)]
        make_group(*self.learners[:3])
        # One that all of them want, and one with room for all.
        self.trainer = make_actor("instructor")
        self.narrow, self.wide = (make_workshop(self.trainer, capacity=seats) for seats in (2, 20))
        self._app, self._boss, self._stop = app, admin(), threading.Event()

    def run(self, seconds: float, look: Callable[[], None]) -> int:
        """Look again and again while all of them are at work; return how often."""

        def watch() -> int:
            looks, until = 0, time.monotonic() + seconds
            try:
                while time.monotonic() < until:
                    look()
                    looks += 1
                    time.sleep(0.05)
            finally:
                self._stop.set()
            return looks

        shares = [lambda: self._write(self.learners[:3]), lambda: self._write(self.learners[3:])]
        return max(in_threads(self._app, *shares, self._meet, self._carry, self._carry, watch))

    def _meet(self) -> int:
        """Let all come and go, with more seats and fewer; some are there, and all talk about it."""
        rounds = itertools.count()
        while True:
            number = next(rounds)
            for place, learner in enumerate(self.learners):
                if self._stop.is_set():
                    return 0
                for workshop in (self.narrow, self.wide):
                    enter(learner, workshop)
                if place % 2:
                    workshops.leave(learner, self.narrow.id)
                if number < LIMIT:
                    self._talk(learner, number)
                workshops.mark_attendance(self.trainer, self.wide.id, [learner.user_id])
                workshops.revoke_attendance(self.trainer, self.wide.id, learner.user_id)
                workshops.leave(learner, self.wide.id)
            workshops.update_workshop(self.trainer, self.narrow.id, {"capacity": 3}, None)
            for place, learner in enumerate(self.learners):
                if not place % 2:
                    workshops.leave(learner, self.narrow.id)
            workshops.update_workshop(self.trainer, self.narrow.id, {"capacity": 2}, None)

    def _talk(self, learner: Actor, number: int) -> None:
        """Say something, correct it and take every other one back, while a job clears away behind."""
        said = workshops.add_comment(learner, self.wide.id, f"Number {number}.")
        for version in range(1, 4):
            workshops.edit_comment(learner, self.wide.id, said.id, f"Version {version}.", version)
        if number % 2:
            workshops.delete_comment(learner, self.wide.id, said.id)
            forget_log(lambda _: None)

    def _write(self, share: list[Actor]) -> int:
        for task in self.tasks * 20:
            for learner in share:
                if self._stop.is_set():
                    return 0
                done = complete(learner, task)
                # A daily challenge cannot be done twice a day: taken back, it can.
                challenges.revoke_completion(self._boss, learner.user_id, done.completion.id, reason="Again.")
                if task.id % 4 == 0:
                    badges.update_badge(self._boss, "first_step", {"points": 10 + task.id}, None)
                if task.id % 7 == 0:
                    rule = {"count": {"event": "challenge.completed", "at_least": task.id % 3 + 1}}
                    badges.update_badge(self._boss, "tenth_step", {"criteria": rule}, None, holders="reevaluate")
        return 0

    def _carry(self) -> int:
        Relay(20, 0.01, chores=(work_on_backfills,)).run(self._stop)
        return 0


def test_check_and_repair_under_load_raise_no_false_alarm_and_change_nothing(committed_db: Flask) -> None:
    load, actions = Load(committed_db), list[str]()
    turns = itertools.cycle(load.learners)

    def look() -> None:
        one = next(turns).user_id
        assert check_stores().findings == check_stores(one).findings == check_stores(seconds_a_cut=0).findings == []
        assert repair_stores(actions.append).findings == repair_stores(actions.append, one).findings == []
        # Nothing to mend was found, so nobody tried: whoever tries all the same changes nothing either.
        assert mend_learner(one) == []

    assert load.run(10, look) >= 3
    assert actions == []
    drain()
    assert check_stores().findings == []
    assert mongo.collection("_quarantine").count_documents({}) == 0


def test_repair_under_load_mends_what_is_broken_and_nothing_else(committed_db: Flask) -> None:
    load, actions, dice = Load(committed_db), list[str](), random.Random(4)
    wounds = [
        lambda ada: mongo.collection("history").delete_many({"user_id": ada}),
        lambda ada: mongo.collection("awards").delete_many({"user_id": ada}),
        lambda ada: mongo.collection("progress").update_one({"_id": ada}, {"$inc": {"totals.badge_points": 1}}),
        lambda ada: execute("UPDATE learner_states SET xp_total = xp_total + 1 WHERE user_id = :ada", ada=ada),
        lambda ada: execute("UPDATE leaderboard_entries SET score = score + 1 WHERE user_id = :ada", ada=ada),
        lambda ada: execute("UPDATE eco_contributions SET co2e_grams = 7 WHERE user_id = :ada", ada=ada),
        lambda _: execute("UPDATE eco_totals SET value = value + 3"),
        lambda _: execute("UPDATE leaderboard_counts SET learners = learners + 1 WHERE level = 2"),
        lambda _: execute("UPDATE groups SET members = members + 1"),
        lambda ada: mongo.collection("registrations").delete_many({"user_id": ada}),
        lambda ada: mongo.collection("registrations").update_many({"user_id": ada}, {"$set": {"note": "x"}}),
        lambda _: execute("UPDATE workshops SET waiting = waiting + 1"),
    ]

    def look() -> None:
        dice.choice(wounds)(dice.choice(load.learners).user_id)
        repair_stores(actions.append)

    load.run(6, look)
    assert actions
    drain()
    repair_stores(actions.append)
    drain()
    assert check_stores().findings == []


def test_registrations_are_told_whole_while_relays_are_at_work(committed_db: Flask) -> None:
    load, told = Load(committed_db), 0

    def look() -> None:
        nonlocal told
        for workshop in (load.narrow, load.wide):
            mongo.forget()
            found = list_registrations(load.trainer, workshop.id, PageRequest(100))
            for row in found.page.items:
                steps = {int(seq): step["type"] for seq, step in row["steps"].items()}
                assert (min(steps), max(steps)) == (row["first_seq"], row["last_seq"])
                assert row["status"] == STATUSES[steps[max(steps)]]
            told += len(found.page.items)
            log = list_log(load.trainer, workshop.id, PageRequest(100)).page.items
            entries = [(entry["at"], entry["id"]) for entry in log]
            assert entries == sorted(set(entries), reverse=True)

    load.run(4, look)
    assert told > 50


def test_two_repairs_do_not_work_at_once(committed_db: Flask) -> None:
    sound_stores()
    with try_exclusive(REPAIR), pytest.raises(RepairRunning):
        repair_stores(lambda action: None)
