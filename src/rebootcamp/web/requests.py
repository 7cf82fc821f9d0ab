"""What every request carries along: its id, its trace, its caller; and what every answer gets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, request

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text
from rebootcamp.storage import mongo
from rebootcamp.web import logs, metrics
from rebootcamp.web.languages import language_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTEXT: Final = logs.CONTEXT
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
# Orchestrators and Prometheus ask every few seconds; a line for each answer would bury the rest.
_UNLOGGED: Final = frozenset({"/livez", "/readyz", "/metrics"})

CONSTANT_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept-Language"),
)
CONTENT_POLICY: Final = "Content-Security-Policy"
CONTENT_LANGUAGE: Final = "Content-Language"
API_CONTENT_POLICY: Final = (CONTENT_POLICY, "default-src 'none'; frame-ancestors 'none'")
STRICT_TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
NO_STORE: Final = ("Cache-Control", "no-store")
NO_STORE_PREFIX: Final = "/api/auth/"

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class RequestContext:
    """Facts about the running request that logs and problems tell."""

    request_id: str
    trace_id: str | None = None
    user_id: int | None = None
    rule: str | None = None
    started: float = field(default_factory=perf_counter)


def context() -> RequestContext:
    """Return the running request's context."""
    found: RequestContext | None = request.environ.get(CONTEXT)
    if found is None:
        found = request.environ[CONTEXT] = _read(request.environ)
    return found


def note_user(user_id: int) -> None:
    """Remember who calls, for the access log and for idempotency."""
    context().user_id = user_id


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a valid W3C `traceparent`, else None."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    version, trace, parent, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace, 16) or not int(parent, 16):
        return None
    return trace


def register(app: Flask) -> None:
    """Put the edge around the application."""
    app.before_request(_begin)
    app.wsgi_app = _Edge(app.wsgi_app)  # type: ignore[method-assign]


class _Edge:
    """WSGI around Flask: at this level a header costs a list entry, through `Response.headers` ten times that."""

    def __init__(self, inner: WSGIApplication) -> None:
        self.inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        current = environ[CONTEXT] = _read(environ)

        def start(status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
            _decorate(environ, current, headers)
            _record(environ["REQUEST_METHOD"], current, int(status[:3]))
            return start_response(status, headers, exc_info)

        return self.inner(environ, start)


def _read(environ: WSGIEnvironment) -> RequestContext:
    given = environ.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    traceparent = environ.get("HTTP_TRACEPARENT")
    return RequestContext(request_id, trace_id_of(traceparent) if traceparent else None)


def _begin() -> None:
    mongo.forget()
    rule = request.url_rule
    if rule is not None:
        context().rule = rule.rule
    if "\0" in request.environ["PATH_INFO"]:
        message = Text("Must not contain the NUL character.", "Ne doit pas contenir le caractère NUL.")
        raise InvalidField("", message, "control_character")


def _decorate(environ: WSGIEnvironment, current: RequestContext, headers: Headers) -> None:
    if environ["PATH_INFO"].startswith(NO_STORE_PREFIX):
        headers[:] = [header for header in headers if header[0] != NO_STORE[0]]
        headers.append(NO_STORE)
    if environ["wsgi.url_scheme"] == "https":
        headers.append(STRICT_TRANSPORT)
    names = {name for name, _ in headers}
    if CONTENT_POLICY not in names:
        headers.append(API_CONTENT_POLICY)
    # A repeated answer speaks the language in which it was given first.
    if CONTENT_LANGUAGE not in names:
        headers.append((CONTENT_LANGUAGE, language_of(environ)))
    headers.extend(CONSTANT_HEADERS)
    headers.append(("X-Request-Id", current.request_id))


def _record(method: str, current: RequestContext, status: int) -> None:
    seconds = perf_counter() - current.started
    metrics.observe(current.rule, method, status, seconds)
    if logs.is_access_logged() and current.rule not in _UNLOGGED:
        logs.access.info(
            "request",
            method=method,
            rule=current.rule,
            status=status,
            ms=round(seconds * 1000, 2),
            user_id=current.user_id,
        )
