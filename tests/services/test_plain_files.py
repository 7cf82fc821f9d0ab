"""Plain files load with psql and one command, into an empty pair only, and make a pair of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from flask import Flask
from psycopg2 import sql
from sqlalchemy.engine import make_url

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.integrations import postgresql_tools
from rebootcamp.services.backups import load_plain, take_plain
from rebootcamp.services.backups.errors import NotABackup, NotEmpty, PlainFilesDiffer, PlainSqlMissing
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.factories import complete, drain, make_challenge
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def empty(committed_db: Flask) -> Iterator[Settings]:
    """Settings of a pair that is empty: a PostgreSQL database without a table, no MongoDB database."""
    settings, name = committed_db.config["REBOOTCAMP"], "plain_copy"
    url = make_url(settings.database_url)
    admin = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    admin.autocommit = True

    def drop() -> None:
        with admin.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        mongo.client().drop_database(name)

    drop()
    with admin.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    copy = url.set(database=name).render_as_string(hide_password=False)
    yield replace(settings, database_url=copy, mongodb_database=name)
    mongo.configure(settings)
    drop()
    admin.close()


def load_sql(settings: Settings, directory: Path) -> None:
    options = "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--file={directory / 'rebootcamp.sql'}"
    postgresql_tools.run("psql", *options, database_url=settings.database_url)


def test_a_pair_is_written_and_loaded_again(committed_db: Flask, empty: Settings, tmp_path: Path) -> None:
    ada, _ = sound_stores()
    complete(ada, make_challenge())
    before = check_stores()
    take_plain(committed_db.config["REBOOTCAMP"], tmp_path)
    application = create_app(empty)
    with application.app_context():
        with pytest.raises(PlainSqlMissing):
            load_plain(empty, tmp_path)
        load_sql(empty, tmp_path)
        assert load_plain(empty, tmp_path) > 0
        after = check_stores()
        assert (after.findings, after.pending, after.events) == ([], before.pending, before.events)
        assert after.pending == 1
        assert load_plain(empty, tmp_path) == 0
        drain()
        assert check_stores().pending == 0
        with pytest.raises(NotEmpty):
            load_plain(empty, tmp_path)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def test_files_of_two_moments_are_no_pair(committed_db: Flask, empty: Settings, tmp_path: Path) -> None:
    for name in ("one", "two"):
        take_plain(committed_db.config["REBOOTCAMP"], tmp_path / name)
    (tmp_path / "one" / "mongo.json").replace(tmp_path / "two" / "mongo.json")
    application = create_app(empty)
    with application.app_context():
        load_sql(empty, tmp_path / "two")
        with pytest.raises(PlainFilesDiffer):
            load_plain(empty, tmp_path / "two")
        (tmp_path / "two" / "mongo.json").write_text("{}", encoding="ascii")
        with pytest.raises(NotABackup):
            load_plain(empty, tmp_path / "two")
        assert empty.mongodb_database not in mongo.client().list_database_names()
        for engine in db.engines.values():
            engine.dispose()
