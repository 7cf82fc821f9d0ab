"""Idempotency-Key: the first answer is stored in the transaction of the command, and given again."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Response, current_app, request
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.models.sql.operations import KEY_LIFETIME, IdempotencyKey
from rebootcamp.services.tokens import derive_key
from rebootcamp.storage.transactions import LOCK_NOT_AVAILABLE, savepoint, transaction
from rebootcamp.web.authentication import settle
from rebootcamp.web.languages import current_language
from rebootcamp.web.problems import problem_response, status_of
from rebootcamp.web.requests import CONTENT_LANGUAGE, context

KEY_PURPOSE: Final = "idempotency"
SEAL_PURPOSE: Final = "idempotent-answer"
HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT_HEADERS: Final = ("ETag", "Cache-Control", "Location")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")


class InvalidIdempotencyKey(DomainError):
    """The header holds something else than a key."""

    kind = Kind.INVALID
    code = "invalid_idempotency_key"
    title = Text("Invalid Idempotency-Key", "Idempotency-Key non valide")
    detail = Text(
        "Send 1 to 200 visible ASCII characters, a UUID for example.",
        "Envoyez de 1 à 200 caractères ASCII visibles, un UUID par exemple.",
    )


class IdempotencyKeyReused(DomainError):
    """The key already belongs to another request."""

    kind = Kind.INVALID
    code = "idempotency_key_reused"
    title = Text("Idempotency-Key already used", "Idempotency-Key déjà utilisée")
    detail = Text(
        "This key belongs to an earlier, different request; choose a new one.",
        "Cette clé appartient à une requête précédente et différente ; choisissez-en une nouvelle.",
    )


class IdempotencyInProgress(DomainError):
    """The first request with this key has not finished."""

    kind = Kind.CONFLICT
    code = "idempotency_in_progress"
    title = Text("Still in progress", "Encore en cours")
    detail = Text(
        "The first request with this key is still running; ask again for its answer.",
        "La première requête portant cette clé est encore en cours ; redemandez sa réponse.",
    )
    retry_after = 1


@dataclass(frozen=True)
class Attempt:
    """One request that carries a key."""

    scope: str
    key: str
    request_hash: bytes


def idempotent(view: Callable[..., Any]) -> Callable[..., Response]:
    """Make a command repeatable. Goes above `@blueprint.response`, below `@blueprint.arguments` and `@requires`."""

    @wraps(view)
    def repeatable(*args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return current_app.make_response(view(*args, **kwargs))
        if not _VISIBLE.fullmatch(key):
            raise InvalidIdempotencyKey
        if context().user_id is not None:
            # An answer is stored for good, so who may have it is not left to the command.
            settle()
        return _once(_attempt(key), lambda: current_app.make_response(view(*args, **kwargs)))

    repeatable.__idempotent__ = True  # type: ignore[attr-defined]
    repeatable._apidoc = {**getattr(view, "_apidoc", {}), "idempotent": True}  # type: ignore[attr-defined]
    return repeatable


def _attempt(key: str) -> Attempt:
    body, user_id = request.get_data(cache=True), context().user_id
    scope = f"anonymous:{_digest(body).hex()}" if user_id is None else f"user:{user_id}"
    head = f"{request.method} {request.full_path}\n".encode()
    return Attempt(scope, key, _digest(head + body))


def _digest(data: bytes) -> bytes:
    """Return a keyed hash: a body may hold a password, and a plain hash of it could be guessed offline."""
    secret = current_app.config["REBOOTCAMP"].secret_key
    return hmac.digest(derive_key(secret, KEY_PURPOSE), data, "sha256")


def _once(attempt: Attempt, run: Callable[[], Response]) -> Response:
    with transaction() as session:
        if not _claim(session, attempt):
            return _replay(session, attempt)
        response = _run(run)
        _store(session, attempt, response)
        return response


def _claim(session: Session, attempt: Attempt) -> bool:
    """Insert the key, or take over an expired one; waits for a concurrent holder, as long as a lock may take."""
    now = clock.now()
    values = {
        "request_hash": attempt.request_hash,
        "created_at": now,
        "status": None,
        "content_type": None,
        "body": None,
        "headers": None,
    }
    statement = insert(IdempotencyKey).values(scope=attempt.scope, key=attempt.key, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["scope", "key"], set_=values, where=IdempotencyKey.created_at < now - KEY_LIFETIME
    )
    try:
        return session.execute(statement.returning(sa.literal(1))).first() is not None
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) == LOCK_NOT_AVAILABLE:
            raise IdempotencyInProgress from error
        raise


def _run(run: Callable[[], Response]) -> Response:
    """Return the command's answer; a refusal undoes the command and is an answer like another."""
    try:
        with savepoint():
            return run()
    except DomainError as error:
        # What will pass is no answer to keep: the same key may succeed later.
        if status_of(error) >= 429:
            raise
        return problem_response(error)


def _store(session: Session, attempt: Attempt, response: Response) -> None:
    session.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.scope == attempt.scope, IdempotencyKey.key == attempt.key)
        .values(
            status=response.status_code,
            content_type=response.content_type,
            body=_cipher().encrypt(response.get_data()),
            headers={name: value for name, value in response.headers if name in KEPT_HEADERS}
            | {CONTENT_LANGUAGE: current_language()},
        )
    )


def _replay(session: Session, attempt: Attempt) -> Response:
    where = IdempotencyKey.scope == attempt.scope, IdempotencyKey.key == attempt.key
    kept = session.execute(sa.select(*IdempotencyKey.__table__.columns).where(*where)).one()
    if kept.request_hash != attempt.request_hash:
        raise IdempotencyKeyReused
    body = _cipher().decrypt(kept.body)
    response = Response(body, kept.status, kept.headers, content_type=kept.content_type)
    response.headers[REPLAYED] = "true"
    return response


def _cipher() -> Fernet:
    """Return what hides answers at rest: one may hold a secret that is shown once, and whose hash alone is kept."""
    key = derive_key(current_app.config["REBOOTCAMP"].secret_key, SEAL_PURPOSE)
    return Fernet(base64.urlsafe_b64encode(key))
