"""A store that was filled before a migration is as sound after it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from rebootcamp.services import accounts, badges, challenges
from rebootcamp.services.leaderboards import find_board, get_my_rank
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, make_learners

pytestmark = pytest.mark.usefixtures("committed_db")
MIGRATIONS = str(Path(__file__).resolve().parents[2] / "migrations")


def test_boards_are_filled_from_the_events_that_are_there(committed_db: Flask) -> None:
    make_badge("first_step")
    make_badge("gift", criteria={"points": {"at_least": 10_000}})
    ada, bob, eve = make_learners(3)
    tasks = [
        make_challenge(points=points, category=name) for points, name in ((20, "water"), (70, "food"), (90, "food"))
    ]
    done = [complete(learner, task) for learner in (ada, bob, eve) for task in tasks]
    for learner in (ada, bob):
        badges.award_badge(admin(), learner.user_id, "gift", reason="For the help.")
    badges.revoke_badge(admin(), bob.user_id, "gift", reason="Wrong person.")
    challenges.revoke_completion(admin(), ada.user_id, done[2].completion.id, reason="A test.")
    drain()
    complete(eve, make_challenge())
    accounts.edit_account(admin(), bob.user_id, accounts.AccountChanges(is_active=False))
    names = ("global", "weekly", "monthly", "seasonal", "category:food")
    boards = [find_board(ada, name, None) for name in names]
    before = [get_my_rank(learner, board) for learner in (ada, eve) for board in boards]
    assert_stores_agree(pending=1)
    db.session.remove()
    db.engine.dispose()
    try:
        downgrade(directory=MIGRATIONS, revision="0001")
    finally:
        upgrade(directory=MIGRATIONS)
    # Statements that were prepared before know columns that are gone.
    for engine in db.engines.values():
        engine.dispose()
    assert_stores_agree(pending=1)
    assert [get_my_rank(learner, board) for learner in (ada, eve) for board in boards] == before
