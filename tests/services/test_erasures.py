"""Erased people are found in neither store, and no restored backup brings them back."""

from __future__ import annotations

import json
import signal
import stat
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
import time_machine
from bson import encode
from bson.raw_bson import RawBSONDocument
from flask import Flask
from flask.testing import FlaskClient

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.integrations.erasure_log import Erasure, ErasureLogUnusable, append_erasure, read_erasures
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services import badges, challenges, pictures, tokens, workshops
from rebootcamp.services.accounts import LastAdmin
from rebootcamp.services.erasures import erase_account, replay_erasures
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import Base, db
from rebootcamp.storage.transactions import transaction
from tests.factories import PASSWORD, admin, drain, make_actor, make_badge, make_challenge
from tests.factories.workshops import make_workshop
from tests.relay.tools import assert_stores_agree, execute, in_threads, restore_outbox, started

pytestmark = pytest.mark.usefixtures("committed_db")
CANARY = "Zyxomma"
EMAIL = f"{CANARY.lower()}@example.org"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where erasures are noted."""
    return tmp_path / "kept" / "erasures.jsonl"


def make_canary() -> Actor:
    """Register a person whose name is in every place that takes one, events of both stores among them."""
    names = {"first_name": CANARY, "last_name": CANARY, "display_name": CANARY}
    canary, root = make_actor(email=EMAIL, **names), admin()
    execute("UPDATE users SET nickname = :name WHERE id = :id", name=CANARY, id=canary.user_id)
    tokens.sign_in(EMAIL, PASSWORD)
    pictures.create_share_link(canary, pictures.NewShareLink(label=CANARY))
    for code in ("first_step", "gift", "lent"):
        make_badge(code, **({} if code == "first_step" else {"criteria": {"points": {"at_least": 100_000}}}))
    words = {"text": f"By {CANARY}", "url": f"https://{CANARY}.example.org"}
    for code in ("gift", "lent"):
        badges.award_badge(root, canary.user_id, code, reason=f"For {CANARY}", evidence=words)
    badges.revoke_badge(root, canary.user_id, "lent", reason=f"{CANARY} gave it back")
    ids = [make_challenge(validation="approval").id for _ in range(3)]
    done = [challenges.complete_challenge(canary, one, answer=None, evidence=words).completion for one in ids]
    challenges.reject_submission(root, done[0].id, reason=f"{CANARY} did not")
    challenges.approve_submission(root, done[1].id)
    challenges.approve_submission(root, done[2].id)
    challenges.revoke_completion(root, canary.user_id, done[2].id, reason=f"{CANARY} cheated")
    meet(canary)
    return canary


def meet(canary: Actor) -> None:
    """Let somebody register with words in every place, take part, talk about it and be hidden, and write mails."""
    trainer = make_actor("instructor")
    question = {"key": "why", "labels": {"en": "Why?", "fr": "Pourquoi ?"}, "is_required": True}
    workshop, other = make_workshop(trainer, questions=[question]), make_workshop(trainer)
    limits = workshops.Limits()
    for one in (workshop, other):
        answers = {"why": CANARY} if one is workshop else {}
        workshops.register(canary, one.id, answers=answers, note=f"{CANARY} comes by train", limits=limits)
    workshops.leave(canary, other.id)
    workshops.mark_attendance(trainer, workshop.id, [canary.user_id])
    workshops.give_feedback(canary, workshop.id, rating=4, text=f"{CANARY} liked it")
    said = workshops.add_comment(canary, workshop.id, f"I am {CANARY}").id
    workshops.edit_comment(canary, workshop.id, said, f"I was {CANARY}", 1)
    workshops.hide_comment(trainer, workshop.id, said, f"{CANARY}, be kind")
    taken_back = workshops.add_comment(canary, workshop.id, f"Not {CANARY}").id
    workshops.delete_comment(canary, workshop.id, taken_back)
    workshops.note_view(workshop.id, canary.user_id)
    execute("UPDATE mails SET reason = :text WHERE user_id = :id", text=f"550 no {CANARY}", id=canary.user_id)


def places_of(text: str) -> set[str]:
    """Return the tables and collections that hold a text anywhere."""
    db.session.remove()
    found = set()
    for table in Base.metadata.sorted_tables:
        rows = db.session.execute(sa.text(f"SELECT t::text FROM {table.name} t")).scalars().all()
        found |= {table.name for row in rows if text.lower() in row.lower()}
    for name in mongo.database().list_collection_names():
        documents = mongo.collection(name).find()
        found |= {f"mongodb {name}" for document in documents if text.lower() in repr(document).lower()}
    return found


def test_nothing_tells_of_an_erased_person_in_either_store(log: Path) -> None:
    canary = make_canary()
    drain()
    for name, owner in (("history", "user_id"), ("registrations", "user_id"), ("progress", "_id")):
        for document in mongo.collection(name).find({owner: canary.user_id}):
            QuarantinedDocument.keep(name, RawBSONDocument(encode(document)), "put aside by hand")
    journal = {"activity_events", "challenge_completions", "badge_grants"}
    assert places_of(CANARY) == {
        *journal,
        "users",
        "share_links",
        "mails",
        "workshop_comments",
        "mongodb comments",
        "mongodb history",
        "mongodb registrations",
        "mongodb awards",
        "mongodb progress",
        "mongodb _quarantine",
    }
    assert erase_account(canary.user_id, log) is True
    assert {place for place in places_of(CANARY) if not place.startswith("mongodb")} == set()
    drain()
    assert places_of(CANARY) == set()
    assert_stores_agree()
    with pytest.raises(tokens.BadCredentials):
        tokens.sign_in(EMAIL, PASSWORD)


def test_figures_badges_and_the_reasons_of_the_engine_stay(log: Path) -> None:
    canary = make_canary()
    badges.award_badge(admin(), canary.user_id, "lent", reason="y", expires_at=clock.now() + timedelta(hours=1))
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        assert badges.expire_awards() == 1
    columns = "challenge_points, badge_points, xp_total, counters::text, held_badges::text, daily_streak"
    state = sa.text(f"SELECT {columns} FROM learner_states WHERE user_id = {canary.user_id}")
    before = db.session.execute(state).all()
    erase_account(canary.user_id, log)
    assert db.session.execute(state).all() == before
    reasons = "SELECT payload ->> 'reason' FROM activity_events WHERE payload ? 'reason' ORDER BY seq"
    told = db.session.execute(sa.text(reasons)).scalars().all()
    assert (set(told), told[-1]) == ({"–", "expired"}, "expired")
    drain()
    assert_stores_agree()


def test_an_event_whose_document_was_refused_stays_out_of_mongodb(log: Path) -> None:
    """The documents of an erased person are told again, never made: a dead letter is nobody's to revive."""
    canary = make_canary()
    drain()
    execute("DELETE FROM outbox")
    mongo.collection("history").delete_one({"user_id": canary.user_id, "seq": 3})
    erase_account(canary.user_id, log)
    drain()
    assert mongo.collection("history").count_documents({"user_id": canary.user_id, "seq": 3}) == 0
    assert places_of(CANARY) == set()


