"""Which language the caller reads."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from flask import request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from rebootcamp.core.languages import DEFAULT_LANGUAGE, LANGUAGES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Where the environ of a request keeps the language that it named in its address.
CHOSEN: Final = "rebootcamp.language"


def choose_language(language: str | None) -> None:
    """Answer the running request in this language, whatever its headers say; None: as they say."""
    if language is not None:
        request.environ[CHOSEN] = language


def current_language() -> str:
    """Return the language of the answer to the running request."""
    return language_of(request.environ)


def language_of(environ: WSGIEnvironment) -> str:
    """Return the language of the answer to a request."""
    if CHOSEN in environ:
        return str(environ[CHOSEN])
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
