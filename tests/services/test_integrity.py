"""The check finds whatever is wrong in either store, names it, and never cries wolf."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa
from bson.datetime_ms import DatetimeMS

from rebootcamp.core.actors import Actor
from rebootcamp.services import badges, challenges
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import execute, make_learners

pytestmark = pytest.mark.usefixtures("committed_db")


def sound_stores() -> tuple[Actor, Actor]:
    """Return Ada and Bob, who completed, lost, earned and were given things; all of it is shown."""
    make_badge("first_step")
    make_badge("second_step", at_least=2)
    make_badge("gift", criteria={"points": {"at_least": 10_000}})
    ada, bob = make_learners(2)
    tasks = [make_challenge() for _ in range(3)]
    done = [complete(learner, task) for learner in (ada, bob) for task in tasks]
    complete(bob, make_challenge(validation="approval"))
    challenges.revoke_completion(admin(), bob.user_id, done[-1].completion.id, reason="A test.")
    for learner in (ada, bob):
        badges.award_badge(admin(), learner.user_id, "gift", reason="For the help.")
    badges.revoke_badge(admin(), bob.user_id, "gift", reason="Wrong person.")
    drain()
    return ada, bob


def found() -> set[str]:
    db.session.remove()
    return {finding.invariant for finding in check_stores().findings}


def change(collection: str, query: dict[str, object], update: dict[str, object]) -> None:
    """Change one document behind the validator's back, as a careless operator could."""
    result = mongo.database().command(
        "update", collection, updates=[{"q": query, "u": update}], bypassDocumentValidation=True
    )
    assert result["nModified"] == 1


def of(user_id: int, **more: object) -> dict[str, object]:
    return {"user_id": user_id, **more}


def change_award(user_id: int, update: dict[str, object]) -> None:
    change("awards", {"_id": f"{user_id}:gift"}, update)


def forge_history(user_id: int) -> None:
    mongo.collection("history").insert_one(
        {
            "_id": str(uuid4()),
            "user_id": user_id,
            "seq": 999,
            "type": "badge.awarded",
            "at": datetime(2026, 1, 1, tzinfo=UTC),
            "local_date": "2026-01-01",
            "data": {},
        }
    )


