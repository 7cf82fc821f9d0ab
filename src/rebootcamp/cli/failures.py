"""How a command says that it could not do its work: one line, exit 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg2
from bson.errors import BSONError
from pymongo.errors import PyMongoError
from sqlalchemy.exc import SQLAlchemyError

from rebootcamp.core.errors import DomainError
from rebootcamp.storage.mongo import MongoUnavailable


class CouldNotRun(click.ClickException):
    """Nothing can be said about the stores: something in the way must be removed first."""

    exit_code = 2


@contextmanager
def one_line() -> Iterator[None]:
    """Turn what the stores and the services refuse into one clear line."""
    try:
        yield
    except DomainError as error:
        raise CouldNotRun(error.detail_in("en")) from error
    except MongoUnavailable as error:
        raise CouldNotRun(f"MongoDB cannot be reached: {_first_line(error)}") from error
    except (SQLAlchemyError, psycopg2.Error) as error:
        raise CouldNotRun(f"PostgreSQL: {_first_line(getattr(error, 'orig', None) or error)}") from error
    except (PyMongoError, BSONError) as error:
        raise CouldNotRun(f"MongoDB: {_first_line(error)}") from error


def _first_line(error: object) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
