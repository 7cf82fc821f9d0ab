"""Signed-in devices: a password is exchanged for a refresh token, and each refresh token for the next one.

Every change of an account's refresh tokens happens under the lock of its user row, so that a revocation cannot
miss the token that a parallel refresh is about to insert.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.integrations.email_addresses import normalise_email
from rebootcamp.integrations.passwords import hash_password, needs_rehash, verify_password
from rebootcamp.models.sql.accounts import RefreshToken, User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage.batches import delete_in_batches
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

CREDENTIALS: Final = "SELECT id, password_hash FROM users WHERE email = %(email)s"
TOKEN_BYTES: Final = 32


class BadCredentials(DomainError):
    """The e-mail address and the password do not belong together; which one is wrong is nobody's business."""

    kind = Kind.UNAUTHENTICATED
    code = "bad_credentials"
    title = Text("Wrong e-mail or password", "Adresse e-mail ou mot de passe incorrect")
    detail = Text(
        "Check the e-mail address and the password, then try again.",
        "Vérifiez l'adresse e-mail et le mot de passe, puis réessayez.",
    )


class AccountSuspended(DomainError):
    """The right password of an account that may not be used."""

    kind = Kind.FORBIDDEN
    code = "account_suspended"
    title = Text("Account suspended", "Compte suspendu")
    detail = Text(
        "This account is suspended; ask an administrator.",
        "Ce compte est suspendu ; adressez-vous à un administrateur.",
    )


class RefreshTokenInvalid(DomainError):
    """A refresh token that is unknown, expired or revoked."""

    kind = Kind.UNAUTHENTICATED
    code = "refresh_token_invalid"
    title = Text("Sign in again", "Nouvelle connexion requise")
    detail = Text(
        "This refresh token is no longer valid; sign in again with POST /api/auth/login.",
        "Ce jeton de renouvellement n'est plus valide ; reconnectez-vous avec POST /api/auth/login.",
    )


class RefreshTokenReused(DomainError):
    """A refresh token came twice: one of the two senders stole it, so all its descendants die."""

    kind = Kind.UNAUTHENTICATED
    code = "refresh_token_reused"
    title = Text("Refresh token used twice", "Jeton de renouvellement déjà utilisé")
    detail = Text(
        "This refresh token was already used, so this sign-in is closed; sign in again.",
        "Ce jeton de renouvellement a déjà servi ; cette session est donc fermée, reconnectez-vous.",
    )


@dataclass(frozen=True)
class SignedIn:
    """What a device receives: who it acts for, its next refresh token, and the epoch its access tokens carry."""

    user: User
    refresh_token: str
    token_epoch: int


@dataclass
class _Policy:
    refresh_lifetime: timedelta = timedelta(days=Settings.refresh_token_days)


_policy = _Policy()


def configure(settings: Settings) -> None:
    """Set how long a refresh token lives."""
    _policy.refresh_lifetime = timedelta(days=settings.refresh_token_days)


