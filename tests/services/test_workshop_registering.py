"""Who may register for a workshop, and who may not; what becomes of the seats of who is erased."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.errors import Busy, Forbidden, NotFound, Unauthenticated
from rebootcamp.events.store import fetch_journal
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import accounts, workshops
from rebootcamp.services.erasures import erase_account
from rebootcamp.services.workshops.errors import (
    AlreadyRegistered,
    OverlappingWorkshop,
    OwnWorkshop,
    RegistrationClosed,
    TooManyRegistrations,
)
from rebootcamp.storage.sql import db
from tests.factories import admin, drain, make_actor
from tests.factories.workshops import enter
from tests.relay.tools import assert_stores_agree, in_threads, make_learners
from tests.services.seats import NOON, at, change, figures, hand, make_workshop, outcome, rows, statuses, suspend, told

pytestmark = pytest.mark.usefixtures("committed_db")
__all__ = ["hand"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "cancelled", "cancelled_at": datetime.fromisoformat(NOON)}, "cancelled"),
        ({"status": "closed"}, "closed"),
        ({"registration_opens_at": datetime.fromisoformat("2026-05-06T12:00:01Z")}, "window"),
        ({"registration_closes_at": datetime.fromisoformat(NOON)}, "window"),
        (
            {"starts_at": datetime.fromisoformat(NOON), "ends_at": datetime.fromisoformat("2026-05-07T12:00:01Z")},
            "started",
        ),
    ],
)
def test_nobody_registers_when_registrations_are_closed(hand: Any, fields: dict[str, Any], reason: str) -> None:
    workshop, ada = make_workshop(**fields), make_actor()
    with pytest.raises(RegistrationClosed) as refusal:
        enter(ada, workshop)
    assert refusal.value.why is not None
    assert refusal.value.why["reason"] == reason
    assert (rows(workshop), told(ada)) == ([], [])


def test_the_window_is_open_from_its_first_instant_to_before_its_last(hand: Any) -> None:
    now = clock.now()
    times = {"registration_opens_at": now, "registration_closes_at": now + timedelta(milliseconds=1)}
    workshop = make_workshop(starts_at=now + timedelta(milliseconds=1), **times)
    assert enter(make_actor(), workshop).status == "registered"


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"archived_at": datetime.fromisoformat(NOON)}])
def test_drafts_and_archived_workshops_are_unknown_to_others(fields: dict[str, Any]) -> None:
    trainer = make_actor("instructor")
    workshop = make_workshop(trainer, **fields)
    for who in (make_actor(), make_actor("instructor")):
        for attempt in (partial(enter, who, workshop), partial(workshops.leave, who, workshop.id)):
            with pytest.raises(NotFound):
                attempt()
    with pytest.raises(NotFound):
        workshops.mark_attendance(make_actor("instructor"), workshop.id, [who.user_id])
    with pytest.raises(OwnWorkshop):
        enter(trainer, workshop)
    with pytest.raises(RegistrationClosed):
        enter(admin(), workshop)


def test_a_trainer_needs_no_seat_and_another_one_may_take_it() -> None:
    trainer, other = make_actor("instructor"), make_actor("instructor")
    workshop = make_workshop(trainer)
    with pytest.raises(OwnWorkshop):
        enter(trainer, workshop)
    assert enter(other, workshop).status == "registered"
    with pytest.raises(Forbidden):
        workshops.remove_registration(other, workshop.id, other.user_id)


def test_one_is_registered_once_and_told_what_one_has() -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    first = enter(ada, workshop)
    enter(bob, workshop)
    for who, status in ((ada, "registered"), (bob, "waitlisted")):
        with pytest.raises(AlreadyRegistered) as refusal:
            enter(who, workshop)
        assert refusal.value.why is not None
        assert refusal.value.why["status"] == status
        assert refusal.value.why["registered_at"] >= first.registered_at
    assert figures(workshop) == (1, 1, 1)


def test_workshops_at_the_same_time_are_refused_and_neighbours_are_not(hand: Any) -> None:
    ada, middle = make_actor(), at(10)
    enter(ada, middle)
    for hours, length in ((9, 1.001), (11.999, 2), (10.5, 0.5), (5, 20)):
        with pytest.raises(OverlappingWorkshop) as refusal:
            enter(ada, at(hours, length))
        assert refusal.value.why is not None
        assert refusal.value.why["workshop_id"] == middle.id
    assert [enter(ada, at(hours)).status for hours in (8, 12)] == ["registered"] * 2
    assert enter(ada, at(10), refuses_overlap=False).status == "registered"


def test_waiting_counts_as_being_there_and_what_is_over_does_not() -> None:
    ada, (bob,) = make_actor(), make_learners(1)
    full = at(10, capacity=1)
    enter(bob, full)
    enter(ada, full)
    with pytest.raises(OverlappingWorkshop):
        enter(ada, at(11))
    workshops.leave(ada, full.id)
    assert enter(ada, at(11)).status == "registered"


def test_cancelled_and_archived_workshops_take_no_time(hand: Any) -> None:
    ada, cancelled, archived = make_actor(), at(10), at(20)
    enter(ada, cancelled)
    enter(ada, archived)
    change(cancelled, status="cancelled")
    change(archived, archived_at=clock.now())
    assert enter(ada, at(10), at_most=1).status == "registered"
    with pytest.raises(TooManyRegistrations):
        enter(ada, at(20), at_most=1)
    assert enter(ada, at(20), at_most=2).status == "registered"


def test_upcoming_workshops_are_limited_and_past_ones_are_not(hand: Any) -> None:
    ada = make_actor()
    first = at(1)
    enter(ada, first, at_most=2)
    enter(ada, at(5), at_most=2)
    with pytest.raises(TooManyRegistrations) as refusal:
        enter(ada, at(9), at_most=2)
    assert "2" in refusal.value.detail_in("fr")
    hand.shift(timedelta(hours=2))
    assert enter(ada, at(9), at_most=2).status == "registered"


def test_one_learner_in_many_requests_passes_no_limit(committed_db: Flask) -> None:
    (ada,) = make_learners(1)
    same, apart = [at(10) for _ in range(6)], [at(100 * number) for number in range(1, 7)]

    def attempts(found: list[Workshop], **limits: Any) -> Counter[str]:
        return Counter(in_threads(committed_db, *(partial(outcome, enter, ada, one, **limits) for one in found)))

    assert attempts(same) == {"registered": 1, "overlapping_workshop": 5}
    assert attempts(apart, at_most=4) == {"registered": 3, "too_many_registrations": 3}


def test_who_meets_a_busy_workshop_is_turned_away_with_nothing_done() -> None:
    workshop, ada = make_workshop(), make_actor()
    with db.engine.begin() as other:
        other.execute(sa.text("SELECT 1 FROM workshops WHERE id = :id FOR NO KEY UPDATE"), {"id": workshop.id})
        with pytest.raises(Busy):
            enter(ada, workshop)
    assert (rows(workshop), told(ada), figures(workshop)) == ([], [], (2, 0, 0))
    assert enter(ada, workshop).status == "registered"


def test_an_erased_person_gives_every_seat_on_and_a_suspended_one_none(tmp_path: Path, hand: Any) -> None:
    past, full, waited = at(1, capacity=1), at(10, capacity=1), at(20, capacity=1)
    ada, (bob, eve) = make_actor(), make_learners(2)
    for one in (past, full):
        enter(ada, one)
        enter(bob, one)
    for who in (eve, ada, bob):
        enter(who, waited)
    suspend(ada, False)
    assert [figures(one) for one in (past, full, waited)] == [(1, 1, 1), (1, 1, 1), (1, 1, 2)]
    hand.shift(timedelta(hours=2))
    assert erase_account(ada.user_id, tmp_path / "erasures.jsonl")
    assert [figures(one) for one in (past, full, waited)] == [(1, 1, 1), (1, 1, 0), (1, 1, 1)]
    assert told(bob) == ["waitlisted", "waitlisted", "waitlisted", "promoted"]
    assert {event.fact.cause for event in fetch_journal(ada.user_id, event_type="workshop.left")} == {"account_erased"}
    assert not erase_account(ada.user_id, tmp_path / "erasures.jsonl")
    drain()
    assert_stores_agree()


def test_who_was_suspended_after_the_request_was_let_in_gets_no_seat() -> None:
    workshop, (ada,) = make_workshop(), make_learners(1)
    suspend(ada, False)
    # An actor was confirmed before, as by a row that a waiting request had read.
    with pytest.raises(Unauthenticated):
        enter(ada, workshop)
    assert (statuses(workshop), told(ada)) == ([], [])


def test_who_may_not_be_erased_keeps_the_seats(tmp_path: Path) -> None:
    root, workshop = admin(), make_workshop()
    enter(root, workshop)
    with pytest.raises(accounts.LastAdmin):
        erase_account(root.user_id, tmp_path / "erasures.jsonl")
    assert statuses(workshop) == [("registered", False)]


def test_people_who_register_while_being_erased_leave_no_seat_behind(committed_db: Flask, tmp_path: Path) -> None:
    for number in range(5):
        (ada,), found = make_learners(1), [make_workshop(capacity=1) for _ in range(4)]
        erase = partial(erase_account, ada.user_id, tmp_path / f"{number}.jsonl")
        in_threads(committed_db, *(partial(outcome, enter, ada, one) for one in found), partial(outcome, erase))
        assert [figures(one) for one in found] == [(1, 0, 0)] * 4
