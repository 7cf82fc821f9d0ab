"""Seats of workshops on real stores: never too many, none lost, and the queue in its order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy, DatabaseUnavailable, DomainError, Forbidden, InvalidField, NotFound
from rebootcamp.events.store import fetch_journal
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services import accounts, workshops
from rebootcamp.services.erasures import erase_account
from rebootcamp.services.workshops import queue
from rebootcamp.services.workshops.errors import (
    AlreadyAttended,
    AlreadyRegistered,
    CapacityBelowTaken,
    NoOffer,
    NotRegistered,
    OverlappingWorkshop,
    OwnWorkshop,
    RegistrationClosed,
    TooManyRegistrations,
)
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, drain, make_actor
from tests.factories import workshops as factory
from tests.factories.workshops import enter
from tests.relay.tools import assert_stores_agree, in_threads, make_learners

pytestmark = pytest.mark.usefixtures("committed_db")

NOON = "2026-05-06T12:00:00Z"
MANY = 60


@pytest.fixture
def hand() -> Iterator[Any]:
    """The hand of the clock, on a Wednesday at noon."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def make_workshop(*trainer: Actor, **fields: Any) -> Workshop:
    """Add a workshop that tells its id even after a refusal has rolled the session back."""
    workshop = factory.make_workshop(*trainer, **fields)
    db.session.remove()
    return workshop


def raise_to(workshop: Workshop, capacity: int) -> None:
    """Change the number of seats, as an edit does."""
    with transaction() as session:
        held = session.get_one(Workshop, workshop.id, with_for_update={"key_share": True}, populate_existing=True)
        workshops.change_capacity(session, held, capacity)


def rows(workshop: Workshop) -> list[WorkshopRegistration]:
    """Return all registrations, in the order in which they were made."""
    db.session.remove()
    mine = WorkshopRegistration.workshop_id == workshop.id
    return list(db.session.scalars(sa.select(WorkshopRegistration).where(mine).order_by(WorkshopRegistration.id)))


def statuses(workshop: Workshop) -> list[tuple[str, bool]]:
    """Return the status of each registration, and whether a seat is offered."""
    return [(row.status, row.offered_until is not None) for row in rows(workshop)]


def figures(workshop: Workshop) -> tuple[int, int, int]:
    """Return capacity, taken and waiting."""
    db.session.remove()
    columns = Workshop.capacity, Workshop.taken, Workshop.waiting
    return tuple(db.session.execute(sa.select(*columns).where(Workshop.id == workshop.id)).one())


def told(actor: Actor) -> list[str]:
    """Return what the journal tells of workshops in a learner's line, in order."""
    db.session.remove()
    names = [event.fact.type for event in fetch_journal(actor.user_id)]
    return [name.removeprefix("workshop.") for name in reversed(names) if name.startswith("workshop.")]


def assert_counted(workshop: Workshop) -> None:
    """Counters follow the rows, each row knows its events, and nobody waits for a seat that is free."""
    found = rows(workshop)
    taken = sum(row.status in ("registered", "attended") or row.offered_until is not None for row in found)
    waiting = [row for row in found if row.status == "waitlisted" and row.offered_until is None]
    capacity, *counted = figures(workshop)
    assert counted == [taken, len(waiting)]
    assert taken <= capacity
    assert not (waiting and taken < capacity)
    for row in found:
        mine = [
            event.seq for event in fetch_journal(row.user_id) if getattr(event.fact, "registration_id", None) == row.id
        ]
        assert (row.last_seq, row.first_seq) == (mine[0], mine[-1])


def assert_in_order(workshop: Workshop) -> None:
    """Nobody who came later had a seat while an earlier one still waits."""
    first_waiting = min((row.id for row in rows(workshop) if row.status == "waitlisted"), default=None)
    seated = [row.id for row in rows(workshop) if row.status == "registered"]
    assert first_waiting is None or all(number < first_waiting for number in seated)


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


def at(hours: float, length: float = 2.0, **fields: Any) -> Workshop:
    """Make a workshop in so many hours."""
    starts_at = clock.now() + timedelta(hours=hours)
    return make_workshop(starts_at=starts_at, ends_at=starts_at + timedelta(hours=length), **fields)


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


def change(workshop: Workshop, **values: Any) -> None:
    """Set columns of a workshop."""
    with transaction() as session:
        session.execute(sa.update(Workshop).where(Workshop.id == workshop.id).values(**values))
    db.session.remove()


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


def outcome(work: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Do something, again while the service is busy; return the status or the code of the refusal."""
    for _ in range(50):
        try:
            done = work(*arguments, **options)
        except (Busy, DatabaseUnavailable):
            continue
        except DomainError as error:
            return error.code
        finally:
            db.session.remove()
        return str(getattr(done, "status", "done"))
    raise AssertionError("busy for too long")


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_many_callers_share_few_seats_and_stand_in_line_without_a_gap(committed_db: Flask, capacity: int) -> None:
    workshop, people = make_workshop(capacity=capacity), make_learners(MANY)
    positions: list[int | None] = []

    def attempt(who: Actor) -> str:
        entered = enter(who, workshop)
        positions.append(entered.position)
        return entered.status

    ended = Counter(in_turns(committed_db, [partial(outcome_of, attempt, who) for who in people]))
    assert ended == {"registered": capacity, "waitlisted": MANY - capacity}
    assert sorted(position for position in positions if position) == list(range(1, MANY - capacity + 1))
    assert figures(workshop) == (capacity, capacity, MANY - capacity)
    assert_counted(workshop)
    assert_in_order(workshop)


def outcome_of(attempt: Callable[[Actor], str], who: Actor) -> str:
    for _ in range(50):
        try:
            return attempt(who)
        except (Busy, DatabaseUnavailable):
            continue
        finally:
            db.session.remove()
    raise AssertionError("busy for too long")


def in_turns(app: Flask, tasks: list[Callable[[], str]], threads: int = 6) -> list[str]:
    """Run many tasks in a few threads: the connections of a process are few, too."""
    lanes = [tasks[number::threads] for number in range(threads)]

    def run(lane: list[Callable[[], str]]) -> list[str]:
        return [task() for task in lane]

    return list(itertools.chain.from_iterable(in_threads(app, *(partial(run, lane) for lane in lanes if lane))))


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


@pytest.mark.parametrize("values", [{"status": "cancelled"}, {"archived_at": clock.now()}, {"status": "draft"}])
def test_what_does_not_take_place_promotes_nobody(values: dict[str, Any]) -> None:
    workshop, (ada, bob) = make_workshop(capacity=1), make_learners(2)
    enter(ada, workshop)
    enter(bob, workshop)
    change(workshop, **values)
    workshops.leave(ada, workshop.id)
    assert workshops.promote_waiting() == 0
    assert (statuses(workshop)[1], figures(workshop)) == (("waitlisted", False), (1, 0, 1))


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


def suspend(actor: Actor, is_active: bool) -> None:
    accounts.edit_account(admin(), actor.user_id, accounts.AccountChanges(is_active=is_active))
    db.session.remove()


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
