"""Which language the caller reads."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flask import request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from rebootcamp.core.languages import DEFAULT_LANGUAGE, LANGUAGES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def current_language() -> str:
    """Return the language of the answer to the running request."""
    return language_of(request.environ)


def language_of(environ: WSGIEnvironment) -> str:
    """Return the language of the answer to a request."""
    header = environ.get("HTTP_ACCEPT_LANGUAGE")
    return negotiate(header[:256]) if header else DEFAULT_LANGUAGE


@lru_cache(maxsize=256)
def negotiate(header: str) -> str:
    """Return the best of our languages for an Accept-Language header: by weight, `fr-CA` counting as `fr`."""
    for tag, weight in parse_accept_header(header, LanguageAccept):
        primary = tag.partition("-")[0].lower()
        if weight > 0 and primary in LANGUAGES:
            return primary
    return DEFAULT_LANGUAGE
