"""Many people want the same few seats at the same moment, over several processes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from rebootcamp.app import create_app
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.acceptance.service import Caller, Service, at_once
from tests.factories.workshops import make_workshop

MANY = 60


@pytest.fixture(scope="module")
def crowd(service: Service) -> list[Caller]:
    """Many learners."""
    return [caller for _ in range(MANY // 4) for caller in at_once([service.join] * 4)]


@pytest.fixture
def stores(service: Service) -> Iterator[None]:
    """The stores of the service, as it sees them."""
    with create_app(service.settings).app_context():
        yield
        db.session.remove()
        mongo.close()


def until_answered(who: Caller, method: str, path: str, **options: Any) -> Any:
    """Repeat a request with its key as long as the service is busy."""
    for _ in range(30):
        answer = who.send(method, path, f"{method}{path}", **options)
        busy = ("busy", "idempotency_in_progress", "database_unavailable")
        if answer.status_code < 400 or answer.json()["code"] not in busy:
            return answer
    raise AssertionError("busy for too long")


def figures(workshop_id: int) -> tuple[int, int]:
    """Return how many seats are taken, and how many people wait."""
    db.session.remove()
    columns = Workshop.taken, Workshop.waiting
    return tuple(db.session.execute(sa.select(*columns).where(Workshop.id == workshop_id)).one())


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_few_seats_for_many_callers(service: Service, crowd: list[Caller], capacity: int) -> None:
    number = make_workshop(capacity=capacity).id
    path = f"/api/workshops/{number}/register"
    answers = at_once([partial(until_answered, who, "POST", path, json={}) for who in crowd])
    assert {answer.status_code for answer in answers} == {201}
    got = [answer.json() for answer in answers]
    assert sum(one["status"] == "registered" for one in got) == capacity
    positions = [one["position"] for one in got if one["status"] == "waitlisted"]
    assert sorted(positions) == list(range(1, MANY - capacity + 1))
    assert figures(number) == (capacity, MANY - capacity)
    # Those with a seat leave, all at once: as many of the first in line get one, and nobody else.
    seated = [who for who, one in zip(crowd, got, strict=True) if one["status"] == "registered"]
    gone = at_once([partial(until_answered, who, "DELETE", path) for who in seated])
    assert {answer.status_code for answer in gone} == {204}
    for who, one in zip(crowd, got, strict=True):
        told = [event["type"] for event in who.read(f"{who.path}/history?limit=5")["items"]]
        is_next = one["status"] == "waitlisted" and one["position"] <= capacity
        assert (told[0] == "workshop.promoted") is is_next
    assert figures(number) == (capacity, MANY - 2 * capacity)
    service.assert_stores_agree()
