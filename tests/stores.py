"""Making and emptying pairs of databases for tests."""

from __future__ import annotations

import itertools
import runpy
from dataclasses import replace

import psycopg2
import sqlalchemy as sa
from flask import current_app
from psycopg2 import sql
from sqlalchemy.engine import make_url

from rebootcamp.app import MIGRATIONS, create_app
from rebootcamp.config import Settings
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.stores import initialise_store
from rebootcamp.services.workshops.looks import forget_noted
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import declarations
from rebootcamp.storage.sql import Base, db

_versions = itertools.count(1000, 1000)
FIRST_CURVE = runpy.run_path(str(MIGRATIONS / "versions" / "0002_levels.py"))["FIRST_CURVE"]


def create_pair(settings: Settings, name: str) -> Settings:
    """Create a PostgreSQL and a MongoDB database of that name, migrated and paired; return settings for them."""
    url = make_url(settings.database_url)
    connection = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.close()
    database_url = url.set(database=name).render_as_string(hide_password=False)
    pair = replace(settings, database_url=database_url, mongodb_database=name)
    application = create_app(pair)
    with application.app_context():
        mongo.client().drop_database(name)
        application.test_cli_runner().invoke(args=["prepare"], catch_exceptions=False)
        db.engine.dispose()
    return pair


def empty_stores() -> None:
    """Empty both databases of the current application, append-only tables included."""
    db.session.remove()
    names = [table.name for table in Base.metadata.sorted_tables]
    with db.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE"))
        connection.execute(sa.insert(LevelDefinition), FIRST_CURVE)
    own = current_app.config["REBOOTCAMP"].mongodb_database
    mongo.follow(own)
    for declared in declarations():
        mongo.collection(declared["collection"]).delete_many({})
    forget_noted()
    initialise_store(own)
    with db.engine.begin() as connection:
        # Processes remember rules, curve and calendar by their version, so no two tests may share one.
        names = ("rules_version", "levels_version", "calendar_version")
        connection.execute(sa.update(AppMeta).values({name: next(_versions) for name in names}))
