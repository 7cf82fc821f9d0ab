"""Jobs and figures of use over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from rebootcamp.core import clock
from rebootcamp.services.jobs import JOBS, run_job
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, make_challenge

PATH = "/api/admin/statistics"


def test_an_administrator_reads_the_last_run_of_each_job(wire: Wire, root: Person) -> None:
    run_job("expired-tokens")
    answer = wire.get("/api/admin/jobs", root)
    wire.conforms(answer, "list_jobs")
    jobs = {job["name"]: job for job in answer.json["items"]}
    assert list(jobs) == sorted(JOBS)
    assert (jobs["expired-tokens"]["state"], jobs["statistics"]["state"]) == ("done", "never")
    assert jobs["expired-tokens"]["last_run"]["counts"] == {"tokens": 0}
    assert jobs["expired-tokens"]["last_run"]["seconds"] >= 0
    assert jobs["statistics"]["last_run"] is None


def test_jobs_are_told_in_both_languages_and_page_by_page(wire: Wire, root: Person) -> None:
    english = wire.items("/api/admin/jobs", root)
    french = wire.items("/api/admin/jobs", root, limit=4, headers={"Accept-Language": "fr"})
    assert [job["name"] for job in english] == [job["name"] for job in french] == sorted(JOBS)
    assert all(one["purpose"] != other["purpose"] for one, other in zip(english, french, strict=True))


@pytest.mark.parametrize(
    ("role", "statuses"), [("student", (403, 403)), ("instructor", (403, 200)), ("admin", (200, 200))]
)
def test_who_may_read_them(wire: Wire, role: str, statuses: tuple[int, int]) -> None:
    who = wire.join(role)
    assert (wire.get("/api/admin/jobs", who).status_code, wire.get(PATH, who).status_code) == statuses


@pytest.fixture
def days(wire: Wire, root: Person) -> list[dict[str, Any]]:
    """Two busy days with a quiet one between them, as counted; the oldest first."""
    now = clock.now().replace(hour=12)
    challenge, other = make_challenge(points=7), make_challenge(points=5)
    with time_machine.travel(now - timedelta(days=3), tick=True):
        ada, bob = wire.join(), wire.join()
        for person in (ada, bob):
            complete(person.actor, challenge)
    with time_machine.travel(now - timedelta(days=1), tick=True):
        complete(ada.actor, other)
    run_job("statistics")
    return [
        {"day": str((now - timedelta(days=3)).date()), "learners": 2, "events": 4, "completions": 2, "xp": 14},
        {"day": str((now - timedelta(days=2)).date()), "learners": 0, "events": 0, "completions": 0, "xp": 0},
        {"day": str((now - timedelta(days=1)).date()), "learners": 1, "events": 1, "completions": 1, "xp": 5},
    ]


def test_use_is_told_day_by_day_the_newest_first(wire: Wire, root: Person, days: list[dict[str, Any]]) -> None:
    wire.conforms(wire.get(PATH, root), "list_usage")
    assert wire.items(PATH, root) == days[::-1]
    assert wire.items(PATH, root, limit=1) == days[::-1]
    middle = days[1]["day"]
    assert wire.items(f"{PATH}?from={middle}", root) == days[:0:-1]
    assert wire.items(f"{PATH}?to={middle}", root) == days[1::-1]
    assert wire.items(f"{PATH}?from={middle}&to={middle}", root) == [days[1]]


@pytest.mark.parametrize("query", ["from=soon", "to=2026-13-01", "from=20260101"])
def test_a_day_that_is_none_is_refused(wire: Wire, root: Person, query: str) -> None:
    problem = assert_problem(wire.get(f"{PATH}?{query}", root), 422, "validation_failed")
    assert list(pointers(problem)) == [f"/{query.partition('=')[0]}"]
