"""What reading a board costs, in pages of the database: the same among few and among many learners."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from rebootcamp.core.leaderboards import board_of
from rebootcamp.events.histogram import SPLIT_AT
from rebootcamp.services.leaderboards.standings import TOP
from rebootcamp.services.leaderboards.statements import AROUND_ME, FROM_HERE_ON
from rebootcamp.storage.sql import db
from tests.bench.rank import EVENTS, OUTBOX, fill
from tests.stores import empty_stores

pytestmark = pytest.mark.usefixtures("committed_db")

FEW, MANY = 300, 20_000
BOARD = board_of("global", None, date(2026, 11, 20))
GLOBAL = {"board": BOARD.name, "period": BOARD.period, "category": None, "first": None, "last": None, "members": []}
AT = """SELECT user_id FROM leaderboard_entries WHERE board = 'global' AND period = 'all' AND is_listed AND score > 0
    ORDER BY - score, reached_at, user_id OFFSET :offset LIMIT 1"""


def learner_at(share: float) -> int:
    """Return who stands at that share of the board."""
    with db.engine.connect() as connection:
        size = connection.execute(sa.text("SELECT count(*) FROM leaderboard_entries")).scalar_one()
        offset = round(share * (size - 1))
        return int(connection.execute(sa.text(AT), {"offset": offset}).scalar_one())


def plan_of(statement: str, parameters: dict[str, object]) -> dict[str, Any]:
    """Run a statement by the plan that connections keep for it, and return what each step touched."""
    with db.engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, parameters)
        ((found,),) = cursor.fetchall()
    plan = found[0]["Plan"] if isinstance(found, list) else json.loads(found)[0]["Plan"]
    return dict(plan)


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps(inner)


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def rows(plan: dict[str, Any]) -> int:
    return max(int(step["Actual Rows"] * step["Actual Loops"]) for step in steps(plan))


def ranks(share: float) -> dict[str, Any]:
    mine = {"user_id": learner_at(share), "above": 3, "below": 3}
    return plan_of(AROUND_ME[False], GLOBAL | mine)


def top() -> dict[str, Any]:
    return plan_of(FROM_HERE_ON[False], GLOBAL | TOP | {"below": 21})


def test_a_rank_costs_the_same_among_few_and_many() -> None:
    costs: dict[int, list[int]] = {}
    for size in (FEW, MANY):
        empty_stores()
        fill(size)
        plans = [ranks(share) for share in (0, 0.01, 0.1, 0.5, 0.9, 1)]
        costs[size] = [pages(plan) for plan in plans]
        # 2,000 of the many share the lowest score: nobody counts them one by one.
        assert max(map(rows, plans)) < SPLIT_AT
    assert max(costs[MANY]) <= 3 * max(costs[FEW]), costs


def test_a_top_page_is_read_from_the_index_in_order() -> None:
    fill(MANY)
    plan = top()
    scans = [step for step in steps(plan) if step.get("Index Name") == "ix_leaderboard_entries_order"]
    assert any(step["Actual Rows"] == 21 and step["Node Type"] == "Index Only Scan" for step in scans)
    assert rows(plan) <= 101
    assert pages(plan) < 200


def test_what_waits_costs_what_waits() -> None:
    fill(MANY)
    before = pages(ranks(0.5)), pages(top())
    with db.engine.begin() as connection:
        for statement in (EVENTS, OUTBOX):
            connection.exec_driver_sql(statement.format(learners=10, seq=1))
        connection.exec_driver_sql("ANALYZE")
    after = ranks(0.5), top()
    assert max(map(rows, after)) < SPLIT_AT
    assert all(pages(plan) <= cost + 200 for plan, cost in zip(after, before, strict=True))
