"""The live database lets everybody in again where the restore that had closed it is no more."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import URL, Dialect, Engine

from rebootcamp.core.errors import DatabaseUnavailable
from rebootcamp.storage.databases import databases

log = structlog.get_logger(__name__)


def reopen(url: URL) -> bool:
    """Open the database of a URL if a killed restore left it closed, and tell whether it was so.

    Nothing is raised: whoever cannot see that, or may not do it, meets what is in his way soon enough.
    """
    with suppress(DatabaseUnavailable, psycopg2.Error), databases(url) as found:
        return found.reopen(str(url.database))
    return False


def reopen_when_refused(engines: Iterable[Engine]) -> None:
    """Let new connections of these engines open what a killed restore left closed, instead of failing."""
    for engine in engines:
        sa.event.listen(engine, "do_connect", _connecting(engine.url))


def _connecting(url: URL) -> Any:
    def connect(dialect: Dialect, record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except psycopg2.OperationalError as error:
            # Only a server that answers names the database; one that is away need not be asked twice.
            if str(url.database) not in str(error) or not reopen(url):
                raise
            log.warning("database.reopened", database=url.database, reason="a restore was killed while it was closed")
            return dialect.connect(*arguments, **options)

    return connect
