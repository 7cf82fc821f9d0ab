"""Measure one's own rank, and pages, among few and among very many learners. `python -m tests.bench.rank --help`."""

from __future__ import annotations

import argparse
import importlib.util
import secrets
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.cli.dev.servers import temporary_servers
from rebootcamp.config import Settings
from rebootcamp.core.actors import Actor
from rebootcamp.core.leaderboards import Board, board_of
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.relay import Relay
from rebootcamp.services.leaderboards import get_my_rank, list_places
from rebootcamp.storage.sql import db
from tests.stores import create_pair

MIGRATION = Path(__file__).resolve().parents[2] / "migrations" / "versions" / "0008_leaderboards.py"
STAFF = 1
# Most have little: at 1,000,000 learners about 100,000 share the lowest score, as on a young platform.
USERS = """
    INSERT INTO users (email, password_hash, role, first_name, last_name, display_name, locale, timezone, token_version,
        is_active, email_verified, version, created_at, updated_at, day_start_hour, is_listed)
    SELECT 'learner' || n || '@example.org', '', 'student', 'Ada', n::text, 'Ada ' || n, 'en', 'UTC', 1, true, false, 1,
        now(), now(), 0, true
    FROM generate_series(1, {learners}) n"""
ENTRIES = """
    INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at)
    SELECT 'global', 'all', n, 5 + 5 * floor(1000 * power(random(), 3))::integer,
        date_trunc('milliseconds', timestamptz '2026-01-01 00:00Z' + random() * interval '320 days')
    FROM generate_series(1, {learners}) n"""
STATES = """
    INSERT INTO learner_states (user_id, last_seq, challenge_points, badge_points, xp_total, daily_streak,
        longest_daily_streak, perfect_quiz_streak, freezes, counters, held_badges, protected_days, measured_version)
    SELECT n, 1, 20, 0, 20, 1, 1, 0, 0, '{{}}', '{{}}', '{{}}', 0 FROM generate_series(1, {learners}) n"""
EVENTS = """
    INSERT INTO activity_events (event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    SELECT gen_random_uuid(), n, {seq}, 'challenge.completed', 1, jsonb_build_object(
            'completion_id', n, 'challenge_id', 1, 'slug', 'x', 'titles', jsonb_build_object('en', 'X', 'fr', 'X'),
            'category', (ARRAY['energy', 'water', 'food', 'waste'])[mod(n, 4) + 1], 'difficulty', 'easy', 'cadence', 'daily',
            'period', '2026-11-20', 'points', 20, 'co2e_grams', 100, 'is_first', true),
        20, date_trunc('milliseconds', now()), date '2026-11-20', 'UTC'
    FROM generate_series(1, {learners}) n"""  # noqa: E501
OUTBOX = """
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT event_id, user_id, seq, 0, now() - interval '1 minute' FROM activity_events WHERE seq = {seq}"""


@dataclass
class Population:
    """So many learners on a pair of databases of their own."""

    size: int
    application: Flask
    board: Board = field(default_factory=lambda: board_of("global", None, date(2026, 11, 20)))
    at_rank: dict[int, Actor] = field(default_factory=dict)

    def learner_at(self, rank: int) -> Actor:
        """Return who stands there, found by counting on the index."""
        if rank not in self.at_rank:
            order = """SELECT user_id FROM leaderboard_entries WHERE board = 'global' AND period = 'all' AND is_listed
                AND score > 0 ORDER BY - score, reached_at, user_id OFFSET :rank - 1 LIMIT 1"""
            with db.engine.connect() as connection:
                found = connection.execute(sa.text(order), {"rank": rank}).scalar_one()
            self.at_rank[rank] = Actor(found, "student")
        return self.at_rank[rank]


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="make bench-rank ARGS=…", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--calls", type=int, default=300, help="per rank and size, interleaved")
    parser.add_argument("--relay", type=int, default=20_000, help="events to deliver; 0 leaves it out")
    options = parser.parse_args()
    with ExitStack() as stack:
        started = stack.enter_context(temporary_servers())
        secret = secrets.token_hex(32)
        base = Settings.from_env({**started.env, "SECRET_KEY": secret, "APP_ENV": "test", "LOG_LEVEL": "WARNING"})
        populations = [filled(base, size) for size in options.sizes]
        print_reads(populations, options.calls)
        if options.relay:
            print_relay(populations, options.relay)


