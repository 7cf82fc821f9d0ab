"""Access tokens over HTTP: what a forger may try, and what ends a right token."""

from __future__ import annotations

import base64
import json
import time
import warnings
from datetime import timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
import time_machine

from rebootcamp.core import clock
from rebootcamp.core.permissions import PERMISSIONS
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.models.sql.operations import IdempotencyKey
from rebootcamp.models.sql.progress import XpEntry
from rebootcamp.services import accounts
from rebootcamp.services.accounts import NewAccount
from rebootcamp.services.tokens import derive_key
from rebootcamp.storage.transactions import transaction
from tests.factories import make_challenge

PASSWORD = "correct horse battery"


def join(email: str = "ada@example.org", role: str = "student") -> int:
    return accounts.register(
        NewAccount(email=email, password=PASSWORD, first_name="Ada", last_name="Lovelace", role=role)
    ).id


def login(client: Any, email: str = "ada@example.org") -> dict[str, Any]:
    answer = client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    return answer.json


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed_in(client: Any, email: str = "ada@example.org") -> dict[str, str]:
    return bearer(login(client, email)["access_token"])


@pytest.fixture
def root(client: Any, committed_db: Any) -> dict[str, str]:
    join("root@example.org", "admin")
    return signed_in(client, "root@example.org")


def unpadded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


class Forge:
    """Makes tokens that are right but for one thing."""

    def __init__(self, app: Any, user_id: int) -> None:
        now = int(time.time())
        self.secret = app.config["REBOOTCAMP"].secret_key
        self.key = derive_key(self.secret, "access-token")
        self.claims: dict[str, Any] = {
            "sub": str(user_id),
            "iss": "rebootcamp",
            "aud": "rebootcamp-api",
            "iat": now,
            "exp": now + 600,
            "jti": "1",
            "typ": "access",
            "ver": 1,
            "epoch": 1,
        }

    def make(self, claims: dict[str, Any] | None = None, key: bytes | str | None = None, **header: Any) -> str:
        algorithm = header.pop("alg", "HS256")
        header.setdefault("typ", "at+jwt")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)
            return jwt.encode(claims or self.claims, self.key if key is None else key, algorithm, headers=header)

    def unsigned(self, algorithm: str) -> str:
        return f"{unpadded({'alg': algorithm, 'typ': 'at+jwt'})}.{unpadded(self.claims)}."

    def changed(self, **claims: Any) -> str:
        return self.make(self.claims | claims)


FORGERIES = {
    "alg none": lambda f: f.unsigned("none"),
    "alg None": lambda f: f.unsigned("None"),
    "alg nOnE": lambda f: f.unsigned("nOnE"),
    "HS256 without a signature": lambda f: f.unsigned("HS256"),
    "HS512": lambda f: f.make(alg="HS512"),
    "HS384": lambda f: f.make(alg="HS384"),
    "another key": lambda f: f.make(key=b"x" * 32),
    "the secret itself as key": lambda f: f.make(key=f.secret),
    "the key of another purpose": lambda f: f.make(key=derive_key(f.secret, "magic-link")),
    "header typ JWT": lambda f: f.make(typ="JWT"),
    "unknown crit": lambda f: f.make(crit=["exp2"], exp2=1),
    "no exp": lambda f: f.make(without(f.claims, "exp")),
    "no iat": lambda f: f.make(without(f.claims, "iat")),
    "no sub": lambda f: f.make(without(f.claims, "sub")),
    "no aud": lambda f: f.make(without(f.claims, "aud")),
    "no iss": lambda f: f.make(without(f.claims, "iss")),
    "no typ": lambda f: f.make(without(f.claims, "typ")),
    "no ver": lambda f: f.make(without(f.claims, "ver")),
    "no epoch": lambda f: f.make(without(f.claims, "epoch")),
    "expired": lambda f: f.changed(exp=f.claims["iat"] - 1),
    "exp null": lambda f: f.changed(exp=None),
    "exp as words": lambda f: f.changed(exp="tomorrow"),
    "exp enormous": lambda f: f.changed(exp=1e400),
    "another issuer": lambda f: f.changed(iss="elsewhere"),
    "another audience": lambda f: f.changed(aud="elsewhere"),
    "several audiences": lambda f: f.changed(aud=["rebootcamp-api", "elsewhere"]),
    "typ refresh": lambda f: f.changed(typ="refresh"),
    "sub of nobody": lambda f: f.changed(sub="999999999"),
    "sub not a number": lambda f: f.changed(sub="1 OR 1=1"),
    "sub beyond 64 bits": lambda f: f.changed(sub="9" * 30),
    "sub in other digits": lambda f: f.changed(sub="１"),
    "another version": lambda f: f.changed(ver=2),
    "version true": lambda f: f.changed(ver=True),
    "another epoch": lambda f: f.changed(epoch=2),
    "changed payload": lambda f: ".".join(
        part if i != 1 else unpadded(f.claims | {"sub": "2"}) for i, part in enumerate(f.make().split("."))
    ),
    "deeply nested header": lambda f: base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=") + ".e30.e30",
    "a number of 5,000 digits": lambda f: base64.urlsafe_b64encode(b'{"alg":' + b"9" * 5000 + b"}").decode() + ".e30.x",
    "not a token": lambda f: "x",
    "two dots": lambda f: "..",
    "empty": lambda f: "",
    "latin letters": lambda f: "é.é.é",
}


