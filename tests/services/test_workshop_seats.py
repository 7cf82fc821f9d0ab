"""Seats of workshops on real stores: never too many, none lost, and the queue in its order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField
from rebootcamp.events.store import fetch_journal
from rebootcamp.services import workshops
from rebootcamp.services.workshops import queue
from rebootcamp.services.workshops.errors import (
    AlreadyAttended,
    CapacityBelowTaken,
    NoOffer,
    NotRegistered,
    RegistrationClosed,
)
from rebootcamp.storage.sql import db
from tests.factories import admin, drain
from tests.factories.workshops import enter
from tests.relay.tools import assert_stores_agree, in_threads, make_learners
from tests.services.seats import (
    MANY,
    assert_counted,
    assert_in_order,
    at,
    change,
    figures,
    hand,
    in_turns,
    make_workshop,
    outcome,
    raise_to,
    rows,
    statuses,
    suspend,
    told,
)

pytestmark = pytest.mark.usefixtures("committed_db")
__all__ = ["hand"]


def test_seats_then_places_in_the_queue_then_the_next_in_line() -> None:
    workshop, people = make_workshop(capacity=2), make_learners(5)
    entered = [enter(who, workshop) for who in people]
    assert [(one.status, one.position) for one in entered] == [
        ("registered", None),
        ("registered", None),
        ("waitlisted", 1),
        ("waitlisted", 2),
        ("waitlisted", 3),
    ]
    workshops.leave(people[3], workshop.id)
    workshops.leave(people[0], workshop.id)
    assert [told(who) for who in people] == [
        ["registered", "left"],
        ["registered"],
        ["waitlisted", "promoted"],
        ["waitlisted", "left"],
        ["waitlisted"],
    ]
    assert figures(workshop) == (2, 2, 1)
    assert_counted(workshop)
    # Who comes back is the last one.
    assert enter(people[0], workshop).position == 2
    workshops.remove_registration(admin(), workshop.id, people[1].user_id)
    assert [row.status for row in rows(workshop)] == [
        "cancelled",
        "cancelled",
        "registered",
        "cancelled",
        "registered",
        "waitlisted",
    ]
    assert_counted(workshop)
    drain()
    assert_stores_agree()


def test_causes_and_freed_seats_are_told(hand: Any) -> None:
    workshop, people = make_workshop(capacity=1, offer_hours=2), make_learners(5)
    for who in people:
        enter(who, workshop)
    workshops.remove_registration(admin(), workshop.id, people[4].user_id)
    workshops.leave(people[0], workshop.id)
    workshops.leave(people[1], workshop.id)
    hand.shift(timedelta(hours=3))
    assert workshops.promote_waiting() == 2
    left = [
        (event.fact.cause, event.fact.had_seat)
        for who in people
        for event in fetch_journal(who.user_id, event_type="workshop.left")
    ]
    assert left == [("left", True), ("declined", True), ("offer_lapsed", True), ("removed", False)]
    assert [row.offered_until is not None for row in rows(workshop)] == [False, False, False, True, False]
    assert_counted(workshop)


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_many_callers_share_few_seats_and_stand_in_line_without_a_gap(committed_db: Flask, capacity: int) -> None:
    workshop, people = make_workshop(capacity=capacity), make_learners(MANY)
    positions: list[int | None] = []

    def attempt(who: Actor) -> workshops.Registration:
        entered = enter(who, workshop)
        positions.append(entered.position)
        return entered

    ended = Counter(in_turns(committed_db, [partial(outcome, attempt, who) for who in people]))
    assert ended == {"registered": capacity, "waitlisted": MANY - capacity}
    assert sorted(position for position in positions if position) == list(range(1, MANY - capacity + 1))
    assert figures(workshop) == (capacity, capacity, MANY - capacity)
    assert_counted(workshop)
    assert_in_order(workshop)


def test_more_seats_go_to_the_queue_at_once_and_never_below_what_is_taken() -> None:
    workshop, people = make_workshop(capacity=2), make_learners(6)
    for who in people:
        enter(who, workshop)
    raise_to(workshop, 4)
    assert figures(workshop) == (4, 4, 2)
    with pytest.raises(CapacityBelowTaken) as refusal:
        raise_to(workshop, 3)
    assert refusal.value.why == {"taken": 4}
    assert "4" in refusal.value.detail_in("en")
    raise_to(workshop, 9)
    assert figures(workshop) == (9, 6, 0)
    raise_to(workshop, 6)
    assert_counted(workshop)


def test_a_large_raise_is_finished_by_the_relay_and_nobody_slips_in_meanwhile() -> None:
    workshop, people = make_workshop(capacity=1), make_learners(queue.BATCH * 2 + 12)
    for who in people:
        enter(who, workshop)
    raise_to(workshop, 500)
    assert figures(workshop)[1:] == (queue.BATCH + 1, queue.BATCH + 11)
    assert_in_order(workshop)
    (late,) = make_learners(1)
    assert enter(late, workshop).position == queue.BATCH + 12
    assert workshops.promote_waiting(lambda: True) == queue.BATCH
    assert workshops.promote_waiting() == 12
    assert figures(workshop) == (500, len(people) + 1, 0)
    assert workshops.promote_waiting() == 0
    assert_counted(workshop)


def test_a_workshop_that_is_busy_holds_up_no_other(hand: Any) -> None:
    found = [at(100 * number, capacity=1, offer_hours=1) for number in (1, 2)]
    people = make_learners(2)
    for one in found:
        for who in people:
            enter(who, one)
        workshops.leave(people[0], one.id)
    hand.shift(timedelta(hours=2))
    with db.engine.begin() as other:
        other.execute(sa.text("SELECT 1 FROM workshops WHERE id = :id FOR UPDATE"), {"id": found[0].id})
        assert workshops.promote_waiting() == 1
    assert workshops.promote_waiting() == 1
    assert [figures(one) for one in found] == [(1, 0, 0)] * 2


def test_workshops_that_seat_the_same_people_do_not_wait_for_each_other(committed_db: Flask) -> None:
    people = make_learners(9)
    found = [make_workshop(capacity=1) for _ in range(2)]
    for one, order in zip(found, (people, people[::-1]), strict=True):
        for who in order:
            enter(who, one)
    with db.engine.connect() as other:
        # Both commands are in the middle of their lines when they may go on.
        other.execute(sa.text("SELECT 1 FROM learner_states WHERE user_id = :id FOR UPDATE"), {"id": people[4].user_id})
        raised = (partial(outcome, raise_to, one, 9) for one in found)
        assert in_threads(committed_db, *raised, lambda: time.sleep(0.5) or other.rollback())[:2] == ["done"] * 2
    assert [figures(one) for one in found] == [(9, 9, 0)] * 2


def test_an_offer_is_kept_until_it_is_taken_declined_or_over(hand: Any) -> None:
    workshop, (ada, bob, eve, joe) = at(100, capacity=1, offer_hours=3), make_learners(4)
    for who in (ada, bob, eve, joe):
        enter(who, workshop)
    with pytest.raises(NoOffer):
        workshops.accept_offer(bob, workshop.id)
    workshops.leave(ada, workshop.id)
    with pytest.raises(NotRegistered):
        workshops.accept_offer(ada, workshop.id)
    assert statuses(workshop)[1:] == [("waitlisted", True), ("waitlisted", False), ("waitlisted", False)]
    assert figures(workshop) == (1, 1, 2)
    # Offered is not free: the next one waits.
    assert enter(ada, workshop).position == 4
    hand.shift(timedelta(hours=3))
    with pytest.raises(NoOffer):
        workshops.accept_offer(bob, workshop.id)
    assert workshops.promote_waiting() == 2
    hand.shift(timedelta(hours=2, minutes=59))
    accepted = workshops.accept_offer(eve, workshop.id)
    assert (accepted.status, accepted.position, accepted.offered_until) == ("registered", None, None)
    assert told(bob) == ["waitlisted", "offered", "left"]
    assert told(eve) == ["waitlisted", "offered", "promoted"]
    with pytest.raises(NoOffer):
        workshops.accept_offer(eve, workshop.id)
    workshops.leave(eve, workshop.id)
    workshops.leave(joe, workshop.id)
    assert statuses(workshop)[-1] == ("waitlisted", True)
    assert_counted(workshop)


def test_no_offer_outlasts_the_beginning_and_nobody_is_promoted_after_it(hand: Any) -> None:
    workshop, (ada, bob, eve) = at(2, capacity=1, offer_hours=24), make_learners(3)
    for who in (ada, bob, eve):
        enter(who, workshop)
    workshops.leave(ada, workshop.id)
    assert rows(workshop)[1].offered_until == workshop.starts_at
    hand.shift(timedelta(hours=2))
    with pytest.raises(NoOffer):
        workshops.accept_offer(bob, workshop.id)
    assert workshops.promote_waiting() == 1
    assert workshops.promote_waiting() == 0
    assert [status for status, _ in statuses(workshop)] == ["cancelled", "cancelled", "waitlisted"]
    with pytest.raises(RegistrationClosed):
        workshops.leave(eve, workshop.id)
    workshops.remove_registration(admin(), workshop.id, eve.user_id)
    assert figures(workshop) == (1, 0, 0)


def test_an_offer_ends_with_the_beginning_of_a_workshop_that_was_moved_forward(hand: Any) -> None:
    workshop, (ada, bob) = at(100, capacity=1, offer_hours=50), make_learners(2)
    for who in (ada, bob):
        enter(who, workshop)
    workshops.leave(ada, workshop.id)
    change(workshop, starts_at=clock.now() + timedelta(hours=1), ends_at=clock.now() + timedelta(hours=3))
    assert workshops.promote_waiting() == 0
    hand.shift(timedelta(hours=1))
    with pytest.raises(RegistrationClosed):
        workshops.accept_offer(bob, workshop.id)
    assert workshops.promote_waiting() == 1
    assert told(bob) == ["waitlisted", "offered", "left"]
    assert figures(workshop) == (1, 0, 0)


@pytest.mark.parametrize("values", [{"status": "cancelled"}, {"archived_at": clock.now()}, {"status": "draft"}])
def test_what_does_not_take_place_promotes_nobody(values: dict[str, Any]) -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    enter(ada, workshop)
    enter(bob, workshop)
    change(workshop, **values)
    workshops.leave(ada, workshop.id)
    assert workshops.promote_waiting() == 0
    assert (statuses(workshop)[1], figures(workshop)) == (("waitlisted", False), (1, 0, 1))


def test_who_leaves_the_queue_is_not_given_the_seat_that_is_free() -> None:
    workshop, (ada, bob, eve) = make_workshop(capacity=1), make_learners(3)
    for who in (ada, bob, eve):
        enter(who, workshop)
    # As in the middle of a large raise.
    change(workshop, capacity=5)
    workshops.leave(bob, workshop.id)
    assert (told(bob), told(eve)) == (["waitlisted", "left"], ["waitlisted", "promoted"])
    assert figures(workshop) == (5, 2, 0)


def test_closed_registrations_still_promote() -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    enter(ada, workshop)
    enter(bob, workshop)
    change(workshop, status="closed")
    workshops.leave(ada, workshop.id)
    assert told(bob) == ["waitlisted", "promoted"]


def test_suspended_people_keep_their_place_and_are_passed_over() -> None:
    workshop, (ada, bob, eve, joe) = make_workshop(capacity=1), make_learners(4)
    for who in (ada, bob, eve):
        enter(who, workshop)
    suspend(bob, False)
    workshops.leave(ada, workshop.id)
    assert (told(bob), told(eve)) == (["waitlisted"], ["waitlisted", "promoted"])
    workshops.leave(eve, workshop.id)
    # A seat is free, and only a suspended person waits: nobody is kept out.
    assert enter(joe, workshop).status == "registered"
    suspend(bob, True)
    assert enter(ada, workshop).position == 2
    workshops.leave(joe, workshop.id)
    assert (told(bob), figures(workshop)) == (["waitlisted", "promoted"], (1, 1, 1))


def test_a_seat_that_nobody_could_take_goes_to_whoever_is_let_in_again() -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    enter(ada, workshop)
    enter(bob, workshop)
    suspend(bob, False)
    workshops.leave(ada, workshop.id)
    assert workshops.promote_waiting() == 0
    suspend(bob, True)
    assert workshops.promote_waiting() == 1
    assert figures(workshop) == (1, 1, 0)


def test_attended_people_keep_their_seat_until_that_is_taken_back() -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    enter(ada, workshop)
    enter(bob, workshop)
    assert workshops.mark_attendance(admin(), workshop.id, [ada.user_id]) == [ada.user_id]
    for attempt in (
        partial(workshops.leave, ada, workshop.id),
        partial(workshops.remove_registration, admin(), workshop.id, ada.user_id),
    ):
        with pytest.raises(AlreadyAttended):
            attempt()
    with pytest.raises(InvalidField) as refusal:
        workshops.mark_attendance(admin(), workshop.id, [ada.user_id, bob.user_id])
    assert refusal.value.pointer == "/user_ids/1"
    workshops.revoke_attendance(admin(), workshop.id, ada.user_id)
    workshops.leave(ada, workshop.id)
    assert told(bob) == ["waitlisted", "promoted"]
    assert_counted(workshop)


class Walk:
    """A workshop to which many people do random things at once; what must hold is asked when they rest."""

    def __init__(self, app: Flask, random: Random, **fields: Any) -> None:
        self.app, self.random = app, random
        self.workshop, self.people = make_workshop(capacity=3, **fields), make_learners(12)

    def step(self) -> Callable[[], str]:
        """Return something that somebody may do."""
        who, number = self.random.choice(self.people), self.workshop.id
        done: list[Callable[[], Any]] = [
            partial(enter, who, self.workshop),
            partial(enter, who, self.workshop),
            partial(workshops.leave, who, number),
            partial(workshops.accept_offer, who, number),
            partial(workshops.remove_registration, self.trainer, number, who.user_id),
            partial(raise_to, self.workshop, self.random.randint(1, 8)),
            partial(workshops.promote_waiting),
        ]
        return partial(outcome, self.random.choices(done, weights=(5, 5, 5, 5, 1, 2, 1))[0])

    @property
    def trainer(self) -> Actor:
        return Actor(self.workshop.trainer_id, "instructor")

    def phase(self, steps: int) -> Counter[str]:
        """Let six do so many things at once."""
        ended = Counter(in_turns(self.app, [self.step() for _ in range(steps)]))
        workshops.promote_waiting()
        assert_counted(self.workshop)
        self.assert_nobody_skipped()
        return ended

    def assert_nobody_skipped(self) -> None:
        """Whoever got a seat later than an earlier one who waits still would have been skipped.

        Seats are given under the workshop's lock, so their order is that of ids, phase by phase.
        """
        found = [row for row in rows(self.workshop) if row.status != "cancelled"]
        first = min((row.id for row in found if row.status == "waitlisted" and row.offered_until is None), default=None)
        later = [row for row in found if row.id > (first or row.id) and (row.seated_at or row.offered_until)]
        assert later == []


@pytest.mark.parametrize("fields", [{}, {"offer_hours": 1}])
def test_random_walks_lose_no_seat_and_skip_nobody(committed_db: Flask, fields: dict[str, Any]) -> None:
    walk = Walk(committed_db, Random(7), **fields)
    ended: Counter[str] = Counter()
    with time_machine.travel(clock.now(), tick=True) as hand:
        for _ in range(6):
            ended += walk.phase(40)
            # Offers that nobody took are over now.
            hand.shift(timedelta(hours=1, minutes=1))
        drain()
        assert_stores_agree()
    expected = {"registered", "waitlisted", "done", "already_registered", "not_registered", "no_offer"}
    assert expected <= set(ended) <= expected | {"not_found", "capacity_below_taken"}