def test_a_refusal_that_quotes_the_person_is_forgotten(log: Path) -> None:
    canary = make_canary()
    execute("UPDATE outbox SET last_error = :text, dead_at = now() WHERE user_id = :id", text=CANARY, id=canary.user_id)
    assert "outbox" in places_of(CANARY)
    erase_account(canary.user_id, log)
    drain()
    assert places_of(CANARY) == set()


def test_redelivery_and_a_rebuilt_mongodb_show_no_more_than_the_journal(log: Path) -> None:
    canary = make_canary()
    erase_account(canary.user_id, log)
    drain()
    restore_outbox()
    for name in ("history", "awards", "progress"):
        mongo.collection(name).delete_many({})
    drain()
    assert places_of(CANARY) == set()
    assert_stores_agree()


def test_the_log_holds_ids_only_and_is_its_owners_alone(log: Path) -> None:
    canary = make_canary()
    erase_account(canary.user_id, log)
    assert erase_account(canary.user_id, log) is False
    (line,) = log.read_text(encoding="utf-8").splitlines()
    user = db.session.get_one(User, canary.user_id)
    assert user.erased_at is not None
    assert json.loads(line) == {
        "user_id": canary.user_id,
        "store_id": str(db.session.scalars(sa.select(AppMeta.store_id)).one()),
        "created_at": clock.iso(user.created_at),
        "erased_at": clock.iso(user.erased_at),
    }
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_who_erases_again_mends_a_log_that_was_lost(log: Path) -> None:
    canary = make_actor()
    erase_account(canary.user_id, log)
    line = log.read_bytes()
    log.unlink()
    assert erase_account(canary.user_id, log) is False
    assert log.read_bytes() == line