IN_MONGODB: dict[str, tuple[str, Callable[[int], object]]] = {
    "history document missing": ("history", lambda ada: mongo.collection("history").delete_one(of(ada, seq=2))),
    "history of a learner missing": ("history", lambda ada: mongo.collection("history").delete_many(of(ada))),
    "history document of no event": ("history", forge_history),
    "history document of nobody": ("history", lambda ada: forge_history(4711)),
    "history data changed": ("history", lambda ada: change("history", of(ada, seq=2), {"$set": {"data.points": 21}})),
    "history field added": ("history", lambda ada: change("history", of(ada, seq=2), {"$set": {"extra": 1}})),
    "history date shifted": ("history", lambda ada: change("history", of(ada, seq=2), {"$set": {"seq": 77}})),
    "award missing": ("awards", lambda ada: mongo.collection("awards").delete_one({"_id": f"{ada}:gift"})),
    "award state changed": (
        "awards",
        lambda ada: change_award(ada, {"$set": {"state": "revoked"}}),
    ),
    "award points changed": ("awards", lambda ada: change_award(ada, {"$set": {"points": 11}})),
    "award seq changed": ("awards", lambda ada: change_award(ada, {"$inc": {"seq": 1}})),
    "award evidence lost": (
        "awards",
        lambda ada: change_award(ada, {"$unset": {"evidence": 1}}),
    ),
    "award nobody gave": (
        "awards",
        lambda ada: mongo.collection("awards").insert_one(
            {"_id": f"{ada}:fake", "badge": "fake", "tier": "gold", "points": 0, "state": "held", **of(ada, seq=1)}
        ),
    ),
    "progress missing": ("progress", lambda ada: mongo.collection("progress").delete_one({"_id": ada})),
    "progress behind": ("progress", lambda ada: change("progress", {"_id": ada}, {"$inc": {"seq": -1}})),
    "progress ahead": ("progress", lambda ada: change("progress", {"_id": ada}, {"$inc": {"seq": 1}})),
    "progress totals": (
        "progress",
        lambda ada: change("progress", {"_id": ada}, {"$inc": {"totals.challenge_points": 1}}),
    ),
    "progress badge lost": ("progress", lambda ada: change("progress", {"_id": ada}, {"$pop": {"badges": 1}})),
    "progress recent lost": ("progress", lambda ada: change("progress", {"_id": ada}, {"$pop": {"recent": -1}})),
    "progress of nobody": (
        "progress",
        lambda ada: mongo.collection("progress").insert_one(
            {"_id": 4711, "seq": 1, "badges": [], "recent": [], "totals": {"challenge_points": 0, "badge_points": 0}}
        ),
    ),
    "badge missing": ("badges", lambda ada: mongo.collection("badges").delete_one({"_id": "gift"})),
    "badge changed": ("badges", lambda ada: change("badges", {"_id": "gift"}, {"$set": {"texts.fr.name": "Cadeau"}})),
    "badge of an older version": ("badges", lambda ada: change("badges", {"_id": "gift"}, {"$inc": {"version": -1}})),
    "badge nobody defined": (
        "badges",
        lambda ada: mongo.database().command(
            "insert", "badges", documents=[{"_id": "fake"}], bypassDocumentValidation=True
        ),
    ),
    "other store": ("store", lambda ada: change("meta", {"_id": "store"}, {"$set": {"store_id": str(uuid4())}})),
    "other epoch": ("store", lambda ada: change("meta", {"_id": "store"}, {"$inc": {"epoch": 1}})),
    "history document without owner": (
        "history",
        lambda ada: change("history", of(ada, seq=2), {"$unset": {"user_id": 1}}),
    ),
    "history document of a text": (
        "history",
        lambda ada: change("history", of(ada, seq=2), {"$set": {"user_id": "1"}}),
    ),
    "history date beyond reason": (
        "history",
        lambda ada: change("history", of(ada, seq=2), {"$set": {"at": DatetimeMS(10**15)}}),
    ),
    "award without owner": ("awards", lambda ada: change_award(ada, {"$unset": {"user_id": 1}})),
    "award of an object": ("awards", lambda ada: change_award(ada, {"$set": {"user_id": {"id": 1}}})),
    "progress without badges": ("progress", lambda ada: change("progress", {"_id": ada}, {"$unset": {"badges": 1}})),
    "progress without totals": ("progress", lambda ada: change("progress", {"_id": ada}, {"$unset": {"totals": 1}})),
    "progress with a text for seq": ("progress", lambda ada: change("progress", {"_id": ada}, {"$set": {"seq": "2"}})),
    "progress with a number for recent": (
        "progress",
        lambda ada: change("progress", {"_id": ada}, {"$set": {"recent": 2}}),
    ),
    "progress of a text": (
        "progress",
        lambda ada: mongo.database().command(
            "insert", "progress", documents=[{"_id": "ada"}], bypassDocumentValidation=True
        ),
    ),
    "mark without store": ("store", lambda ada: change("meta", {"_id": "store"}, {"$unset": {"store_id": 1}})),
    "mark without epoch": ("store", lambda ada: change("meta", {"_id": "store"}, {"$unset": {"epoch": 1}})),
    "no mark of the store": ("store", lambda ada: mongo.collection("meta").delete_one({"_id": "store"})),
}

COMPLETION = "SELECT min(id) FROM challenge_completions WHERE user_id = :ada AND status = 'validated'"
EVENT = "SELECT event_id FROM activity_events WHERE user_id = :ada AND seq ="

LAST = "e.user_id = :ada AND e.user_id = s.user_id AND e.seq = s.last_seq"
FORGE_EXPERIENCE = "INSERT INTO xp_entries (user_id, event_id, reason, points, local_date)"
FORGE_COMPLETION = """
    INSERT INTO challenge_completions (user_id, challenge_id, period, status, points, co2e_grams, evidence,
        completed_at, local_date)
    SELECT :ada, 1, 'forged', 'validated', 0, 0, '{}', now(), current_date"""
FORGE_ENTRY = """
    INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at)
    VALUES ('global', 'all', 4711, 5, now())"""
FORGE_COUNT = "INSERT INTO leaderboard_counts VALUES ('global', 'all', 3, 90, 1, 1, false)"
FORGE_DEAD_LETTER = f"""
    INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at, dead_at, last_error)
    SELECT event_id, :ada, 2, 8, now(), now(), 'forged' FROM ({EVENT} 2) e"""
