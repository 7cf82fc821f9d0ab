"""What every request carries along: its id, its trace, its caller; and what every answer gets."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from flask import Flask, Request, Response, g, request

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text
from rebootcamp.web import logs, metrics
from rebootcamp.web.languages import current_language

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
# Orchestrators and Prometheus ask every few seconds; a line for each answer would bury the rest.
_UNLOGGED: Final = frozenset({"/livez", "/readyz", "/metrics"})

SECURITY_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
API_CONTENT_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"
NO_STORE_PREFIX: Final = "/api/auth/"


@dataclass(slots=True)
class RequestContext:
    """Facts about the running request that logs and problems tell."""

    request_id: str
    trace_id: str | None = None
    user_id: int | None = None
    started: float = field(default_factory=perf_counter)


def context() -> RequestContext:
    """Return the running request's context."""
    found: RequestContext | None = g.get("request_context")
    if found is None:
        found = g.request_context = _read(request)
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
    """Install the hooks around every request."""
    app.before_request(_begin)
    app.after_request(_finish)


def _read(incoming: Request) -> RequestContext:
    headers = incoming.environ
    given = headers.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    traceparent = headers.get("HTTP_TRACEPARENT")
    return RequestContext(request_id, trace_id_of(traceparent) if traceparent else None)


def _begin() -> None:
    g.request_context = _read(request)
    if "\0" in request.environ["PATH_INFO"]:
        message = Text("Must not contain the NUL character.", "Ne doit pas contenir le caractère NUL.")
        raise InvalidField("", message, "control_character")


def _finish(response: Response) -> Response:
    current = context()
    _decorate(response, current.request_id)
    rule = request.url_rule.rule if request.url_rule else None
    seconds = perf_counter() - current.started
    metrics.observe(rule, request.method, response.status_code, seconds)
    if logs.is_access_logged() and rule not in _UNLOGGED:
        logs.access.info(
            "request",
            method=request.method,
            rule=rule,
            status=response.status_code,
            ms=round(seconds * 1000, 2),
            user_id=current.user_id,
        )
    return response


def _decorate(response: Response, request_id: str) -> None:
    headers = response.headers
    for name, value in SECURITY_HEADERS:
        headers[name] = value
    headers["X-Request-Id"] = request_id
    if "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = API_CONTENT_POLICY
    if "Vary" in headers:
        response.vary.add("Accept-Language")
    else:
        headers["Vary"] = "Accept-Language"
    if "Content-Language" not in headers:
        headers["Content-Language"] = current_language()
    environ = request.environ
    if environ["PATH_INFO"].startswith(NO_STORE_PREFIX):
        headers["Cache-Control"] = "no-store"
    if environ["wsgi.url_scheme"] == "https":
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT
