"""kill -9 while seats change hands: none is lost, none given twice, and the queue keeps its order."""

from __future__ import annotations

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.workshops import queue
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.factories import PASSWORD, drain, make_actor
from tests.factories.workshops import enter, make_workshop
from tests.relay.test_web_crashes import Client, web_service
from tests.relay.tools import assert_stores_agree, make_learners
from tests.relay.workers import Workers
from tests.services.seats import assert_counted, assert_in_order, figures, told

pytestmark = pytest.mark.usefixtures("committed_db")

KILLED = -signal.SIGKILL


@pytest.mark.parametrize("offer_hours", [None, 2])
@pytest.mark.parametrize(
    ("failpoint", "is_saved"),
    [
        # First it is told who left, then who comes.
        ("journal.saved:1", False),
        ("journal.saved:2", False),
        ("transaction.before_commit", False),
        ("transaction.after_commit", True),
    ],
)
def test_a_killed_leaving_gives_the_seat_on_once(
    workers: Workers, failpoint: str, is_saved: bool, offer_hours: int | None
) -> None:
    workshop, (ada, bob, eve) = make_workshop(capacity=1, offer_hours=offer_hours), make_learners(3)
    db.session.remove()
    for who in (ada, bob, eve):
        enter(who, workshop)
    got = "promoted" if offer_hours is None else "offered"
    assert workers.run("leave", ada.user_id, workshop.id, failpoints=failpoint).status == KILLED
    assert (told(ada)[1:], told(bob)[1:]) == ((["left"], [got]) if is_saved else ([], []))
    assert_counted(workshop)
    assert workers.run("leave", ada.user_id, workshop.id).acknowledged == [-workshop.id if is_saved else workshop.id]
    assert (told(ada)[1:], told(bob)[1:], told(eve)[1:]) == (["left"], [got], [])
    assert figures(workshop) == (1, 1, 1)
    assert_counted(workshop)
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["journal.saved", "transaction.before_commit", "transaction.after_commit"])
def test_a_killed_relay_goes_on_giving_seats_where_it_was(workers: Workers, failpoint: str) -> None:
    workshop, people = make_workshop(capacity=1), make_learners(queue.BATCH + 12)
    db.session.remove()
    for who in people:
        enter(who, workshop)
    # As after a large raise: many seats are free, and many wait.
    with transaction() as session:
        session.execute(sa.update(Workshop).where(Workshop.id == workshop.id).values(capacity=100))
    kills = 0
    while workers.run("promote", failpoints=f"{failpoint}:{2 + 9 * kills}").status == KILLED and kills < 30:
        kills += 1
        assert_in_order(workshop)
    assert kills > 0
    workers.run("promote")
    assert figures(workshop) == (100, len(people), 0)
    assert {tuple(told(who)) for who in people[1:]} == {("waitlisted", "promoted")}
    assert_counted(workshop)
    drain()
    assert_stores_agree()


@pytest.mark.parametrize("failpoint", ["transaction.before_commit:4", "transaction.after_commit:4"])
def test_killed_web_workers_neither_lose_nor_double_a_seat(committed_db: Flask, tmp_path: Path, failpoint: str) -> None:
    numbers = [make_workshop(capacity=2).id for _ in range(4)]
    emails = [f"guest{number}@example.org" for number in range(4)]
    for email in emails:
        make_actor(email=email)
    log = tmp_path / "gunicorn.log"
    with web_service(committed_db.config["REBOOTCAMP"], log, TEST_FAILPOINTS=failpoint) as address:
        clients = [Client(address) for _ in emails]
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(register_everywhere, clients, emails, itertools.repeat(numbers)))
    assert log.read_text().count("SIGKILL") >= 3
    for index, number in enumerate(numbers):
        got = sorted(answer[index] for answer in answers)
        assert got == [("registered", None), ("registered", None), ("waitlisted", 1), ("waitlisted", 2)]
        with transaction() as session:
            mine = WorkshopRegistration.workshop_id == number
            assert session.scalar(sa.select(sa.func.count()).where(mine)) == 4
    drain()
    assert_stores_agree()


def register_everywhere(client: Client, email: str, workshop_ids: list[int]) -> list[tuple[str, int | None]]:
    """Sign in and register for every workshop; return what came of each."""
    client.token = client.post("/api/auth/login", {"email": email, "password": PASSWORD}).json()["access_token"]
    bodies = [client.post(f"/api/workshops/{one}/register", {}, key=f"enter-{one}").json() for one in workshop_ids]
    return [(body["status"], body["position"]) for body in bodies]