def bring_back(user_id: int) -> None:
    """Do to PostgreSQL what a restore of an older backup does."""
    execute(
        """UPDATE users SET email = :email, first_name = :name, erased_at = NULL, is_active = true WHERE id = :id""",
        email=EMAIL,
        name=CANARY,
        id=user_id,
    )
    execute(
        """UPDATE activity_events SET payload = jsonb_set(payload, '{reason}', to_jsonb(CAST(:name AS text)))
           WHERE user_id = :id AND payload ? 'reason' AND payload ->> 'reason' = '–'""",
        name=CANARY,
        id=user_id,
    )


def test_a_restore_brings_nobody_back(log: Path) -> None:
    canary, other = make_canary(), make_actor()
    drain()
    erase_account(canary.user_id, log)
    drain()
    bring_back(canary.user_id)
    assert replay_erasures(log) == 1
    drain()
    assert places_of(CANARY) == set()
    assert db.session.get_one(User, other.user_id).is_active
    assert replay_erasures(log) == 0


def test_a_newcomer_who_was_given_the_id_of_an_erased_person_stays(log: Path) -> None:
    newcomer = make_actor()
    entry = entry_of(newcomer.user_id)
    # The other was erased later than the newcomer joined: a restore may bring back what is newer than what it replaces.
    append_erasure(log, replace(entry, created_at=entry.created_at - timedelta(hours=1)))
    append_erasure(log, replace(entry, user_id=999_999))
    assert replay_erasures(log) == 0
    append_erasure(log, entry)
    assert replay_erasures(log) == 1


def entry_of(user_id: int) -> Erasure:
    """Return the line of an account that is erased now."""
    store_id = db.session.scalars(sa.select(AppMeta.store_id)).one()
    return Erasure(user_id, store_id, db.session.get_one(User, user_id).created_at, clock.now())


def test_the_log_of_another_store_erases_nobody(log: Path) -> None:
    actor = make_actor()
    erase_account(actor.user_id, log)
    bring_back(actor.user_id)
    (entry,) = read_erasures(log)
    log.unlink()
    append_erasure(log, replace(entry, store_id=uuid4()))
    assert replay_erasures(log) == 0


def test_without_a_log_there_is_nothing_to_replay(tmp_path: Path) -> None:
    assert replay_erasures(tmp_path / "none.jsonl") == 0


def test_the_last_administrator_stays_but_a_restored_one_does_not(log: Path) -> None:
    root = admin()
    with pytest.raises(LastAdmin):
        erase_account(root.user_id, log)
    assert not log.exists()
    append_erasure(log, entry_of(root.user_id))
    assert replay_erasures(log) == 1


def test_an_unknown_account_leaves_no_line(log: Path) -> None:
    with pytest.raises(NotFound):
        erase_account(999_999, log)
    assert not log.exists()


def test_nobody_is_erased_where_it_cannot_be_noted(tmp_path: Path) -> None:
    canary = make_canary()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ErasureLogUnusable):
        erase_account(canary.user_id, tmp_path / "file" / "erasures.jsonl")
    assert "users" in places_of(CANARY)


