"""Accounts over HTTP: joining, signing in, profiles, administration, `flask admin`."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
import sqlalchemy as sa

from rebootcamp.models.sql.accounts import User
from rebootcamp.services import accounts
from rebootcamp.services.accounts import NewAccount
from rebootcamp.storage.transactions import transaction

PASSWORD = "correct horse battery"
USER_FIELDS = {
    "id",
    "email",
    "first_name",
    "last_name",
    "display_name",
    "nickname",
    "role",
    "locale",
    "timezone",
    "day_start_hour",
    "days_change_at",
    "is_active",
    "is_listed",
    "email_verified",
    "created_at",
}


def form(**changes: Any) -> dict[str, Any]:
    return {
        "email": "ada@example.org",
        "password": PASSWORD,
        "first_name": "Ada",
        "last_name": "Lovelace",
        **changes,
    }


def join(email: str = "ada@example.org", role: str = "student") -> int:
    return accounts.register(NewAccount(**form(email=email), role=role)).id


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


class TestJoining:
    def test_answers_the_new_account(self, client, committed_db):
        answer = client.post("/api/auth/register", json=form(email=" Ada@Example.ORG ", first_name=" Ada "))
        assert answer.status_code == 201
        assert set(answer.json) == USER_FIELDS
        assert answer.json["email"] == "ada@example.org"
        assert answer.json["display_name"] == "Ada L."
        assert (answer.json["role"], answer.json["locale"], answer.json["timezone"]) == ("student", "en", "UTC")
        assert answer.json["created_at"].endswith("Z")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_keeps_what_was_chosen(self, client, committed_db):
        chosen = {"display_name": "Countess", "locale": "fr", "timezone": "Europe/Paris"}
        answer = client.post("/api/auth/register", json=form(**chosen))
        assert {name: answer.json[name] for name in chosen} == chosen

    def test_a_taken_address_is_a_conflict(self, client, committed_db):
        client.post("/api/auth/register", json=form())
        answer = client.post("/api/auth/register", json=form(email="ADA@example.org"))
        assert (answer.status_code, answer.json["code"]) == (409, "email_taken")

    def test_a_repeat_with_its_key_gives_the_first_answer(self, client, committed_db):
        first, second = (
            client.post("/api/auth/register", json=form(), headers={"Idempotency-Key": "k1"}) for _ in range(2)
        )
        assert (first.status_code, second.status_code, second.json) == (201, 201, first.json)
        assert second.headers["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", None),
            ("email", 7),
            ("email", ["ada@example.org"]),
            ("email", {"$ne": None}),
            ("email", "ada"),
            ("email", "ada@example.org\u0000"),
            ("email", "a" * 400 + "@example.org"),
            ("email", "ada@example.org' OR 1=1 --"),
            ("password", "x" * 11),
            ("password", "x" * 129),
            ("password", "x" * 100_000),
            ("password", 123456789012),
            ("password", None),
            ("password", ["correct horse battery"]),
            ("password", "correct\u0000horse battery"),
            ("first_name", ""),
            ("first_name", "   "),
            ("first_name", "x" * 81),
            ("first_name", "A\nB"),
            ("first_name", "\u202eadA"),
            ("last_name", "\u200b\u200b"),
            ("display_name", ""),
            ("locale", "de"),
            ("timezone", "Paris"),
            ("timezone", "europe/paris"),
            ("timezone", "../etc/passwd"),
            ("timezone", "localtime"),
            ("role", "admin"),
            ("is_active", True),
            ("email_verified", True),
            ("id", 1),
            ("token_version", 5),
        ],
    )
    def test_a_wrong_value_is_named_and_nothing_is_stored(self, client, committed_db, field, value):
        answer = client.post("/api/auth/register", json=form(**{field: value}))
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json["errors"]] == [f"/{field}"]
        assert "password" not in answer.json["detail"]
        with transaction() as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 0

    @pytest.mark.parametrize("missing", ["email", "password", "first_name", "last_name"])
    def test_a_missing_value_is_named(self, client, committed_db, missing):
        body = form()
        del body[missing]
        answer = client.post("/api/auth/register", json=body)
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, f"/{missing}")

    @pytest.mark.parametrize("password", [b'"correct horse \\ud800"', b'"\xff\xfe correct horse"'])
    def test_a_password_that_is_not_text_is_refused(self, client, committed_db, password):
        body = json.dumps(form(password="@")).encode().replace(b'"@"', password)
        answer = client.post("/api/auth/register", data=body, content_type="application/json")
        assert answer.status_code in (400, 422)

    def test_a_password_with_spaces_around_it_keeps_them(self, client, committed_db):
        client.post("/api/auth/register", json=form(password=f" {PASSWORD} "))
        trimmed = client.post("/api/auth/login", json={"email": "ada@example.org", "password": PASSWORD})
        exact = client.post("/api/auth/login", json={"email": "ada@example.org", "password": f" {PASSWORD} "})
        assert (trimmed.status_code, exact.status_code) == (401, 200)


class TestSigningIn:
    def test_answers_a_pair_and_the_account(self, client, committed_db):
        user_id = join()
        body = login(client, "ADA@example.org")
        assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
        assert (body["token_type"], body["expires_in"], body["user"]["id"]) == ("Bearer", 600, user_id)
        assert set(body["user"]) == USER_FIELDS

    def test_the_token_says_what_it_is_for(self, app, client, committed_db):
        user_id = join()
        token = login(client)["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
        assert (claims["sub"], claims["typ"], claims["ver"], claims["epoch"]) == (str(user_id), "access", 1, 1)
        assert (claims["iss"], claims["aud"]) == ("rebootcamp", "rebootcamp-api")
        assert claims["exp"] - claims["iat"] == 600
        assert claims["jti"]

    def test_an_unknown_address_and_a_wrong_password_answer_alike(self, client, committed_db):
        join()
        answers = [
            client.post("/api/auth/login", json={"email": email, "password": password})
            for email, password in [
                ("ada@example.org", "wrong password"),
                ("nobody@example.org", PASSWORD),
                ("not an address", PASSWORD),
                ("ada@example.org", "x"),
            ]
        ]
        bodies = [{k: v for k, v in answer.json.items() if k != "request_id"} for answer in answers]
        headers = [{k: v for k, v in answer.headers if k != "X-Request-Id"} for answer in answers]
        assert all(body == bodies[0] for body in bodies)
        assert all(header == headers[0] for header in headers)
        assert (answers[0].status_code, answers[0].json["code"]) == (401, "bad_credentials")
        assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_suspended_account_is_told_so(self, client, root):
        user_id = join()
        client.patch(f"/api/users/{user_id}", json={"is_active": False}, headers=root)
        answer = client.post("/api/auth/login", json={"email": "ada@example.org", "password": PASSWORD})
        assert (answer.status_code, answer.json["code"]) == (403, "account_suspended")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"email": "ada@example.org"},
            {"email": {"$gt": ""}, "password": {"$gt": ""}},
            {"email": "ada@example.org", "password": "x" * 129},
            {"email": "ada@example.org", "password": PASSWORD, "admin": True},
        ],
    )
    def test_a_wrong_body_is_refused(self, client, committed_db, body):
        assert client.post("/api/auth/login", json=body).status_code == 422

    def test_a_refresh_gives_a_new_pair_and_a_reuse_closes_the_sign_in(self, client, committed_db):
        join()
        first = login(client)
        answer = client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert (answer.status_code, set(answer.json)) == (200, set(first))
        assert client.get("/api/users/me", headers=bearer(answer.json["access_token"])).status_code == 200
        reuse = client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert (reuse.status_code, reuse.json["code"]) == (401, "refresh_token_reused")
        heir = client.post("/api/auth/refresh", json={"refresh_token": answer.json["refresh_token"]})
        assert (heir.status_code, heir.json["code"]) == (401, "refresh_token_invalid")

    def test_an_access_token_refreshes_nothing(self, client, committed_db):
        join()
        answer = client.post("/api/auth/refresh", json={"refresh_token": login(client)["access_token"][:200]})
        assert (answer.status_code, answer.json["code"]) == (401, "refresh_token_invalid")

    def test_signing_out_ends_the_refresh_token(self, client, committed_db):
        join()
        token = {"refresh_token": login(client)["refresh_token"]}
        assert [client.post("/api/auth/logout", json=token).status_code for _ in range(2)] == [204, 204]
        assert client.post("/api/auth/refresh", json=token).status_code == 401


class TestProfile:
    def test_is_read_and_changed_by_its_owner(self, client, committed_db):
        join()
        headers = signed_in(client)
        changes = {"first_name": "Augusta", "display_name": "Countess", "locale": "fr", "timezone": "Asia/Tokyo"}
        answer = client.patch("/api/users/me", json=changes, headers=headers)
        assert answer.status_code == 200
        assert client.get("/api/users/me", headers=headers).json == answer.json
        assert {name: answer.json[name] for name in changes} == changes

    def test_has_an_etag_that_guards_edits(self, client, committed_db):
        join()
        headers = signed_in(client)
        etag = client.get("/api/users/me", headers=headers).headers["ETag"]
        assert client.get("/api/users/me", headers={**headers, "If-None-Match": etag}).status_code == 304
        guarded = {**headers, "If-Match": etag}
        first = client.patch("/api/users/me", json={"locale": "fr"}, headers=guarded)
        second = client.patch("/api/users/me", json={"locale": "en"}, headers=guarded)
        assert (first.status_code, second.status_code, second.json["code"]) == (200, 412, "stale_edit")
        assert first.headers["ETag"] == client.get("/api/users/me", headers=headers).headers["ETag"] != etag

    @pytest.mark.parametrize(
        "body",
        [
            {"role": "admin"},
            {"email": "new@example.org"},
            {"password": "another long password"},
            {"is_active": False},
            {"timezone": "Nowhere"},
            {"first_name": None},
        ],
    )
    def test_refuses_what_is_not_the_owners_to_change(self, client, committed_db, body):
        join()
        assert client.patch("/api/users/me", json=body, headers=signed_in(client)).status_code == 422

    def test_needs_a_token(self, client, committed_db):
        assert client.get("/api/users/me").status_code == 401
        assert client.patch("/api/users/me", json={}).status_code == 401


class TestAdministration:
    def test_strangers_see_no_account(self, client, committed_db):
        user_id = join()
        join("bob@example.org")
        bob = signed_in(client, "bob@example.org")
        assert client.get(f"/api/users/{user_id}", headers=bob).status_code == 404
        assert client.get("/api/users/999999", headers=bob).status_code == 404
        assert client.get("/api/users", headers=bob).status_code == 403
        assert client.patch(f"/api/users/{user_id}", json={"role": "admin"}, headers=bob).status_code == 403
        assert client.get(f"/api/users/{user_id}", headers=signed_in(client)).status_code == 200

    @pytest.mark.parametrize("path", ["0", "-1", "1.5", "abc", "9" * 25, "99999999999999999999"])
    def test_what_is_no_id_is_not_found(self, client, root, path):
        assert client.get(f"/api/users/{path}", headers=root).status_code == 404

    def test_lists_accounts_in_pages(self, client, root):
        for number in range(4):
            join(f"user{number}@example.org")
        emails, query = [], "limit=2"
        while query:
            page = client.get(f"/api/users?{query}", headers=root).json
            assert set(page) == {"items", "next_cursor"}
            emails += [user["email"] for user in page["items"]]
            query = page["next_cursor"] and f"limit=2&cursor={page['next_cursor']}"
        assert emails == ["root@example.org", *(f"user{number}@example.org" for number in range(4))]

    def test_filters_accept_either_language(self, client, root):
        user_id = join()
        client.patch(f"/api/users/{user_id}", json={"role": "Formateurs"}, headers=root)
        found = client.get("/api/users?role=formateur&is_active=true&q=LOVE", headers=root).json["items"]
        assert [(user["id"], user["role"]) for user in found] == [(user_id, "instructor")]
        assert client.get("/api/users?is_active=false", headers=root).json["items"] == []

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "cursor=x", "role=king", "is_active=maybe", "q=", "sort=id"]
    )
    def test_a_wrong_query_is_refused(self, client, root, query):
        assert client.get(f"/api/users?{query}", headers=root).status_code == 422

    @pytest.mark.parametrize(
        "body", [{"role": "king"}, {"role": None}, {"is_active": "yes"}, {"is_active": 1}, {"email": "x@example.org"}]
    )
    def test_a_wrong_change_is_refused(self, client, root, body):
        assert client.patch(f"/api/users/{join()}", json=body, headers=root).status_code == 422

    def test_a_lost_update_is_refused(self, client, root):
        path = f"/api/users/{join()}"
        stale = {**root, "If-Match": client.get(path, headers=root).headers["ETag"]}
        assert client.patch(path, json={"role": "examiner"}, headers=stale).status_code == 200
        assert client.patch(path, json={"role": "instructor"}, headers=stale).status_code == 412

    def test_the_last_administrator_cannot_step_down(self, client, root):
        me = client.get("/api/users/me", headers=root).json["id"]
        for body in ({"role": "student"}, {"is_active": False}):
            answer = client.patch(f"/api/users/{me}", json=body, headers=root)
            assert (answer.status_code, answer.json["code"]) == (409, "last_admin")
        assert client.get("/api/users", headers=root).status_code == 200

    def test_nobody_unknown_can_be_changed(self, client, root):
        assert client.patch("/api/users/999999", json={"role": "student"}, headers=root).status_code == 404


class TestCommands:
    def test_create_makes_an_administrator_who_can_sign_in(self, app, client, committed_db):
        result = app.test_cli_runner().invoke(
            args=["admin", "create", "Root@example.org"], input=f"{PASSWORD}\n{PASSWORD}\n"
        )
        assert result.exit_code == 0, result.output
        assert PASSWORD not in result.output
        assert client.get("/api/users", headers=signed_in(client, "root@example.org")).status_code == 200

    def test_create_reads_the_password_from_a_file(self, app, client, committed_db, tmp_path):
        (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
        arguments = ["admin", "create", "root@example.org", "--password-file", str(tmp_path / "password")]
        assert app.test_cli_runner().invoke(args=arguments).exit_code == 0
        assert login(client, "root@example.org")["user"]["role"] == "admin"

    def test_create_explains_a_refusal_in_one_line(self, app, committed_db):
        join("root@example.org")
        for email, password, words in [
            ("root@example.org", PASSWORD, "already has an account"),
            ("nobody", PASSWORD, "email"),
            ("new@example.org", "short", "password"),
        ]:
            arguments = ["admin", "create", email, "--password-file", "-"]
            result = app.test_cli_runner().invoke(args=arguments, input=password + "\n")
            assert result.exit_code == 1
            assert words in result.output
            assert "Traceback" not in result.output

    def test_set_role_takes_either_language(self, app, committed_db):
        join()
        run = app.test_cli_runner().invoke
        assert "ada@example.org is instructor" in run(args=["admin", "set-role", "ADA@example.org", "formateur"]).output
        assert run(args=["admin", "set-role", "nobody@example.org", "admin"]).exit_code == 1
        assert run(args=["admin", "set-role", "ada@example.org", "king"]).exit_code == 2
