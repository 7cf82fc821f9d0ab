"""Measure `flask rebuild`: seconds and memory, with tables that are right and with empty ones. `--help` tells more."""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from rebootcamp.app import create_app
from rebootcamp.cli.dev.servers import temporary_servers
from rebootcamp.config import Settings
from rebootcamp.storage.sql import db
from tests.bench.rank import USERS
from tests.relay.tools import environment, flask_command
from tests.stores import create_pair

EVENTS_EACH = 50
STATES = """
    INSERT INTO learner_states (user_id, last_seq, challenge_points, badge_points, xp_total, daily_streak,
        longest_daily_streak, perfect_quiz_streak, freezes, counters, held_badges, protected_days, measured_version)
    SELECT n, {each}, 0, 0, 0, 1, 1, 0, 0, '{{}}', '{{}}', '{{}}', 0 FROM generate_series(1, {learners}) n"""
# A life of a learner: joining, then a completion a day, and a badge with every tenth event.
EVENTS = """
    INSERT INTO activity_events (event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    SELECT gen_random_uuid(), n, s,
        CASE WHEN s = 1 THEN 'account.registered' WHEN s % 10 = 0 THEN 'badge.awarded' ELSE 'challenge.completed' END, 1,
        CASE WHEN s = 1 THEN '{{}}'
        WHEN s % 10 = 0 THEN jsonb_build_object('badge', 'badge_' || s, 'tier', 'bronze', 'points', 10,
            'origin', 'rule', 'rule_version', 1, 'evidence', jsonb_build_object('count', s))
        ELSE jsonb_build_object(
            'completion_id', n * {each} + s, 'challenge_id', s, 'slug', 'challenge-' || s,
            'titles', jsonb_build_object('en', 'Challenge ' || s, 'fr', 'Défi ' || s),
            'category', (ARRAY['energy', 'water', 'food', 'waste'])[mod(s, 4) + 1], 'difficulty', 'easy',
            'cadence', 'daily', 'period', (date '2026-11-20' - s)::text, 'points', 20, 'co2e_grams', 100,
            'is_first', true) END,
        CASE WHEN s = 1 THEN 0 WHEN s % 10 = 0 THEN 10 ELSE 20 END,
        date_trunc('milliseconds', timestamptz '2026-11-20 12:00Z' - (({each} - s) * interval '1 day')),
        date '2026-11-20' - ({each} - s), 'UTC'
    FROM generate_series(1, {learners}) n, generate_series(1, {each}) s"""  # noqa: E501


@dataclass(frozen=True)
class Run:
    """What one rebuild took; `megabytes` is the most memory that its process ever had."""

    seconds: float
    megabytes: float
    said: str


def main() -> None:
    """Fill a store for each size and rebuild it, first with empty tables, then with right ones."""
    parser = argparse.ArgumentParser(prog="make bench-rebuild ARGS=…", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[50_000, 200_000])
    options = parser.parse_args()
    with temporary_servers() as started:
        secret = secrets.token_hex(32)
        base = Settings.from_env({**started.env, "SECRET_KEY": secret, "APP_ENV": "test", "LOG_LEVEL": "WARNING"})
        print(f"{'events':>10}  {'tables':<8}{'seconds':>9}{'events/s':>10}{'MB':>7}")
        for events in options.events:
            pair = create_pair(base, f"rebuild_{events}")
            fill(pair, events)
            for tables in ("empty", "right"):
                run = rebuild(pair)
                rate = events / run.seconds
                print(f"{events:>10,}  {tables:<8}{run.seconds:>9.1f}{rate:>10,.0f}{run.megabytes:>7.0f}", flush=True)
                print(run.said, file=sys.stderr)


def fill(pair: Settings, events: int) -> None:
    """Write a journal of which everything counts as delivered, and nothing is shown yet."""
    application = create_app(pair)
    with application.app_context():
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            _fill(connection, max(1, events // EVENTS_EACH))
        db.engine.dispose()


def _fill(connection: Connection, learners: int) -> None:
    connection.exec_driver_sql("SET statement_timeout = 0")
    for statement in (USERS, STATES, EVENTS):
        # The driver takes a lone per cent sign for the beginning of a parameter.
        connection.exec_driver_sql(statement.format(learners=learners, each=EVENTS_EACH).replace("%", "%%"), ())
    connection.exec_driver_sql("VACUUM ANALYZE")


def rebuild(pair: Settings) -> Run:
    """Run the command as operators do, and ask the system what it took."""
    started = time.monotonic()
    command = subprocess.Popen(
        flask_command("rebuild"), env=environment(pair), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert command.stdout is not None
    said = command.stdout.read()
    _, status, usage = os.wait4(command.pid, 0)
    command.returncode = os.waitstatus_to_exitcode(status)
    if command.returncode:
        raise SystemExit(said)
    return Run(time.monotonic() - started, _megabytes(usage), said)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
