"""Accounts and signed-in devices, against a real PostgreSQL."""

from __future__ import annotations

import hashlib
import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from argon2 import PasswordHasher
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, Forbidden, InvalidField, NotFound, StaleEdit
from rebootcamp.core.pages import PageRequest
from rebootcamp.integrations import passwords
from rebootcamp.models.sql.accounts import RefreshToken, User
from rebootcamp.models.sql.progress import ActivityEvent, LearnerState, OutboxEntry
from rebootcamp.services import accounts, tokens
from rebootcamp.services.accounts import AccountChanges, AccountFilter, NewAccount
from rebootcamp.storage.transactions import transaction

PASSWORD = "correct horse battery"
ROOT = Actor(user_id=2**40, role="admin")


def join(email: str = "ada@example.org", **values: Any) -> int:
    new = {"password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace", **values}
    return accounts.register(NewAccount(email=email, **new)).id


def count(entity: type[Any], *where: Any) -> int:
    with transaction() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(entity).where(*where)) or 0


def living_tokens(user_id: int) -> int:
    is_living = (RefreshToken.spent_at.is_(None), RefreshToken.revoked_at.is_(None))
    return count(RefreshToken, RefreshToken.user_id == user_id, *is_living)


def outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except DomainError as error:
        return error.code
    return "done"


def race(app: Flask, *actions: Callable[[], Any]) -> list[str]:
    """Run the actions at the same moment, each in its own thread and session; return what became of each."""
    start, results = threading.Barrier(len(actions)), [""] * len(actions)

    def run(index: int) -> None:
        with app.app_context():
            start.wait()
            results[index] = outcome(actions[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_joining_opens_a_line_with_its_first_event(committed_db):
    user_id = join(first_name="Zoé", last_name="ünal", locale="fr", timezone="Europe/Paris")
    with transaction() as session:
        user, state = session.get(User, user_id), session.get(LearnerState, user_id)
        event = session.scalars(sa.select(ActivityEvent)).one()
    assert (user.display_name, user.role, user.is_active, user.email_verified) == ("Zoé Ü.", "student", True, False)
    assert (state.last_seq, event.seq, event.type, event.timezone) == (1, 1, "account.registered", "Europe/Paris")
    assert count(OutboxEntry, OutboxEntry.event_id == event.event_id) == 1
    assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("again", ["ada@example.org", "ADA@EXAMPLE.ORG", "Ada@Example.org"])
def test_an_address_has_one_account_whatever_its_spelling(committed_db, again):
    join("ada@example.org")
    assert outcome(lambda: join(again)) == "email_taken"
    assert (count(User), count(LearnerState), count(ActivityEvent)) == (1, 1, 1)


def test_composed_and_decomposed_letters_are_one_address(committed_db):
    join("ren\u00e9@example.org")
    assert outcome(lambda: join("rene\u0301@example.org")) == "email_taken"


def test_of_many_who_join_with_one_address_at_once_one_wins(app, committed_db):
    results = race(app, *[join] * 8)
    assert sorted(results) == ["done"] + ["email_taken"] * 7
    assert (count(User), count(ActivityEvent)) == (1, 1)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@localhost",
        "ada@@example.org",
        "ada@example.org\n",
        "ada@exa mple.org",
        "a" * 65 + "@example.org",
        "ada@" + "a" * 250 + ".org",
        "ada@[127.0.0.1]",
        '"ada b"@example.org',
        "Ada <ada@example.org>",
        "ada@example.org,bob@example.org",
        "ada\u202e@example.org",
        "\U0001d000@example.org" + "\u0378",
        "ada@xn--a.org",
        "ada@example..org",
    ],
)
def test_what_is_not_an_address_cannot_join(committed_db, address):
    with pytest.raises(InvalidField) as refusal:
        join(address)
    assert refusal.value.pointer == "/email"
    assert count(User) == 0


def test_the_right_password_signs_in_whatever_the_spelling_of_the_address(committed_db):
    user_id = join("ada@example.org")
    assert tokens.sign_in("ADA@example.ORG", PASSWORD).user.id == user_id


def test_accents_typed_in_either_way_are_the_same_password(committed_db):
    join(password="m\u00e9t\u00e9o du matin")
    assert outcome(lambda: tokens.sign_in("ada@example.org", "me\u0301te\u0301o du matin")) == "done"


@pytest.mark.parametrize(
    "password", ["", "Correct horse battery", PASSWORD + " ", PASSWORD[:-1], "x" * 128, "\0", "🔑" * 40]
)
def test_any_other_password_does_not(committed_db, password):
    join()
    assert outcome(lambda: tokens.sign_in("ada@example.org", password)) == "bad_credentials"
    assert count(RefreshToken) == 0


def test_a_password_longer_than_72_bytes_counts_to_its_end(committed_db):
    join(password="é" * 100 + "a")
    assert outcome(lambda: tokens.sign_in("ada@example.org", "é" * 100 + "b")) == "bad_credentials"


