"""What tests about seats share: workshops and their people, both stores as plain values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Busy, DatabaseUnavailable, DomainError
from rebootcamp.events.store import fetch_journal
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services import accounts, workshops
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import DEADLOCK, transaction
from tests.factories import admin
from tests.factories import workshops as factory
from tests.relay.tools import in_threads

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


def at(hours: float, length: float = 2.0, **fields: Any) -> Workshop:
    """Make a workshop in so many hours."""
    starts_at = clock.now() + timedelta(hours=hours)
    return make_workshop(starts_at=starts_at, ends_at=starts_at + timedelta(hours=length), **fields)


def change(workshop: Workshop, **values: Any) -> None:
    """Set columns of a workshop."""
    with transaction() as session:
        session.execute(sa.update(Workshop).where(Workshop.id == workshop.id).values(**values))
    db.session.remove()


def outcome(work: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Do something, again while the service is busy; return the status or the code of the refusal.

    Waiting for a lock is no fault, waiting for each other is.
    """
    for _ in range(50):
        try:
            done = work(*arguments, **options)
        except (Busy, DatabaseUnavailable) as error:
            if getattr(getattr(error.__cause__, "orig", None), "pgcode", None) == DEADLOCK:
                raise AssertionError("two commands waited for each other") from error
        except DomainError as error:
            return error.code
        finally:
            db.session.remove()
        return str(getattr(done, "status", "done"))
    raise AssertionError("busy for too long")


def in_turns(app: Flask, tasks: list[Callable[[], str]], threads: int = 6) -> list[str]:
    """Run many tasks in a few threads: the connections of a process are few, too."""
    lanes = [tasks[number::threads] for number in range(threads)]

    def run(lane: list[Callable[[], str]]) -> list[str]:
        return [task() for task in lane]

    return list(itertools.chain.from_iterable(in_threads(app, *(partial(run, lane) for lane in lanes if lane))))


def suspend(actor: Actor, is_active: bool) -> None:
    accounts.edit_account(admin(), actor.user_id, accounts.AccountChanges(is_active=is_active))
    db.session.remove()
