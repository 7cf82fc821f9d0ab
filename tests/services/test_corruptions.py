"""Every corruption is found by name; what follows from the journal is mended, what does not is left to a person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from bson.raw_bson import RawBSONDocument
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.leaderboards import board_of
from rebootcamp.models.mongo.quarantine import RAW
from rebootcamp.services import badges, challenges, leaderboards
from rebootcamp.services.integrity import INVARIANTS, check_stores, repair_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema, declarations
from rebootcamp.storage.sql import Base, db
from tests.factories import admin, complete, drain, judge_the_past, make_badge, make_challenge, make_goal, make_group
from tests.relay.tools import documents, make_learners
from tests.services.corruptions import Corruption
from tests.services.corruptions.in_mongodb import IN_MONGODB
from tests.services.corruptions.in_postgresql import IN_POSTGRESQL
from tests.stores import create_pair

ALL = [*IN_MONGODB, *IN_POSTGRESQL]
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Prepared:
    """A sound pair, and the bytes to bring it back after each corruption."""

    application: Flask
    ada: int
    tables: dict[str, str]
    collections: dict[str, list[RawBSONDocument]]


def tell_stories() -> int:
    """Let Ada and Bob complete, lose, earn and give; all of it is shown. Return Ada's id."""
    boss = admin()
    with time_machine.travel(clock.now() - 3 * WEEK, tick=True):
        ada, bob = make_learners(2)
        make_badge("first_step")
        make_badge("second_step", at_least=2)
        make_badge("far", at_least=500)
        make_badge("gift", criteria={"points": {"at_least": 10_000}})
        make_group(ada, bob)
        each = {"count": {"event": "challenge.completed", "at_least": 1}}
        window = {"cadence": "event", "starts_at": clock.now() - WEEK, "ends_at": clock.now() + 9 * WEEK}
        goal = make_goal(each, team_target=99, requires_joining=True, **window)
        judge_the_past()
        tasks = [make_challenge(category=category) for category in ("water", "energy", "food")]
        done = [complete(learner, task) for learner in (ada, bob) for task in tasks]
        challenges.join_challenge(ada, goal.id)
        day = clock.now().date()
        drain()
    complete(ada, make_challenge(validation="approval"))
    complete(ada, make_challenge())
    challenges.revoke_completion(boss, bob.user_id, done[-1].completion.id, reason="A test.")
    for learner in (ada, bob):
        badges.award_badge(boss, learner.user_id, "gift", reason="For the help.")
    badges.revoke_badge(boss, bob.user_id, "gift", reason="Wrong person.")
    drain()
    leaderboards.freeze_board(boss, board_of("weekly", None, day))
    return ada.user_id


def rows() -> dict[str, str]:
    """Return every table as COPY writes it, in order."""
    found = {}
    db.session.remove()
    with db.engine.connect() as connection, connection.connection.cursor() as cursor:
        for table in Base.metadata.sorted_tables:
            text, key = io.StringIO(), ", ".join(column.name for column in table.primary_key.columns)
            cursor.copy_expert(f"COPY (SELECT * FROM {table.name} ORDER BY {key}) TO STDOUT", text)
            found[table.name] = text.getvalue()
    return found


def raw_documents() -> dict[str, list[RawBSONDocument]]:
    names = [declared["collection"] for declared in declarations()]
    return {name: list(mongo.database().get_collection(name, codec_options=RAW).find()) for name in names}


def bring_back(prepared: Prepared) -> None:
    """Bring both stores back to what was prepared."""
    db.session.remove()
    with db.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(f"TRUNCATE {', '.join(prepared.tables)} CASCADE"))
        with connection.connection.cursor() as cursor:
            for name, text in prepared.tables.items():
                cursor.copy_expert(f"COPY {name} FROM STDIN", io.StringIO(text))
    for name, kept in prepared.collections.items():
        mongo.collection(name).delete_many({})
        if kept:
            mongo.collection(name).insert_many(kept, bypass_document_validation=True)
    apply_schema(mongo.database())


@pytest.fixture(scope="module")
def prepared(settings: Settings) -> Prepared:
    """A pair of its own, prepared once."""
    application = create_app(create_pair(replace(settings), "corruptions"))
    mongo.configure(application.config["REBOOTCAMP"])
    with application.app_context():
        ada = tell_stories()
        return Prepared(application, ada, rows(), raw_documents())


@pytest.fixture
def ada(prepared: Prepared) -> Iterator[int]:
    """Ada's id, in sound stores."""
    mongo.configure(prepared.application.config["REBOOTCAMP"])
    with prepared.application.app_context():
        bring_back(prepared)
        yield prepared.ada
        db.session.remove()
        db.engine.dispose()


def found(user_id: int | None = None) -> set[str]:
    db.session.remove()
    return {finding.invariant for finding in check_stores(user_id).findings}


def repaired() -> list[str]:
    actions: list[str] = []
    db.session.remove()
    repair_stores(actions.append)
    drain()
    return actions


def test_sound_stores_have_no_findings_and_need_no_repair(ada: int) -> None:
    before = rows(), documents()
    assert found() == found(ada) == set()
    assert repaired() == []
    assert (rows(), documents()) == before


@pytest.mark.parametrize("corruption", ALL, ids=str)
def test_corruption_is_found_and_mended_or_left_alone(ada: int, corruption: Corruption) -> None:
    sound = documents()
    corruption.corrupt(ada)
    named = found()
    assert corruption.speaks in named
    assert named <= INVARIANTS.keys()
    if corruption.is_mended:
        assert repaired()
        assert found() == set()
        assert documents() == sound
        assert repaired() == []
    else:
        spoilt = ledgers(), documents()
        repaired()
        assert corruption.speaks in found()
        assert (ledgers(), documents()) == spoilt


def ledgers() -> dict[str, str]:
    """Return the tables that no repair may touch."""
    names = ("activity_events", "xp_entries", "challenge_completions", "badge_grants", "challenge_participations")
    return {name: text for name, text in rows().items() if name in names}


def test_there_are_enough_corruptions_of_every_invariant() -> None:
    assert len(ALL) >= 60
    assert len({corruption.name for corruption in ALL}) == len(ALL)
    spoken = {corruption.speaks for corruption in ALL}
    assert INVARIANTS.keys() - spoken == {"score from events"}
