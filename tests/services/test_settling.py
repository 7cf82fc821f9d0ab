"""A restored pair is judged as of the moment at which it was saved."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.events.relay import Relay
from rebootcamp.services.backups.settling import NotSound, settle
from rebootcamp.services.integrity import check_stores
from tests.factories import complete, drain, make_actor, make_challenge
from tests.factories.workshops import make_stay, make_workshop
from tests.relay.tools import execute

LONG = timedelta(days=30)


def relay() -> Relay:
    return Relay(batch=100, poll_seconds=0.01)


def test_what_waited_when_it_was_saved_did_not_grow_late_on_the_shelf(committed_db: Flask, tmp_path: Path) -> None:
    complete(make_actor(), make_challenge())
    saved_at = clock.now()
    with time_machine.travel(saved_at + LONG):
        assert [finding.invariant for finding in check_stores().findings] == ["outbox age"]
        settled = settle(relay(), 0, saved_at, tmp_path / "erasures.jsonl")
    assert (settled.findings, settled.pending) == (0, 0)
    assert settled.delivered > 0


def test_a_seat_that_was_about_to_be_given_is_no_damage(committed_db: Flask, tmp_path: Path) -> None:
    # As between a large raise and the relay that gives the seats on.
    workshop = make_workshop(capacity=3, starts_at=clock.now() + 2 * LONG, ends_at=clock.now() + 3 * LONG)
    make_stay(workshop, make_actor(), "waitlisted")
    drain()
    saved_at, wrong = clock.now(), "registration rows"
    assert {finding.invariant for finding in check_stores().findings} == {wrong}
    with time_machine.travel(saved_at + LONG):
        assert {finding.invariant for finding in check_stores().findings} == {wrong, "queue"}
        assert {finding.invariant for finding in check_stores(as_of=saved_at).findings} == {wrong}


def test_what_was_damaged_since_is_still_found(committed_db: Flask, tmp_path: Path) -> None:
    ada = make_actor()
    complete(ada, make_challenge())
    drain()
    execute("UPDATE learner_states SET xp_total = xp_total + 1")
    with pytest.raises(NotSound):
        settle(relay(), 0, clock.now(), tmp_path / "erasures.jsonl")