def test_a_right_token_is_let_in_again_and_again(app, client, committed_db):
    token = Forge(app, join()).make()
    assert [client.get("/api/users/me", headers=bearer(token)).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(app, client, committed_db, name):
    forged = FORGERIES[name](Forge(app, join()))
    for _ in range(2):
        answer = client.get("/api/users/me", headers=bearer(forged))
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_refresh_token_is_no_access_token(client, committed_db):
    join()
    assert client.get("/api/users/me", headers=bearer(login(client)["refresh_token"])).status_code == 401


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer  Bearer "])
def test_only_the_bearer_scheme_counts(app, client, committed_db, scheme):
    token = Forge(app, join()).make()
    assert client.get("/api/users/me", headers={"Authorization": scheme + token}).status_code == 401


def test_a_token_elsewhere_than_in_the_header_does_not_count(app, client, committed_db):
    token = Forge(app, join()).make()
    client.set_cookie("access_token_cookie", token)
    assert client.get("/api/users/me").status_code == 401
    assert client.get(f"/api/users/me?jwt={token}").status_code == 401


def test_a_remembered_token_expires_all_the_same(client, committed_db):
    join()
    headers = signed_in(client)
    assert client.get("/api/users/me", headers=headers).status_code == 200
    with time_machine.travel(clock.now() + timedelta(seconds=601), tick=False):
        assert client.get("/api/users/me", headers=headers).status_code == 401


def test_a_change_of_role_ends_old_tokens_at_once(client, root):
    user_id = join()
    pair = login(client)
    assert client.get("/api/users/me", headers=bearer(pair["access_token"])).status_code == 200
    client.patch(f"/api/users/{user_id}", json={"role": "examinateur"}, headers=root)
    assert client.get("/api/users/me", headers=bearer(pair["access_token"])).status_code == 401
    renewed = client.post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json
    answer = client.get("/api/users/me", headers=bearer(renewed["access_token"]))
    assert (answer.status_code, answer.json["role"]) == (200, "examiner")


def test_a_suspension_ends_old_tokens_at_once(client, root):
    user_id = join()
    headers = signed_in(client)
    client.patch(f"/api/users/{user_id}", json={"is_active": False}, headers=root)
    assert client.get("/api/users/me", headers=headers).status_code == 401


def test_a_new_epoch_ends_every_token(client, root):
    with transaction() as session:
        session.execute(sa.text("UPDATE app_meta SET token_epoch = token_epoch + 1"))
    assert client.get("/api/users/me", headers=root).status_code == 401
    assert client.get("/api/users/me", headers=signed_in(client, "root@example.org")).status_code == 200


def assert_nothing_was_written() -> None:
    with transaction() as session:
        for table in (ChallengeCompletion, IdempotencyKey, XpEntry):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize("ending", [{"is_active": False}, {"token_version": 2}])
@pytest.mark.parametrize(
    ("other", "query", "body"), [(0, "", "{}"), (404, "", "{}"), (0, "?x=1", "{}"), (0, "", "{"), (0, "", "[]")]
)
def test_a_dead_token_completes_nothing_and_learns_nothing(client, committed_db, ending, key, other, query, body):
    user_id, challenge = join(), make_challenge()
    headers = signed_in(client) | {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    with transaction() as session:
        session.execute(sa.update(User).where(User.id == user_id).values(ending))
    answer = client.post(f"/api/challenges/{challenge.id + other}/complete{query}", data=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert_nothing_was_written()


def test_a_completion_by_a_role_without_the_permission_is_refused_unwritten(client, committed_db, monkeypatch):
    monkeypatch.setitem(PERMISSIONS, "student", frozenset())
    challenge = make_challenge()
    join()
    headers = signed_in(client)
    for key in ({}, {"Idempotency-Key": "a-key"}):
        answer = client.post(f"/api/challenges/{challenge.id}/complete", json={}, headers=headers | key)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert_nothing_was_written()
