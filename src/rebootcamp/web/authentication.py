"""Who is calling: access tokens are made, verified without a database, then held against the caller's row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Lock
from typing import Any, Final, cast

import jwt
from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token

from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor, Caller
from rebootcamp.core.days import Days
from rebootcamp.core.errors import Unauthenticated
from rebootcamp.models.sql.accounts import CALLER_COLUMNS, day_columns
from rebootcamp.services import tokens
from rebootcamp.storage import mongo
from rebootcamp.storage.statements import fetch_one

EXTENSION: Final = "rebootcamp.authentication"
ALGORITHM: Final = "HS256"
KEY_PURPOSE: Final = "access-token"
HEADER_TYPE: Final = "at+jwt"
TOKEN_TYPE: Final = "access"  # noqa: S105
REQUIRED_CLAIMS: Final = ["exp", "iat", "sub", "aud", "iss", "typ"]
REMEMBERED_TOKENS: Final = 4096

CALLER: Final = (
    f"SELECT {CALLER_COLUMNS}, {day_columns('u')} FROM users u CROSS JOIN app_meta m WHERE u.id = %(user_id)s"  # noqa: S608
)


@dataclass(frozen=True)
class TokenClaims:
    """What a verified token says; only the caller's row can tell whether it still holds."""

    user_id: int
    token_version: int
    token_epoch: int
    expires_at: float


@dataclass(frozen=True)
class Bearer:
    """A caller whose token is verified; his row, read by whichever statement comes first, decides."""

    claims: TokenClaims
    permission: str | None

    @property
    def user_id(self) -> int:
        """Return whom the token names."""
        return self.claims.user_id

    def confirmed(self, row: Mapping[Any, Any] | None) -> Actor:
        """Remember and return the actor by his row (`CALLER_COLUMNS`); raise `Unauthenticated` or `Forbidden`."""
        is_current = (
            row is not None
            and row["caller_is_active"]
            and row["caller_token_version"] == self.claims.token_version
            and row["token_epoch"] == self.claims.token_epoch
        )
        if row is None or not is_current:
            raise Unauthenticated
        mongo.follow(row["mongo_database"])
        actor = Actor(self.user_id, row["caller_role"])
        if self.permission is not None:
            actor.require(self.permission)
        g.actor = actor
        return actor


@dataclass(frozen=True)
class TokenPair:
    """What a device keeps after signing in; `expires_in` counts the seconds of the access token."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass
class _Verifier:
    """The key and the expected claims of one application, and the tokens it has already verified."""

    key: bytes
    issuer: str
    audience: str
    lifetime: timedelta
    remembered: dict[str, TokenClaims] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def verify(self, token: str) -> TokenClaims:
        claims = self.remembered.get(token)
        if claims is None:
            claims = self._decode(token)
            self._remember(token, claims)
        if claims.expires_at <= clock.now().timestamp():
            raise Unauthenticated
        return claims

    def _decode(self, token: str) -> TokenClaims:
        # Another node's clock may run a moment ahead, so the age of our own signature is not judged.
        options: jwt.types.Options = {"require": REQUIRED_CLAIMS, "verify_iat": False, "strict_aud": True}
        try:
            decoded = jwt.decode_complete(
                token, self.key, algorithms=[ALGORITHM], options=options, audience=self.audience, issuer=self.issuer
            )
        except jwt.PyJWTError:
            raise Unauthenticated from None
        payload = decoded["payload"]
        if decoded["header"].get("typ") != HEADER_TYPE or payload["typ"] != TOKEN_TYPE:
            raise Unauthenticated
        return _claims(payload)

    def _remember(self, token: str, claims: TokenClaims) -> None:
        with self.lock:
            if len(self.remembered) >= REMEMBERED_TOKENS:
                self._make_room()
            self.remembered[token] = claims

    def _make_room(self) -> None:
        now = clock.now().timestamp()
        living = [(token, claims) for token, claims in self.remembered.items() if claims.expires_at > now]
        # Half at a time: dropping one by one would repeat this walk for each new token.
        self.remembered = dict(living[-REMEMBERED_TOKENS // 2 :])


def init_authentication(app: Flask, settings: Settings) -> None:
    """Configure the tokens of the application; call it once, from the application factory."""
    tokens.configure(settings)
    verifier = _Verifier(
        key=tokens.derive_key(settings.secret_key, KEY_PURPOSE),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        lifetime=timedelta(minutes=settings.access_token_minutes),
    )
    app.extensions[EXTENSION] = verifier
    app.config.update(
        JWT_SECRET_KEY=verifier.key,
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=verifier.issuer,
        JWT_ENCODE_AUDIENCE=verifier.audience,
        JWT_ENCODE_NBF=False,
        JWT_ACCESS_TOKEN_EXPIRES=verifier.lifetime,
        JWT_TOKEN_LOCATION=["headers"],
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    JWTManager(app)


def issue_tokens(signed_in: tokens.SignedIn) -> TokenPair:
    """Make the access token that goes with a new refresh token."""
    access_token = create_access_token(
        identity=str(signed_in.user.id),
        additional_claims={
            "typ": TOKEN_TYPE,
            "ver": signed_in.user.token_version,
            "epoch": signed_in.token_epoch,
        },
        additional_headers={"typ": HEADER_TYPE},
    )
    return TokenPair(access_token, signed_in.refresh_token, int(_verifier().lifetime.total_seconds()))


def identify(permission: str | None = None) -> Bearer:
    """Verify the bearer token of the request without any database; raise `Unauthenticated`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    bearer = g.bearer = Bearer(_verifier().verify(token.strip()), permission)
    # What is known of the caller of another request says nothing about this one.
    g.pop("actor", None)
    return bearer


def settle() -> None:
    """Hold a caller who is only identified against his row now, with one statement."""
    bearer: Bearer | None = g.get("bearer")
    if bearer is not None and "actor" not in g:
        row = fetch_one(CALLER, {"user_id": bearer.user_id})
        actor = bearer.confirmed(row)
        g.actor = replace(actor, days=Days.from_row(row)) if row else actor


def current_caller() -> Caller:
    """Return who is calling, confirmed or only identified; raise `Unauthenticated`."""
    caller: Caller | None = g.get("actor") or g.get("bearer")
    return caller or identify()


def current_actor() -> Actor:
    """Return who is calling; raise `Unauthenticated` or `Forbidden`."""
    if "bearer" not in g:
        identify()
    settle()
    return cast(Actor, g.actor)


def _verifier() -> _Verifier:
    return cast(_Verifier, current_app.extensions[EXTENSION])


def _claims(payload: Mapping[str, Any]) -> TokenClaims:
    subject, version, epoch = payload["sub"], payload.get("ver"), payload.get("epoch")
    is_id = isinstance(subject, str) and subject.isascii() and subject.isdecimal() and len(subject) < 19
    if not is_id or type(version) is not int or type(epoch) is not int:
        raise Unauthenticated
    return TokenClaims(int(subject), version, epoch, float(payload["exp"]))
