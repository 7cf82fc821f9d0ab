"""Every corruption is found by name; what follows from the journal is mended, what does not is left to a person."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.leaderboards import board_of
from rebootcamp.models.mongo.quarantine import RAW
from rebootcamp.models.sql.workshops import Workshop, WorkshopComment
from rebootcamp.services import badges, challenges, leaderboards
from rebootcamp.services.integrity import INVARIANTS, check_stores, repair_stores
from rebootcamp.services.integrity.check import OVERDUE
from rebootcamp.services.integrity.mending import mend_learner
from rebootcamp.services.integrity.workshops import LEFT_BEHIND, PROMOTION
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import declarations
from rebootcamp.storage.sql import Base, db
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, complete, drain, judge_the_past, make_badge, make_challenge, make_goal, make_group
from tests.factories.registrations import Stay
from tests.factories.workshops import make_workshop
from tests.relay.tools import documents, execute, make_learners
from tests.services.corruptions import Corruption, change, remove
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
    bob: int
    tables: dict[str, str]
    collections: dict[str, list[RawBSONDocument]]


def tell_stories() -> tuple[int, int]:
    """Let Ada and Bob complete, lose, earn and give; all of it is shown. Return their ids."""
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
    meet(ada, bob)
    drain()
    leaderboards.freeze_board(boss, board_of("weekly", None, day))
    return ada.user_id, bob.user_id


def meet(ada: Actor, bob: Actor) -> None:
    """Let both take part in a workshop, Ada wait for another that Bob got into, and both comment."""
    workshop, full = make_workshop(capacity=5), make_workshop(capacity=1)
    for learner in (ada, bob):
        stay = Stay(learner, workshop, answers={"why": "To learn."}, note="By train.")
        stay.attend()
        stay.rate(5, text="Good.")
        comment(workshop, learner, "First.", "Second.")
    gone = Stay(ada, full)
    gone.leave()
    Stay(bob, full)
    Stay(ada, full, waits=True)


def comment(workshop: Workshop, learner: Actor, *texts: str) -> None:
    """Leave a comment of so many versions, a minute between them."""
    digests = [hashlib.sha256(text.encode()) for text in texts]
    said_at = [clock.now() - timedelta(minutes=number) for number in range(len(texts))][::-1]
    about = {"workshop_id": workshop.id, "user_id": learner.user_id}
    with transaction() as session:
        row = WorkshopComment(**about, version=len(texts), text_hash=digests[-1].digest(), state="visible")
        row.created_at, row.edited_at = said_at[0], said_at[-1]
        session.add(row)
        session.flush()
    for number, (text, made, at) in enumerate(zip(texts, digests, said_at, strict=True), 1):
        key = {"_id": f"{row.id}:{number}", "comment_id": row.id, "version": number}
        told = {"text": text, "hash": made.hexdigest(), "allow_list": 1, "at": at}
        mongo.collection("comments").insert_one({**key, **about, **told})


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
        with connection.connection.cursor() as cursor:
            for name, text in prepared.tables.items():
                # Quicker than TRUNCATE, which makes new files.
                cursor.execute(f"DELETE FROM {name}")
                cursor.copy_expert(f"COPY {name} FROM STDIN", io.StringIO(text))
    for name, kept in prepared.collections.items():
        mongo.collection(name).delete_many({})
        if kept:
            mongo.collection(name).insert_many(kept, bypass_document_validation=True)


@pytest.fixture(scope="module")
def prepared(settings: Settings) -> Iterator[Prepared]:
    """A pair of its own, prepared once."""
    application = create_app(create_pair(replace(settings), "corruptions"))
    mongo.configure(application.config["REBOOTCAMP"])
    with application.app_context():
        yield Prepared(application, *tell_stories(), rows(), raw_documents())
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def ada(prepared: Prepared) -> Iterator[int]:
    """Ada's id, in sound stores."""
    mongo.configure(prepared.application.config["REBOOTCAMP"])
    with prepared.application.app_context():
        bring_back(prepared)
        yield prepared.ada
        db.session.remove()


def found(user_id: int | None = None) -> set[str]:
    db.session.remove()
    return {finding.invariant for finding in check_stores(user_id).findings}


def repair(user_id: int | None = None) -> tuple[list[str], set[str]]:
    """Repair, let the relay come, and return what was done and what is left."""
    actions: list[str] = []
    db.session.remove()
    report = repair_stores(actions.append, user_id)
    drain()
    return actions, {finding.invariant for finding in report.findings}


def test_sound_stores_have_no_findings_and_need_no_repair(ada: int) -> None:
    before = rows(), raw_documents()
    assert found() == found(ada) == set()
    assert repair() == repair(ada) == ([], set())
    assert (rows(), raw_documents()) == before


