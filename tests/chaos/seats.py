"""Seats that many want at once: races for the same workshop, then thousands of comings and goings."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg2

from tests.acceptance.service import Service, eventually
from tests.chaos.table import Line, exactly
from tests.chaos.world import World

CALLERS = 200
CAPACITIES = (1, 2, 30, 500)
WORKERS = 4
WORKSHOPS = 12
WALKERS = 16
WANDERERS = 60
PHASES = 20
TRIES = 60
BUSY = 503

# A trainer, a clock that gives each workshop a day of its own, and what is asked about the end of a race.
_PROMOTE_TRAINER = "UPDATE users SET role = 'instructor' WHERE id = %s"
_STATE = """
    SELECT w.capacity, w.taken, w.waiting,
        count(*) FILTER (WHERE r.status = 'registered' OR r.offered_until IS NOT NULL) AS seated,
        count(*) FILTER (WHERE r.status = 'waitlisted' AND r.offered_until IS NULL) AS queued,
        max(r.id) FILTER (WHERE r.status = 'registered' OR r.offered_until IS NOT NULL) AS last_seated,
        min(r.id) FILTER (WHERE r.status = 'waitlisted' AND r.offered_until IS NULL) AS first_queued
    FROM workshops w LEFT JOIN workshop_registrations r ON r.workshop_id = w.id WHERE w.id = %s GROUP BY w.id"""


@dataclass
class Hall:
    """The workshops of one trainer, and everybody who may want a seat."""

    world: World
    trainer: int
    learners: Sequence[int]
    days: Iterator[int]

    def ask(self, who: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request as a client does that is told to come again: return the first answer that is one."""
        for _ in range(TRIES):
            connection = http.client.HTTPConnection("127.0.0.1", self.world.service.port, timeout=60)
            headers = {"Authorization": f"Bearer {self.world.tokens[who]}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            if answer.status != BUSY:
                return answer.status, json.loads(data) if data else None
            time.sleep(0.2)
        raise SystemExit(f"{method} {path}: busy for too long")

    def open(self, capacity: int, **fields: Any) -> int:
        """Make a workshop with so many seats; return its id."""
        starts_at = datetime.now(UTC) + timedelta(days=next(self.days))
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=2)).isoformat()}
        body = {"title": "A contested one", "capacity": capacity, **times, **fields}
        status, made = self.ask(self.trainer, "POST", "/api/workshops", body)
        assert status == 201, made
        return int(made["id"])

    def state(self, workshop: int) -> dict[str, Any]:
        """Return what PostgreSQL counts and holds."""
        with psycopg2.connect(self.world.service.settings.database_url.replace("+psycopg2", "")) as connection:
            cursor = connection.cursor()
            cursor.execute(_STATE, (workshop,))
            names = [column.name for column in cursor.description or ()]
            return dict(zip(names, cursor.fetchone() or (), strict=True))


def contested_seats(world: World, rounds: int, operations: int) -> Iterator[Line]:
    """Race for seats over several processes, then let people come and go at random; both stores must agree after it."""
    _restart(world.service)
    trainer, *learners = world.tokens
    with psycopg2.connect(world.service.settings.database_url.replace("+psycopg2", "")) as connection:
        connection.cursor().execute(_PROMOTE_TRAINER, (trainer,))
    hall = Hall(world, trainer, learners, itertools.count(2))
    for capacity in CAPACITIES:
        wrong = sum(_race(hall, capacity, random.Random(f"{capacity} {number}")) for number in range(rounds))
        yield exactly(f"wrong ends of {rounds} races of {CALLERS} for {capacity}", wrong, 0)
    yield from _walk(hall, operations)
    eventually(world.service.is_delivered, 600)
    yield exactly("findings of flask check", world.run("check").code, 0)


def _restart(service: Service) -> None:
    service.stop()
    service.extra |= {"WEB_CONCURRENCY": str(WORKERS), "WORKSHOP_MAX_REGISTRATIONS": "1000"}
    service.web = service.relay = None
    service.start()


def _race(hall: Hall, capacity: int, rng: random.Random) -> bool:
    """Let two hundred people want a seat at the same moment; return whether anything ended wrongly."""
    workshop = hall.open(capacity)
    callers = rng.sample(hall.learners, CALLERS)
    register = partial(hall.ask, method="POST", path=f"/api/workshops/{workshop}/register", body={})
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(register, callers))
    seats = min(capacity, CALLERS)
    got = [body for status, body in answers if status == 201]
    positions = sorted(body["position"] for body in got if body["status"] == "waitlisted")
    _, listed = hall.ask(hall.trainer, "GET", f"/api/workshops/{workshop}/registrations?limit=1")
    state = hall.state(workshop)
    return not (
        len(got) == CALLERS
        and sum(body["status"] == "registered" for body in got) == seats
        and positions == list(range(1, CALLERS - seats + 1))
        and (listed["counts"]["registered"], listed["counts"]["waitlisted"]) == (seats, CALLERS - seats)
        and (state["taken"], state["waiting"], state["seated"]) == (seats, CALLERS - seats, seats)
    )


def _walk(hall: Hall, operations: int) -> Iterator[Line]:
    """Let people register, leave and accept while the trainer changes the room; look at everything in each pause."""
    workshops = [hall.open(10, offer_hours=1 if number % 4 == 3 else None) for number in range(WORKSHOPS)]
    statuses: dict[int, int] = {}
    lost = skipped = 0
    for phase in range(PHASES):
        rngs = [random.Random(f"{phase} {number}") for number in range(WALKERS)]
        steps = operations // PHASES // WALKERS
        with ThreadPoolExecutor(WALKERS) as threads:
            for status in itertools.chain(*threads.map(partial(_steps, hall, workshops, steps), rngs)):
                statuses[status] = statuses.get(status, 0) + 1
        # What a large raise left to the relay is done in a moment.
        time.sleep(2)
        for state in map(hall.state, workshops):
            lost += (state["taken"], state["waiting"]) != (state["seated"], state["queued"])
            is_next = state["first_queued"] is not None
            skipped += is_next and (state["taken"] < state["capacity"] or state["last_seated"] > state["first_queued"])
        print(f"phase {phase + 1} of {PHASES}: {statuses}", flush=True)
    yield Line("comings and goings, by status", ", ".join(f"{n} × {s}" for s, n in sorted(statuses.items())))
    yield exactly("workshops whose counts were wrong in a pause", lost, 0)
    yield exactly("workshops in which somebody was skipped", skipped, 0)
    yield exactly("answers of a server error", sum(n for s, n in statuses.items() if s >= 500), 0)


def _steps(hall: Hall, workshops: Sequence[int], count: int, rng: random.Random) -> list[int]:
    return [_step(hall, workshops, rng) for _ in range(count)]


def _step(hall: Hall, workshops: Sequence[int], rng: random.Random) -> int:
    path, who = f"/api/workshops/{rng.choice(workshops)}", rng.choice(hall.learners[:WANDERERS])
    steps: list[tuple[float, Callable[[], tuple[int, Any]]]] = [
        (0.5, lambda: hall.ask(who, "POST", f"{path}/register", {})),
        (0.35, lambda: hall.ask(who, "DELETE", f"{path}/register")),
        (0.08, lambda: hall.ask(who, "POST", f"{path}/accept")),
        (0.07, lambda: hall.ask(hall.trainer, "PATCH", path, {"capacity": rng.randint(5, 40)})),
    ]
    weights, acts = zip(*steps, strict=True)
    return rng.choices(acts, weights)[0]()[0]