def test_a_log_that_cannot_be_read_stops_a_replay_but_a_torn_line_does_not(log: Path) -> None:
    actor, other = make_actor(), make_actor()
    erase_account(actor.user_id, log)
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:20])
    assert [entry.user_id for entry in read_erasures(log)] == [actor.user_id]
    erase_account(other.user_id, log)
    assert [entry.user_id for entry in read_erasures(log)] == [actor.user_id, other.user_id]
    log.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(ErasureLogUnusable, match="erasure_log_unusable"):
        replay_erasures(log)


def test_killed_before_the_commit_the_account_stays_and_the_log_knows(committed_db: Flask, log: Path) -> None:
    canary = make_canary()
    drain()
    options = {"ERASURE_LOG": str(log)}
    command = ("accounts", "erase", EMAIL, "--yes")
    with started(committed_db, *command, TEST_FAILPOINTS="erasure.logged", **options) as killed:
        assert killed.wait(30) == -signal.SIGKILL
    assert "users" in places_of(CANARY)
    assert [entry.user_id for entry in read_erasures(log)] == [canary.user_id]
    with started(committed_db, *command, **options) as done:
        output, _ = done.communicate(timeout=30)
        assert (done.returncode, f"account {canary.user_id} is erased" in output) == (0, True), output
    drain()
    assert places_of(CANARY) == set()
    with started(committed_db, "accounts", "erase", str(canary.user_id), "--yes", **options) as again:
        output, _ = again.communicate(timeout=30)
        assert (again.returncode, "was erased before" in output) == (0, True), output


def test_the_journal_refuses_every_other_change() -> None:
    canary = make_canary()
    where = f"WHERE user_id = {canary.user_id} AND type = 'badge.awarded' AND payload -> 'evidence' ? 'text'"
    for change in (
        "payload = jsonb_set(payload, '{evidence,text}', '\"other\"')",
        "payload = payload #- '{evidence,text}'",
        "payload = jsonb_set(payload, '{points}', '99')",
        "payload = jsonb_set(payload, '{reason}', '\"–\"')",
        "points = 99",
        "occurred_at = now()",
    ):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), db.engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE activity_events SET {change} {where}"))
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), db.engine.begin() as connection:
        connection.execute(sa.text(f"DELETE FROM activity_events {where}"))
    with db.engine.begin() as connection:
        dash = "payload = jsonb_set(payload, '{evidence,text}', '\"–\"')"
        assert connection.execute(sa.text(f"UPDATE activity_events SET {dash} {where}")).rowcount == 2


def test_tokens_of_an_erased_person_die_at_once(client: FlaskClient, log: Path) -> None:
    canary = make_canary()
    body = {"email": EMAIL, "password": PASSWORD}
    given = client.post("/api/auth/login", json=body).get_json()
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert client.get("/api/users/me", headers=bearer).status_code == 200
    erase_account(canary.user_id, log)
    assert client.get("/api/users/me", headers=bearer).status_code == 401
    execute("UPDATE users SET is_active = true")
    assert client.get("/api/users/me", headers=bearer).status_code == 401
    refreshed = client.post("/api/auth/refresh", json={"refresh_token": given["refresh_token"]})
    assert refreshed.status_code == 401


def test_erasing_waits_for_what_is_being_recorded(app: Flask, log: Path) -> None:
    canary, is_recorded = make_canary(), threading.Event()
    make_badge("late", criteria={"points": {"at_least": 100_000}})
    root = admin()

    def award() -> None:
        with transaction():
            badges.award_badge(root, canary.user_id, "late", reason=f"For {CANARY}")
            is_recorded.set()
            time.sleep(0.3)

    def erase() -> None:
        assert is_recorded.wait(10)
        erase_account(canary.user_id, log)

    in_threads(app, award, erase)
    drain()
    assert places_of(CANARY) == set()
    assert_stores_agree()