def filled(base: Settings, size: int) -> Population:
    """Make the learners, their entries, and the counts as the migration makes them."""
    print(f"filling {size:,} learners …", flush=True)
    application = create_app(create_pair(base, f"rank_{size}"))
    with application.app_context():
        fill(size)
        counts = "SELECT count(*), count(*) FILTER (WHERE is_split) FROM leaderboard_counts"
        with db.engine.connect() as connection:
            rows, split = connection.execute(sa.text(counts)).one()
        print(f"   {rows:,} rows of counts, {split} scores split by time", flush=True)
        db.engine.dispose()
    return Population(size, application)


def fill(size: int) -> None:
    """Make the learners of an empty store, their places on the global board, and the counts as the migration does."""
    spec = importlib.util.spec_from_file_location("leaderboards_migration", MIGRATION)
    assert spec is not None
    assert spec.loader is not None
    migration: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    statements = [statement.format(learners=size) for statement in (USERS, ENTRIES, STATES)]
    statements += ["ANALYZE", migration.FILL_COUNTS, "ANALYZE", migration.FILL_SLOTS, "VACUUM ANALYZE"]
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("SELECT setseed(0.5)")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("RESET statement_timeout")


def print_reads(populations: list[Population], calls: int) -> None:
    """Print medians in milliseconds, and the ratio of the largest to the smallest population."""
    reads: dict[str, Callable[[Population], object]] = {}
    for name, share in (("first", 0.0), ("1 %", 0.01), ("10 %", 0.1), ("half", 0.5), ("90 %", 0.9), ("last", 1.0)):
        reads[f"my rank, {name}"] = lambda p, s=share: get_my_rank(p.learner_at(max(1, round(p.size * s))), p.board)
    staff = Actor(STAFF, "instructor")
    reads["top page of 20"] = lambda p: list_places(staff, p.board, PageRequest(), is_around_me=False)
    reads["page around me"] = lambda p: list_places(staff, p.board, PageRequest(), is_around_me=True)
    print(f"\n{'median ms':<18}" + "".join(f"{p.size:>12,}" for p in populations) + f"{'ratio':>8}")
    for name, read in reads.items():
        medians = interleaved(populations, read, calls)
        ratio = medians[-1] / medians[0]
        print(f"{name:<18}" + "".join(f"{median:>12.3f}" for median in medians) + f"{ratio:>8.2f}", flush=True)


def interleaved(populations: list[Population], read: Callable[[Population], object], calls: int) -> list[float]:
    """Return the median of each population, measured by turns."""
    times: list[list[float]] = [[] for _ in populations]
    for number in range(calls + 20):
        for population, measured in zip(populations, times, strict=True):
            with population.application.app_context():
                # Looked up before the clock starts; the first calls warm connections and plans.
                if number == 0:
                    read(population)
                started = time.perf_counter()
                read(population)
                if number >= 20:
                    measured.append((time.perf_counter() - started) * 1000)
    return [statistics.median(measured) for measured in times]


def print_relay(populations: list[Population], events: int) -> None:
    """Print how many events a relay delivers in a second, on boards of each size; the second half moves learners on."""
    print(f"\n{'events/s':<18}" + "".join(f"{p.size:>12,}" for p in populations))
    for seq, name in ((1, "onto new boards"), (2, "moving on")):
        rates = [delivered(population, seq, events) for population in populations]
        print(f"{name:<18}" + "".join(f"{rate:>12.0f}" for rate in rates), flush=True)


def delivered(population: Population, seq: int, events: int) -> float:
    """Deliver one event of each of so many learners; return events per second."""
    with population.application.app_context():
        with db.engine.begin() as connection:
            learners = min(events, population.size)
            for statement in (EVENTS, OUTBOX):
                connection.exec_driver_sql(statement.format(learners=learners, seq=seq))
        relay = Relay(batch=200, poll_seconds=0.01)
        started = time.perf_counter()
        count = relay.drain()
        rate = count / (time.perf_counter() - started)
        db.engine.dispose()
    return rate


if __name__ == "__main__":
    main()
