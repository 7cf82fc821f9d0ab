"""What rules cost: `python -m tests.bench.rules --help`.

`active` measures a completion under 200 rules against none, in one process and interleaved; `backfill N` judges N
events of the past by one new rule, in a process of its own, and says how long it took and how much memory it needed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.cli.dev.servers import temporary_servers
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.services import backfills, badges, challenges
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.relay.tools import environment, make_learners
from tests.stores import create_pair

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of the benchmark, 32 bytes"
COMPLETED = "challenge.completed"
RULES, BLOCK, WARM_UP = 200, 20, 3
EVENTS_EACH = 100
TEXTS = {"en": {"name": "B", "description": "B."}, "fr": {"name": "B", "description": "B."}}
STAFF = Actor(1, "admin")

# A history as the service would have written it, only faster: every learner did one deed a day for a while.
_GROW = """
    INSERT INTO activity_events (
        event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    SELECT gen_random_uuid(), e.user_id, e.seq + n, e.type, e.version,
        e.payload || jsonb_build_object('challenge_id', n, 'category', (CAST(:categories AS text[]))[n % 8 + 1]),
        e.points, e.occurred_at - make_interval(days => :each - n), e.local_date - (:each - n), e.timezone
    FROM activity_events e, generate_series(1, :each - 1) n WHERE e.type = 'challenge.completed'"""
_ADVANCE = "UPDATE learner_states SET last_seq = last_seq + :each WHERE last_seq > 1"


def rule_of(number: int) -> dict[str, Any]:
    """Return one of many rules that nobody meets, of every kind."""
    where = {"category": CATEGORIES[number // 8 % len(CATEGORIES)]}
    body = {"event": COMPLETED, "at_least": 900 + number}
    kinds: list[dict[str, Any]] = [
        {"count": {**body, "where": where}},
        {"count": {**body, "where": where, "per": "week"}},
        {"count": {**body, "where": where, "within_days": 30}},
        {"count": {**body, "where": {**where, "difficulty": "hard"}, "distinct": "challenge_id"}},
        {"sum": {**body, "field": "co2e_grams", "where": where, "at_least": 900_000, "per": "month"}},
        {"points": {"at_least": 100_000 + number}},
        {"all": [{"count": {**body, "where": where}}, {"not": {"count": {**body, "per": "year"}}}]},
        {"count": {"event": "quiz.completed", "at_least": 5 + number}},
    ]
    return kinds[number % len(kinds)]


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rules", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    active = commands.add_parser("active")
    active.add_argument("--rounds", type=int, default=200)
    active.add_argument("--days", type=int, default=400, help="how long the learner has done something every day")
    backfill = commands.add_parser("backfill")
    backfill.add_argument("events", type=int)
    commands.add_parser("judge")
    options = parser.parse_args()
    if options.command == "judge":
        judge()
        return
    with temporary_servers() as servers:
        base = Settings.from_env({**servers.env, "SECRET_KEY": SECRET, "APP_ENV": "test", "LOG_LEVEL": "ERROR"})
        if options.command == "active":
            compare(base, options.rounds, options.days)
        else:
            prepare(create_pair(base, "bench_backfill"), options.events)


def compare(base: Settings, rounds: int, days: int) -> None:
    """Print the median time of a completion with no rule and with 200, and their ratio."""
    times: dict[int, list[float]] = {0: [], RULES: []}
    apps = {rules: _ready(create_pair(base, f"bench_rules_{rules}"), rules, rounds, days) for rules in times}
    for first in range(2, rounds + 2, BLOCK):
        for rules, (app, learner) in apps.items():
            with app.app_context():
                found = [_timed(learner, number) for number in range(first, first + BLOCK)]
            # A process works on one pair of stores; this one reads the rules again whenever it changes over.
            times[rules] += found[WARM_UP:]
    medians = {rules: statistics.median(found) * 1000 for rules, found in times.items()}
    for rules, median in medians.items():
        print(f"{rules:>4} rules  {median:6.2f} ms a completion")
    print(f"ratio       {medians[RULES] / medians[0]:6.2f}")


def _timed(learner: Actor, challenge_id: int) -> float:
    started = time.perf_counter()
    challenges.complete_challenge(learner, challenge_id, answer=None, evidence=None)
    return time.perf_counter() - started


def _ready(pair: Settings, rules: int, rounds: int, days: int) -> tuple[Flask, Actor]:
    app = create_app(pair)
    with app.app_context():
        (learner,) = make_learners(1)
        _publish(rounds + BLOCK + 1)
        _remember(learner, days)
        for number in range(rules):
            _add_badge(f"rule_{number}", rule_of(number))
        backfills.run_backfills(600)
        db.session.remove()
    return app, learner


def _remember(learner: Actor, days: int) -> None:
    """Give a learner a past of so many days."""
    challenges.complete_challenge(learner, 1, answer=None, evidence=None)
    with transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        session.execute(sa.text(_GROW), {"each": days, "categories": list(CATEGORIES)})
        session.execute(sa.text(_ADVANCE), {"each": days})


def _publish(number: int) -> None:
    now, texts = clock.now(), {"title": "A challenge", "description": "Do it."}
    with transaction() as session:
        session.add_all(
            Challenge(
                slug=f"challenge-{index}",
                category=CATEGORIES[index % len(CATEGORIES)],
                difficulty="hard",
                points=20,
                co2e_grams=100,
                translations={"en": texts, "fr": texts},
                created_at=now,
                updated_at=now,
            )
            for index in range(number)
        )


def _add_badge(code: str, criteria: dict[str, Any]) -> None:
    fields = {"code": code, "tier": "bronze", "points": 1, "icon": "B", "criteria": criteria, "translations": TEXTS}
    badges.create_badge(STAFF, fields)


def prepare(pair: Settings, events: int) -> None:
    """Make a history of so many events and have it judged by a process that does nothing else."""
    learners = max(1, events // EVENTS_EACH)
    app = create_app(pair)
    with app.app_context():
        _publish(1)
        *others, last = make_learners(learners)
        for actor in others:
            challenges.complete_challenge(actor, 1, answer=None, evidence=None)
        _remember(last, EVENTS_EACH)
        _add_badge(
            "month", {"count": {"event": COMPLETED, "at_least": 30, "within_days": 30, "distinct": "challenge_id"}}
        )
        db.session.remove()
        db.engine.dispose()
    print(f"{learners} learners, {learners * EVENTS_EACH} events", flush=True)
    command = [sys.executable, "-m", "tests.bench.rules", "judge"]
    subprocess.run(command, env=environment(replace(pair, secret_key=SECRET)), cwd=ROOT, check=True)


def judge() -> None:
    """Work on what waits and print the time and the peak of memory."""
    app = create_app(Settings.from_env())
    before, started = _peak(), time.perf_counter()
    with app.app_context():
        backfills.run_backfills(24 * 3600)
        with transaction() as session:
            job = session.scalars(sa.select(BackfillJob)).one()
    seconds = time.perf_counter() - started
    print(f"{job.state}: {job.examined} examined, {job.awarded} awarded in {seconds:.1f} s")
    print(f"peak memory {_peak():.0f} MiB ({before:.0f} MiB before the first learner)")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