def derive_key(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose: what is signed for one is worthless for any other."""
    return hmac.new(secret.encode(), b"rebootcamp:" + purpose.encode(), hashlib.sha256).digest()


def sign_in(email: str, password: str) -> SignedIn:
    """Start a new family of refresh tokens; raise `BadCredentials`, or `AccountSuspended` after a right password."""
    found = _find_credentials(email)
    stored: str | None = found[1] if found else None
    # No connection is held here: hashing is slow on purpose.
    if not verify_password(stored, password) or found is None or stored is None:
        raise BadCredentials
    renewed = hash_password(password) if needs_rehash(stored) else stored
    with transaction() as session:
        user = session.scalar(_locked().where(User.id == found[0]))
        if user is None or user.password_hash != stored:
            raise BadCredentials
        if not user.is_active:
            raise AccountSuspended
        user.password_hash = renewed
        _forget_expired(session, user.id)
        return _issue(session, user, uuid4())


def refresh(token: str) -> SignedIn:
    """Spend the token for the next one; raise `RefreshTokenInvalid`, `RefreshTokenReused` or `AccountSuspended`.

    Never call it inside another transaction: what a refused token revokes is committed before the refusal leaves.
    """
    outcome = _exchange(_digest(token))
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def sign_out(token: str) -> None:
    """Revoke the family of the token; an unknown token is already signed out."""
    with transaction() as session:
        digest = _digest(token)
        if _owner(session, digest) is not None:
            _revoke_family(session, digest)


def revoke_all(user_id: int) -> None:
    """Revoke every refresh token of the account. The caller holds the lock of its user row."""
    with transaction() as session:
        _revoke(session, RefreshToken.user_id == user_id)


def forget_expired(on_progress: Callable[[int], None]) -> int:
    """Drop the refresh tokens of all accounts that are past their life; return how many there were.

    Spent and revoked ones stay until then: a second use must still be recognised.
    """
    return delete_in_batches(RefreshToken, RefreshToken.expires_at < clock.now(), on_progress)


def _find_credentials(email: str) -> tuple[int, str] | None:
    try:
        address = normalise_email(email)
    except ValueError:
        return None
    row = fetch_one(CREDENTIALS, {"email": address})
    return (row["id"], row["password_hash"]) if row else None


def _locked() -> sa.Select[User]:
    # NO KEY UPDATE: an event that refers to the user must not wait for us.
    return sa.select(User).with_for_update(of=User, key_share=True).execution_options(populate_existing=True)


def _owner(session: Session, digest: bytes) -> User | None:
    statement = _locked().join(RefreshToken, RefreshToken.user_id == User.id)
    return session.scalar(statement.where(RefreshToken.token_hash == digest))


def _exchange(digest: bytes) -> SignedIn | DomainError:
    with transaction() as session:
        user = _owner(session, digest)
        if user is None:
            return RefreshTokenInvalid()
        now = clock.now()
        family_id = session.scalar(_spend(digest, now))
        if family_id is None:
            return _refuse(session, digest)
        if not user.is_active:
            _revoke_family(session, digest)
            return AccountSuspended()
        return _issue(session, user, family_id)


def _spend(digest: bytes, now: datetime) -> sa.sql.dml.ReturningUpdate[UUID]:
    is_usable = RefreshToken.spent_at.is_(None) & RefreshToken.revoked_at.is_(None) & (RefreshToken.expires_at > now)
    statement = sa.update(RefreshToken).where(RefreshToken.token_hash == digest, is_usable).values(spent_at=now)
    return statement.returning(RefreshToken.family_id).execution_options(synchronize_session=False)


def _refuse(session: Session, digest: bytes) -> DomainError:
    spent_at = session.scalar(sa.select(RefreshToken.spent_at).where(RefreshToken.token_hash == digest))
    if spent_at is None:
        return RefreshTokenInvalid()
    _revoke_family(session, digest)
    return RefreshTokenReused()


def _revoke_family(session: Session, digest: bytes) -> None:
    family_id = sa.select(RefreshToken.family_id).where(RefreshToken.token_hash == digest).scalar_subquery()
    _revoke(session, RefreshToken.family_id == family_id)


def _revoke(session: Session, which: sa.ColumnElement[bool]) -> None:
    statement = sa.update(RefreshToken).where(which, RefreshToken.revoked_at.is_(None)).values(revoked_at=clock.now())
    session.execute(statement.execution_options(synchronize_session=False))


def _issue(session: Session, user: User, family_id: UUID) -> SignedIn:
    token, now = secrets.token_urlsafe(TOKEN_BYTES), clock.now()
    row = RefreshToken(
        user_id=user.id,
        family_id=family_id,
        token_hash=_digest(token),
        issued_at=now,
        expires_at=now + _policy.refresh_lifetime,
    )
    session.add(row)
    session.flush()
    epoch = session.scalars(sa.select(AppMeta.token_epoch)).one()
    return SignedIn(user, token, epoch)


def _forget_expired(session: Session, user_id: int) -> None:
    statement = sa.delete(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.expires_at < clock.now())
    session.execute(statement.execution_options(synchronize_session=False))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
