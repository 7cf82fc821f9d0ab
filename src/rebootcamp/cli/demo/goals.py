"""The timed challenges of the demo, from a generator of their own: the learners' stories stay as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from random import Random
from typing import Any, Final

from rebootcamp.cli.demo.files import catalogue
from rebootcamp.cli.demo.personas import Plan
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay
from rebootcamp.services import challenges
from rebootcamp.services.backfills import run_backfills

Act = Callable[[Mapping[str, Actor]], object]
INSTRUCTOR: Final = "instructor@example.org"
JOINS: Final = 0.6
BATCH: Final = 500
BACKFILL_SECONDS: Final = 60
# On Wednesdays the weeks that ended on Sunday are over everywhere.
SETTLES_ON, SETTLES_AT = 2, time(13)


def plan_goals(plans: Sequence[Plan], seed: int, opening: datetime, end: datetime) -> Iterator[tuple[datetime, Act]]:
    """Yield what happens around timed challenges and when: they open, some learners join, windows close."""
    rng = Random(f"goals {seed}")  # noqa: S311
    ids: dict[str, int] = {}
    yield opening, lambda actors: _open(actors[INSTRUCTOR], ids)
    joinable = [entry["slug"] for entry in catalogue("goals") if entry.get("requires_joining")]
    for plan in plans:
        for slug in joinable:
            joins_at = plan.joins_at + timedelta(minutes=rng.randint(10, 20_000))
            if rng.random() < JOINS:
                yield joins_at, _join(plan.learner["email"], ids, slug)
    day = opening.date() + timedelta(days=(SETTLES_ON - opening.weekday()) % 7)
    while (instant := datetime.combine(day, SETTLES_AT, tzinfo=end.tzinfo)) <= end:
        yield instant, lambda actors: _settle()
        day += timedelta(weeks=1)


def _open(author: Actor, ids: dict[str, int]) -> None:
    for entry in catalogue("goals"):
        ids[entry["slug"]] = challenges.create_challenge(author, _parsed(entry)).id
    run_backfills(BACKFILL_SECONDS)


def _parsed(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clock.parse(value) if name in ("starts_at", "ends_at") else value for name, value in entry.items()}


def _join(email: str, ids: Mapping[str, int], slug: str) -> Act:
    return lambda actors: challenges.join_challenge(actors[email], ids[slug])


def _settle() -> None:
    """Do what a relay does between its batches."""
    Relay(BATCH, 0.01).drain()
    challenges.review_teams()
    challenges.reward_teams()
    challenges.close_windows()
