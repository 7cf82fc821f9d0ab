"""Trying a rule before it is published: what is foretold comes true, and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from rebootcamp.services import badges
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import Base, db
from tests.factories import admin, drain, judge_the_past, make_badge
from tests.relay.tools import assert_stores_agree
from tests.services.stories import BUSY, COMPLETED, counted, do, grants, holders, learners, preview, revoke

pytestmark = pytest.mark.usefixtures("committed_db")

RULES: list[dict[str, Any]] = [
    counted(3),
    BUSY,
    counted(2, per="week", distinct="category"),
    counted(3, distinct="local_date"),
    {"sum": {"event": COMPLETED, "field": "points", "at_least": 100, "per": "month"}},
    {"all": [counted(1, where={"category": "water"}), {"between": {"from": "2026-01-05", "to": "2026-01-09"}}]},
    {"all": [{"points": {"at_least": 40}}, {"not": {"badge": "gift"}}]},
    {"streak": {"kind": "daily", "at_least": 3}},
]


@pytest.mark.parametrize("criteria", RULES)
def test_a_preview_foretells_what_the_back_fill_does_and_changes_nothing(criteria: dict[str, Any]) -> None:
    people = learners(5)
    make_badge("gift", criteria={"points": {"at_least": 100_000}}, points=0)
    for number, person in enumerate(people):
        do(person, *range(0, 2 * number + 1, 2))
        do(person, *range(number), category="water", points=30)
    revoke(do(people[2], 1)[0])
    badges.award_badge(admin(), people[3].user_id, "gift", reason="A test.")
    judge_the_past()
    before = contents()
    foreseen = preview(criteria)
    assert contents() == before
    assert (foreseen.is_complete, foreseen.examined, foreseen.learners) == (True, 6, 6)
    make_badge("tried", criteria=criteria)
    assert preview(criteria).sample == foreseen.sample
    judge_the_past()
    gained = {item["user_id"]: item["met_on"] for item in foreseen.sample if item["change"] == "gain"}
    assert (holders("tried"), foreseen.would_gain) == (set(gained), len(gained))
    met = {user: grant.evidence["met_on"] for user, grant in grants("tried").items()}
    assert met == {user: day.isoformat() for user, day in gained.items()}
    assert 0 < len(gained) < 5
    again = preview(criteria, "tried")
    assert (again.would_gain, again.would_lose, again.would_keep) == (0, 0, len(gained))
    drain()
    assert_stores_agree()


def contents() -> dict[str, Any]:
    """Return every row and document of both stores."""
    db.session.remove()
    tables = {
        table.name: sorted(map(repr, db.session.execute(sa.select(table)))) for table in Base.metadata.sorted_tables
    }
    names = mongo.database().list_collection_names()
    db.session.remove()
    return tables | {f"mongo {name}": list(mongo.collection(name).find().sort("_id")) for name in names}


def test_a_preview_says_when_it_had_no_time_for_everybody() -> None:
    people = learners(3)
    for person in people:
        do(person, 0)
    part = preview(counted(1), budget_seconds=0)
    assert (part.is_complete, part.examined, part.learners, part.would_gain) == (False, 1, 4, 0)
    whole = preview(counted(1))
    assert (whole.is_complete, whole.examined, whole.would_gain) == (True, 4, 3)


def test_a_sample_is_short_and_the_counts_are_whole() -> None:
    for person in learners(12):
        do(person, 0)
    seen = preview(counted(1))
    assert (seen.would_gain, len(seen.sample)) == (12, 10)