FORGE_EVENT = """
    INSERT INTO activity_events
    SELECT gen_random_uuid(), user_id, last_seq + 1, 'account.registered', 1, '{}', 0, now(), current_date, 'UTC'
    FROM learner_states WHERE user_id = :ada"""

IN_POSTGRESQL = {
    "event missing": ("sequence", "DELETE FROM activity_events WHERE user_id = :ada AND seq = 2"),
    "last event missing": (
        "sequence",
        f"DELETE FROM activity_events e USING learner_states s WHERE {LAST}",
    ),
    "sequence run ahead": ("sequence", "UPDATE learner_states SET last_seq = last_seq + 1 WHERE user_id = :ada"),
    "event points changed": (
        "score from events",
        "UPDATE activity_events SET points = 21 WHERE user_id = :ada AND seq = 2",
    ),
    "event payload changed": (
        "replay",
        "UPDATE activity_events SET payload = payload || '{\"points\": 21}' WHERE user_id = :ada AND seq = 2",
    ),
    "event day changed": (
        "replay",
        "UPDATE activity_events SET local_date = local_date - 3 WHERE user_id = :ada AND seq > 1",
    ),
    "state missing": ("state", "DELETE FROM learner_states WHERE user_id = :ada"),
    "state challenge points": (
        "challenge points",
        "UPDATE learner_states SET challenge_points = challenge_points + 1 WHERE user_id = :ada",
    ),
    "state badge points": (
        "badge points",
        "UPDATE learner_states SET badge_points = badge_points + 1 WHERE user_id = :ada",
    ),
    "state experience": ("experience", "UPDATE learner_states SET xp_total = xp_total + 1 WHERE user_id = :ada"),
    "state streak": ("replay", "UPDATE learner_states SET daily_streak = daily_streak + 1 WHERE user_id = :ada"),
    "state counters": (
        "replay",
        "UPDATE learner_states SET counters = counters || '{\"challenge.completed\": 9}' WHERE user_id = :ada",
    ),
    "state badge forgotten": (
        "held badges",
        "UPDATE learner_states SET held_badges = held_badges - 'gift' WHERE user_id = :ada",
    ),
    "experience entry missing": ("experience", f"DELETE FROM xp_entries WHERE event_id = ({EVENT} 2)"),
    "experience entry changed": ("experience", f"UPDATE xp_entries SET points = 0 WHERE event_id = ({EVENT} 2)"),
    "experience of nobody": (
        "state",
        f"{FORGE_EXPERIENCE} SELECT 4711, event_id, 'forged', 5, current_date FROM ({EVENT} 2) e",
    ),
    "completion missing": ("completions", f"DELETE FROM challenge_completions WHERE id = ({COMPLETION})"),
    "completion revoked in silence": (
        "completions",
        f"UPDATE challenge_completions SET status = 'revoked' WHERE id = ({COMPLETION})",
    ),
    "completion worth more": (
        "challenge points",
        f"UPDATE challenge_completions SET points = 99 WHERE id = ({COMPLETION})",
    ),
    "completion without event": ("completions", FORGE_COMPLETION),
    "waiting completion missing": ("completions", "DELETE FROM challenge_completions WHERE status = 'pending'"),
    "grant missing": ("held badges", "DELETE FROM badge_grants WHERE user_id = :ada AND badge_code = 'gift'"),
    "grant worth more": (
        "badge points",
        "UPDATE badge_grants SET points = 11 WHERE user_id = :ada AND badge_code = 'gift'",
    ),
    "grant of another event": (
        "grants",
        f"UPDATE badge_grants SET event_id = ({EVENT} 2) WHERE user_id = :ada AND badge_code = 'gift'",
    ),
    "grant seq": ("grants", "UPDATE badge_grants SET seq = seq + 1 WHERE user_id = :ada AND badge_code = 'gift'"),
    "grant origin": ("grants", "UPDATE badge_grants SET origin = 'rule' WHERE user_id = :ada AND badge_code = 'gift'"),
    "revocation forgotten": ("held badges", "UPDATE badge_grants SET revoked_at = NULL WHERE revoked_at IS NOT NULL"),
    "board score": ("leaderboard", "UPDATE leaderboard_entries SET score = score + 1 WHERE user_id = :ada"),
    "board entry missing": ("leaderboard", "DELETE FROM leaderboard_entries WHERE user_id = :ada"),
    "board moment": (
        "leaderboard",
        "UPDATE leaderboard_entries SET reached_at = reached_at + interval '1 second' WHERE user_id = :ada",
    ),
    "board hides somebody": ("leaderboard", "UPDATE leaderboard_entries SET is_listed = false WHERE user_id = :ada"),
    "board entry of nobody": ("leaderboard", FORGE_ENTRY),
    "rank count": ("rank counts", "UPDATE leaderboard_counts SET learners = learners + 1 WHERE board = 'weekly'"),
    "rank count missing": ("rank counts", "DELETE FROM leaderboard_counts WHERE level = 2"),
    "rank count of no place": ("rank counts", FORGE_COUNT),
    "dead letter": ("dead letter", FORGE_DEAD_LETTER),
    "delivered in name only": ("history", FORGE_EVENT),
    "identity of the store lost": ("store", "DELETE FROM app_meta"),
    "event with a text for points": (
        "events",
        'UPDATE activity_events SET payload = payload || \'{"points": "x"}\' WHERE user_id = :ada AND seq = 2',
    ),
    "other identity": ("store", "UPDATE app_meta SET store_id = gen_random_uuid()"),
    "level missing": ("levels", "DELETE FROM levels WHERE number = 3"),
    "levels lost": ("levels", "DELETE FROM levels"),
    "level out of order": ("levels", "UPDATE levels SET xp_floor = 50 WHERE number = 3"),
}


