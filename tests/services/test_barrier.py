"""The barrier: who holds it and freezes loses it, and finds out."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.errors import Busy
from rebootcamp.events.relay import redrive
from rebootcamp.services.integrity.mending import relays_held_off
from rebootcamp.storage.cut import common_cut
from rebootcamp.storage.locks import BARRIER, barrier, exclusive, share, try_exclusive
from rebootcamp.storage.transactions import transaction
from tests.factories import make_actor
from tests.relay.tools import execute, in_threads, until

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_frozen_holder_loses_the_barrier_and_finds_out() -> None:
    with barrier() as held:
        with pytest.raises(Busy), exclusive(BARRIER, "100ms"):
            pass
        time.sleep(5.5)
        with try_exclusive(BARRIER) as is_free:
            assert is_free
        with pytest.raises(Busy):
            held.lift()


def test_what_was_marked_behind_a_fallen_barrier_does_not_count() -> None:
    with pytest.raises(Busy), common_cut(lambda: time.sleep(5.5)):
        pytest.fail("there is no cut")


def test_a_holder_that_works_keeps_it_and_knows_for_how_long() -> None:
    with barrier() as held:
        with held.kept():
            time.sleep(5.5)
        with try_exclusive(BARRIER) as is_free:
            assert not is_free
        held.lift()
        assert 5500 <= held.milliseconds < 7500
        with try_exclusive(BARRIER) as is_free:
            assert is_free


def test_lifting_twice_is_noticed() -> None:
    with barrier() as held:
        held.lift()
        with pytest.raises(Busy):
            held.lift()


def test_a_batch_longer_than_one_attempt_is_waited_for(committed_db: Flask) -> None:
    is_held = threading.Event()

    def carry() -> float:
        with transaction() as session:
            share(session, BARRIER)
            is_held.set()
            time.sleep(2.6)
        return 0

    def wait() -> float:
        is_held.wait(5)
        started = time.monotonic()
        with barrier() as held:
            held.lift()
        return time.monotonic() - started

    assert in_threads(committed_db, carry, wait)[1] > 2


def test_two_barriers_follow_one_another(committed_db: Flask) -> None:
    def hold() -> float:
        with barrier() as held:
            time.sleep(0.3)
            held.lift()
            return held.milliseconds

    started = time.monotonic()
    assert min(in_threads(committed_db, hold, hold, hold)) >= 300
    assert time.monotonic() - started >= 0.9


def test_a_repair_that_freezes_lets_relays_go_on_and_does_not_go_on_itself() -> None:
    with relays_held_off() as held:
        held.require()
        # As for a process that stands still: nothing says any more that it is alive.
        held.connection.exec_driver_sql("SET idle_session_timeout = '100ms'")
        time.sleep(0.3)
        with try_exclusive(BARRIER) as is_free:
            assert is_free
        with pytest.raises(Busy):
            held.require()


def test_what_a_frozen_repair_was_about_to_commit_falls_before_its_barrier() -> None:
    def seconds(connection: Any, name: str) -> float:
        told = connection.execute(
            sa.text("SELECT extract(epoch FROM current_setting(:name)::interval)"), {"name": name}
        )
        return float(told.scalar())

    with relays_held_off() as held, transaction() as session:
        falls = seconds(held.connection, "idle_session_timeout")
        assert 0 < seconds(session, "idle_in_transaction_session_timeout") < falls < 60


def test_redrive_holds_relays_off_for_no_longer_than_its_transaction_lives(committed_db: Flask) -> None:
    learner = make_actor()
    execute("UPDATE outbox SET dead_at = now() WHERE user_id = :id", id=learner.user_id)
    blocked = """SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.objid = :lock AND l.mode = 'ExclusiveLock'
            AND a.wait_event = 'transactionid'"""

    def watch() -> int:
        with transaction() as session:
            session.execute(sa.text("SELECT FROM outbox FOR UPDATE"))
            is_locked.set()
            until(lambda: session.scalar(sa.text(blocked), {"lock": BARRIER}), 5)
        return 0

    is_locked = threading.Event()
    assert in_threads(committed_db, watch, lambda: is_locked.wait(5) and redrive()) == [0, 1]
