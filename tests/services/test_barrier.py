"""The barrier: who holds it and freezes loses it, and finds out."""

from __future__ import annotations

import threading
import time

import pytest
from flask import Flask

from rebootcamp.core.errors import Busy
from rebootcamp.storage.cut import common_cut
from rebootcamp.storage.locks import BARRIER, barrier, exclusive, share, try_exclusive
from rebootcamp.storage.transactions import transaction
from tests.relay.tools import in_threads

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