def test_an_unknown_address_costs_as_much_as_a_wrong_password(committed_db):
    join()

    def cost(address: str) -> float:
        started = time.perf_counter()
        assert outcome(lambda: tokens.sign_in(address, "wrong password")) == "bad_credentials"
        return time.perf_counter() - started

    pairs = [(cost("ada@example.org"), cost("nobody@example.org"), cost("not an address")) for _ in range(9)]
    known, unknown, impossible = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert unknown == pytest.approx(known, rel=0.5)
    assert impossible == pytest.approx(known, rel=0.5)


def test_at_most_two_passwords_are_hashed_at_once(monkeypatch):
    running, highest, guard = 0, 0, threading.Lock()

    class Slow:
        def hash(self, plain: str) -> str:
            nonlocal running, highest
            with guard:
                running += 1
                highest = max(highest, running)
            time.sleep(0.01)
            with guard:
                running -= 1
            return plain

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=passwords.hash_password, args=("x",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert highest == 2


def test_an_old_hash_is_renewed_at_the_next_sign_in(committed_db):
    user_id = join()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with transaction() as session:
        session.execute(sa.update(User).values(password_hash=weak))
    tokens.sign_in("ada@example.org", PASSWORD)
    with transaction() as session:
        renewed = session.get(User, user_id, populate_existing=True).password_hash
    assert renewed != weak
    assert passwords.verify_password(renewed, PASSWORD)
    assert not passwords.needs_rehash(renewed)


def test_only_the_digest_of_a_refresh_token_is_stored(committed_db):
    join()
    token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    with transaction() as session:
        assert session.scalars(sa.select(RefreshToken.token_hash)).one() == hashlib.sha256(token.encode()).digest()
    assert len(token) >= 43


def test_each_refresh_gives_the_next_token_of_the_family(committed_db):
    user_id = join()
    token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    seen = {token}
    for _ in range(4):
        token = tokens.refresh(token).refresh_token
        seen.add(token)
    assert len(seen) == 5
    assert count(RefreshToken) == 5
    assert living_tokens(user_id) == 1


def test_reuse_of_a_spent_token_revokes_its_family_and_no_other(committed_db):
    join()
    phone, laptop = (tokens.sign_in("ada@example.org", PASSWORD).refresh_token for _ in range(2))
    newest = tokens.refresh(tokens.refresh(phone).refresh_token).refresh_token
    assert outcome(lambda: tokens.refresh(phone)) == "refresh_token_reused"
    assert outcome(lambda: tokens.refresh(newest)) == "refresh_token_invalid"
    assert outcome(lambda: tokens.refresh(laptop)) == "done"


def test_of_32_parallel_refreshes_exactly_one_gives_a_new_pair(app, committed_db):
    user_id = join()
    token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    results = race(app, *[lambda: tokens.refresh(token)] * 32)
    assert sorted(results) == ["done"] + ["refresh_token_reused"] * 31
    assert living_tokens(user_id) == 0


def test_a_reuse_that_races_with_a_refresh_leaves_nothing_alive(app, committed_db):
    user_id = join()
    for _ in range(15):
        spent = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
        current = tokens.refresh(spent).refresh_token
        race(app, lambda spent=spent: tokens.refresh(spent), lambda current=current: tokens.refresh(current))
        assert living_tokens(user_id) == 0


def test_an_expired_refresh_token_is_refused_and_later_forgotten(committed_db):
    join()
    token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        assert outcome(lambda: tokens.refresh(token)) == "refresh_token_invalid"
        tokens.sign_in("ada@example.org", PASSWORD)
        assert count(RefreshToken) == 1


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 200, "🔑"])
def test_an_unknown_refresh_token_is_refused(committed_db, token):
    assert outcome(lambda: tokens.refresh(token)) == "refresh_token_invalid"


def test_signing_out_closes_the_family_and_may_be_repeated(committed_db):
    user_id = join()
    first = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    second = tokens.refresh(first).refresh_token
    for token in (first, second, "unknown"):
        tokens.sign_out(token)
    assert outcome(lambda: tokens.refresh(second)) == "refresh_token_invalid"
    assert living_tokens(user_id) == 0


def test_only_the_right_password_learns_of_a_suspension(committed_db):
    user_id = join()
    accounts.edit_account(ROOT, user_id, AccountChanges(is_active=False))
    assert outcome(lambda: tokens.sign_in("ada@example.org", "wrong password")) == "bad_credentials"
    assert outcome(lambda: tokens.sign_in("ada@example.org", PASSWORD)) == "account_suspended"


def test_a_suspension_ends_every_sign_in_for_good(committed_db):
    user_id = join()
    token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
    accounts.edit_account(ROOT, user_id, AccountChanges(is_active=False))
    accounts.edit_account(ROOT, user_id, AccountChanges(is_active=True))
    assert outcome(lambda: tokens.refresh(token)) == "refresh_token_invalid"