def test_sound_stores_have_no_findings() -> None:
    sound_stores()
    assert found() == set()


@pytest.mark.parametrize("corruption", IN_MONGODB)
def test_corruption_in_mongodb_is_found_by_name(corruption: str) -> None:
    ada, _ = sound_stores()
    invariant, corrupt = IN_MONGODB[corruption]
    corrupt(ada.user_id)
    assert found() == {invariant}


@pytest.mark.parametrize("corruption", IN_POSTGRESQL)
def test_corruption_in_postgresql_is_found_by_name(corruption: str) -> None:
    ada, _ = sound_stores()
    invariant, statement = IN_POSTGRESQL[corruption]
    execute(statement, **({"ada": ada.user_id} if ":ada" in statement else {}))
    assert invariant in found()


@pytest.mark.parametrize("table", ["activity_events", "xp_entries"])
def test_a_ledger_is_only_appended_to(table: str) -> None:
    sound_stores()
    for statement in (f"UPDATE {table} SET points = 0", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"), db.engine.begin() as connection:
            connection.execute(sa.text(statement))
    assert found() == set()


@pytest.mark.parametrize("collection", ["history", "progress", "awards", "badges"])
def test_missing_validator_is_found(collection: str) -> None:
    mongo.database().command("collMod", collection, validator={})
    try:
        assert found() == {"schema"}
    finally:
        apply_schema(mongo.database())


def test_missing_index_is_found() -> None:
    mongo.collection("history").drop_index("line")
    try:
        assert found() == {"schema"}
    finally:
        apply_schema(mongo.database())


def test_finding_names_the_learner_and_both_values() -> None:
    ada, _ = sound_stores()
    execute("UPDATE leaderboard_entries SET score = 7 WHERE board = 'global' AND user_id = :ada", ada=ada.user_id)
    db.session.remove()
    (finding,) = check_stores().findings
    assert finding.subject == f"global/all/{ada.user_id}"
    assert re.fullmatch(r"found '7 since (\S+Z)', expected '90 since \1'", finding.detail)


def test_events_that_wait_are_pending_not_wrong() -> None:
    ada, _ = sound_stores()
    complete(ada, make_challenge())
    db.session.remove()
    report = check_stores()
    assert (report.findings, report.pending) == ([], 1)


def test_documents_of_before_badges_could_end_are_as_sound() -> None:
    """What the first release left in both stores: nothing there speaks of an end."""
    sound_stores()
    payloads = db.session.scalars(sa.text("SELECT payload FROM activity_events WHERE type = 'badge.awarded'")).all()
    assert payloads
    assert not any("expires_at" in payload for payload in payloads)
    mongo.collection("awards").update_many({}, {"$unset": {"expires_at": ""}}, bypass_document_validation=True)
    assert found() == set()