@pytest.mark.parametrize("corruption", ALL, ids=str)
def test_corruption_is_found_and_mended_or_left_alone(ada: int, corruption: Corruption) -> None:
    sound = documents()
    corruption.corrupt(ada)
    named = found()
    assert corruption.speaks in named
    assert named <= INVARIANTS.keys()
    if corruption.is_mended:
        actions, left = repair()
        assert (bool(actions), left) == (True, set())
        assert documents() == sound
        assert repair() == ([], set())
    else:
        spoilt = ledgers(), documents()
        assert corruption.speaks in repair()[1]
        assert (ledgers(), documents()) == spoilt


def ledgers() -> dict[str, str]:
    """Return the tables that no repair may touch."""
    journal = ("activity_events", "xp_entries", "challenge_completions", "badge_grants", "challenge_participations")
    names = (*journal, "workshop_registrations", "workshop_comments", "mails")
    return {name: text for name, text in rows().items() if name in names}


def test_there_are_enough_corruptions_of_every_invariant() -> None:
    assert len(ALL) >= 60
    assert len({corruption.name for corruption in ALL}) == len(ALL)
    spoken = {corruption.speaks for corruption in ALL}
    # The score from events cannot be wrong alone; the age of the outbox is no corruption.
    assert INVARIANTS.keys() - spoken == {"score from events", "outbox age"}


def test_events_that_nobody_carries_are_told_after_a_while(ada: int) -> None:
    with time_machine.travel(clock.now() - OVERDUE, tick=True):
        complete(Actor(ada, "student"), make_challenge())
        assert found() == set()
    assert found(ada) == found() == {"outbox age"}
    drain()
    assert found() == set()


def test_what_a_promotion_or_a_killed_comment_leaves_for_a_while_is_no_finding(ada: int) -> None:
    execute("UPDATE workshops SET capacity = 9, updated_at = now()")
    about = {"_id": "99:1", "comment_id": 99, "version": 1, "workshop_id": 1, "user_id": ada}
    mongo.collection("comments").insert_one(
        {**about, "text": "x", "hash": "0" * 64, "allow_list": 1, "at": clock.now()}
    )
    assert found() == set()
    with time_machine.travel(clock.now() + PROMOTION + timedelta(seconds=1), tick=True):
        assert found() == {"queue"}
    with time_machine.travel(clock.now() + LEFT_BEHIND + timedelta(seconds=1), tick=True):
        assert found() == {"queue", "comments left behind"}


def test_one_learner_is_checked_and_mended_without_the_others(ada: int, prepared: Prepared) -> None:
    for learner in (ada, prepared.bob):
        remove("history", {"user_id": learner, "seq": 2})
        execute("UPDATE learner_states SET xp_total = 0 WHERE user_id = :id", id=learner)
    report = check_stores(ada)
    assert {finding.user_id for finding in report.findings} == {ada}
    assert report.learners == 1
    actions, left = repair(ada)
    assert left == set()
    assert all(action.startswith(f"user {ada}") for action in actions)
    assert {finding.user_id for finding in check_stores().findings} == {prepared.bob}
    with pytest.raises(NotFound):
        check_stores(4711)


def test_what_is_delivered_again_counts_once_at_every_moment(ada: int) -> None:
    before = rows()
    remove("history", {"user_id": ada})
    assert len(mend_learner(ada)) > 3
    assert found() == set()
    assert rows()["eco_totals"] != before["eco_totals"]
    drain()
    after = rows()
    caches = ("eco_totals", "eco_contributions", "team_contributions", "leaderboard_entries", "leaderboard_counts")
    assert {name: after[name] for name in caches} == {name: before[name] for name in caches}


def test_what_is_put_aside_is_kept_byte_for_byte_with_its_reason(ada: int) -> None:
    change("history", {"user_id": ada, "seq": 2}, {"$set": {"at": DatetimeMS(10**15), "data": {"$odd": 1.5}}})
    wanted = {"user_id": ada, "seq": 2}
    home = mongo.database().get_collection("history", codec_options=RAW)
    before = home.find_one(wanted)
    repair()
    (kept,) = mongo.database().get_collection("_quarantine", codec_options=RAW).find()
    assert kept["document"] == before
    assert (kept["collection"], bool(kept["reason"])) == ("history", True)


def test_a_learner_whose_ledgers_contradict_each_other_is_left_to_a_person(ada: int) -> None:
    """The journal was changed, and MongoDB still shows what it said before: nobody may throw that away."""
    execute("UPDATE activity_events SET points = 1 WHERE user_id = :ada AND seq = 2", ada=ada)
    remove("awards", {"user_id": ada})
    before = rows(), raw_documents()
    actions, left = repair()
    assert actions == []
    assert {"event points", "awards"} <= left
    assert (rows(), raw_documents()) == before