def test_a_suspension_that_races_with_refreshes_leaves_nothing_alive(app, committed_db):
    user_id = join()
    for _ in range(10):
        token = tokens.sign_in("ada@example.org", PASSWORD).refresh_token
        suspend = lambda: accounts.edit_account(ROOT, user_id, AccountChanges(is_active=False))  # noqa: E731
        race(app, suspend, lambda token=token: tokens.refresh(token))
        assert living_tokens(user_id) == 0
        accounts.edit_account(ROOT, user_id, AccountChanges(is_active=True))


@pytest.mark.parametrize("changes", [AccountChanges(role="student"), AccountChanges(is_active=False)])
def test_the_last_active_administrator_stays(committed_db, changes):
    admin_id = join(role="admin")
    suspended_id = join("old@example.org", role="admin")
    accounts.edit_account(ROOT, suspended_id, AccountChanges(is_active=False))
    assert outcome(lambda: accounts.edit_account(ROOT, admin_id, changes)) == "last_admin"
    assert count(User, User.role == "admin", User.is_active) == 1


def test_two_administrators_cannot_demote_each_other_at_once(app, committed_db):
    ids = [join(f"admin{n}@example.org", role="admin") for n in range(2)]
    for _ in range(5):
        demotions = [lambda i=i: accounts.edit_account(ROOT, i, AccountChanges(role="student")) for i in ids]
        assert sorted(race(app, *demotions)) == ["done", "last_admin"]
        for user_id in ids:
            accounts.edit_account(ROOT, user_id, AccountChanges(role="admin"))


def test_a_change_of_role_or_activation_ends_the_access_tokens_and_nothing_else_does(committed_db):
    user_id = join()
    changes = [
        AccountChanges(role="instructor"),
        AccountChanges(role="instructor"),
        AccountChanges(is_active=False),
        AccountChanges(),
        AccountChanges(is_active=True),
    ]
    versions = [accounts.edit_account(ROOT, user_id, change).token_version for change in changes]
    renamed = accounts.edit_profile(Actor(user_id, "instructor"), {"first_name": "Augusta"})
    assert (versions, renamed.token_version) == ([2, 2, 3, 3, 4], 4)


def test_an_edit_of_another_version_is_refused(committed_db):
    user_id = join()
    me = Actor(user_id, "student")
    version = accounts.edit_profile(me, {"locale": "fr"}, 1).version
    assert version == 2
    with pytest.raises(StaleEdit):
        accounts.edit_profile(me, {"locale": "en"}, 1)
    with pytest.raises(StaleEdit):
        accounts.edit_account(ROOT, user_id, AccountChanges(role="admin"), 1)
    assert accounts.get_account(me, user_id).locale == "fr"


def test_accounts_are_shown_to_their_owner_and_administrators_only(committed_db):
    user_id, other_id = join(), join("bob@example.org")
    assert accounts.get_account(Actor(user_id, "student"), user_id).email == "ada@example.org"
    assert accounts.get_account(ROOT, user_id).id == user_id
    for role in ("student", "instructor", "examiner"):
        with pytest.raises(NotFound):
            accounts.get_account(Actor(other_id, role), user_id)
        with pytest.raises(Forbidden):
            accounts.list_accounts(Actor(other_id, role), AccountFilter(), PageRequest())
        with pytest.raises(Forbidden):
            accounts.edit_account(Actor(other_id, role), user_id, AccountChanges(role="admin"))
    with pytest.raises(NotFound):
        accounts.get_account(ROOT, 2**62)


def test_the_list_is_paged_by_id_and_filtered(committed_db):
    ids = [join(f"user{n}@example.org", first_name=name) for n, name in enumerate(["Zoé", "a%b", "a_b", "Ada", "Ada"])]
    accounts.edit_account(ROOT, ids[3], AccountChanges(role="examiner", is_active=False))
    seen: list[int] = []
    cursor = None
    while True:
        page = accounts.list_accounts(ROOT, AccountFilter(), PageRequest(2, cursor))
        seen += [user.id for user in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids

    def found(**wanted: Any) -> list[int]:
        return [
            ids.index(user.id) for user in accounts.list_accounts(ROOT, AccountFilter(**wanted), PageRequest()).items
        ]

    assert found(q="ZO") == [0]
    assert found(q="%") == [1]
    assert found(q="_") == [2]
    assert found(q="user4@") == [4]
    assert found(role="examiner") == [3]
    assert found(q="ada", is_active=True) == [4]


def test_the_operator_changes_a_role_by_address(committed_db):
    join()
    assert accounts.set_role("ADA@example.org", "admin").role == "admin"
    assert outcome(lambda: accounts.set_role("ada@example.org", "student")) == "last_admin"
    assert outcome(lambda: accounts.set_role("nobody@example.org", "admin")) == "not_found"
    assert outcome(lambda: accounts.set_role("nobody", "admin")) == "validation_failed"
