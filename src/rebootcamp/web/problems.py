"""The one place where an exception becomes an answer: RFC 9457 problem details, in French or English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import marshmallow as ma
import structlog
from bson.errors import BSONError
from flask import Flask, Response
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, InternalServerError

from rebootcamp.core import json
from rebootcamp.core.errors import DatabaseUnavailable, DomainError, InvalidField, Kind, RateLimited, StaleEdit
from rebootcamp.storage.mongo import MongoUnavailable
from rebootcamp.storage.sql import is_connection_failure
from rebootcamp.web.errors import (
    OTHER_STATUS,
    STATUS_TEXTS,
    Conflicting,
    FieldError,
    InternalError,
    InvalidRequest,
    StoreUnavailable,
    Unstorable,
)
from rebootcamp.web.languages import current_language
from rebootcamp.web.logs import causes_of
from rebootcamp.web.parsing import invalid_request
from rebootcamp.web.requests import context
from rebootcamp.web.translations import bilingual

PROBLEM_TYPE: Final = "application/problem+json"
STATUS: Final = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 412,
    Kind.LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}
UNAVAILABLE: Final = STATUS[Kind.UNAVAILABLE]
# Data exceptions, and program limits such as an index row that is too large.
UNSTORABLE_CLASSES: Final = ("22", "54")
_DROPPED_HEADERS: Final = frozenset({"content-type", "content-length"})

_log: Any = structlog.get_logger(__name__)


def register(app: Flask) -> None:
    """Answer every failure of the application as a problem."""
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(Exception, _on_exception)


def status_of(error: DomainError) -> int:
    """Return the HTTP status of a domain error."""
    status: int = getattr(error, "status", None) or STATUS[error.kind]
    return status


def problem_response(error: DomainError, extra: Mapping[str, object] | None = None) -> Response:
    """Return the answer to a domain error; `extra` adds members to the problem."""
    language, status = current_language(), status_of(error)
    if status == UNAVAILABLE:
        _log.warning("unavailable", code=error.code, causes=causes_of(error))
    members = _members(status, error.code, error.title_in(language), error.detail_in(language))
    if isinstance(error, InvalidField):
        text = error.message.resolve(language)
        members["errors"] = [{"pointer": error.pointer, "message": text, "code": error.field_code}]
    elif isinstance(error, InvalidRequest) and error.errors:
        members["errors"] = [_told(item, language) for item in error.errors]
    if error.why is not None:
        members["why"] = error.why
    response = _response(members | dict(extra or {}), status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="rebootcamp"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RateLimited):
        response.headers["RateLimit-Policy"] = f'"{error.policy}";q={error.limit};w={error.window}'
        response.headers["RateLimit"] = f'"{error.policy}";r=0;t={error.retry_after}'
    return response


def _members(status: int, code: str, title: str, detail: str) -> dict[str, object]:
    current = context()
    members: dict[str, object] = {
        "type": f"urn:rebootcamp:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": current.request_id,
    }
    if current.trace_id:
        members["trace_id"] = current.trace_id
    return members


def _response(members: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(members), status, content_type=PROBLEM_TYPE)


def _told(error: FieldError, language: str) -> dict[str, str]:
    message = bilingual(error.message)
    if message is None:
        return {"pointer": error.pointer, "message": error.message, "code": "invalid"}
    text = message.fr if language == "fr" else str(message)
    return {"pointer": error.pointer, "message": text, "code": message.code}


def _on_http(error: HTTPException) -> Any:
    """Tell an error of the framework; its own headers (Allow, Retry-After…) are kept."""
    if isinstance(error, InternalServerError):
        cause = error.original_exception
        return _on_exception(cause if isinstance(cause, Exception) else error)
    if error.response is not None or error.code is None or error.code < 400:
        return error
    texts, language = STATUS_TEXTS.get(error.code, OTHER_STATUS), current_language()
    members = _members(error.code, texts.code, texts.title.resolve(language), texts.detail.resolve(language))
    response = _response(members, error.code)
    for name, value in error.get_headers():
        if name.lower() not in _DROPPED_HEADERS:
            response.headers.add(name, value)
    return response


def _on_exception(error: Exception) -> Response:
    known = as_domain_error(error)
    if known is None:
        _log.error("unexpected error", exc_info=error)
        return problem_response(InternalError())
    if known is not error:
        known.__cause__ = error
    if known is not error and not isinstance(known, InvalidRequest) and status_of(known) != UNAVAILABLE:
        _log.warning("an exception reached the last fence", code=known.code, exc_info=error)
    return problem_response(known)


def as_domain_error(error: Exception) -> DomainError | None:
    """Return what an exception means to the caller, or None when it is a defect."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, ma.ValidationError):
        return invalid_request(error)
    if isinstance(error, MongoUnavailable):
        return StoreUnavailable()
    if isinstance(error, StaleDataError):
        return StaleEdit()
    if isinstance(error, (DBAPIError, PoolTimeout)):
        return _from_database(error)
    # psycopg2 refuses NUL, encoders lone surrogates, and BSON what exceeds its types, before any server sees them.
    is_nul = isinstance(error, ValueError) and "NUL (0x00)" in str(error)
    if is_nul or isinstance(error, (UnicodeEncodeError, OverflowError, BSONError)):
        return Unstorable()
    return None


def _from_database(error: DBAPIError | PoolTimeout) -> DomainError | None:
    if is_connection_failure(error):
        return DatabaseUnavailable()
    if isinstance(error, IntegrityError):
        return Conflicting()
    sqlstate = str(getattr(getattr(error, "orig", None), "pgcode", ""))
    return Unstorable() if sqlstate[:2] in UNSTORABLE_CLASSES else None
