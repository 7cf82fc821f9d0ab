"""Real stores for every test: one pair of servers for the whole run, emptied after each test that commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from werkzeug.test import TestResponse

from rebootcamp.app import create_app
from rebootcamp.cli.dev.servers import Servers, temporary_servers
from rebootcamp.config import Settings
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.stores import create_pair, empty_stores

pytest.register_assert_rewrite("tests.relay.tools", "tests.acceptance.restores")
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60)
hypothesis_settings.load_profile("ci")

SECRET = "a secret of the tests, 32 bytes or more"


class Client(FlaskClient):
    """A client whose requests get contexts of their own: one that is already pushed would lend them its session."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        """Send a request and read the whole answer before its context goes."""
        with self.application.app_context():
            return super().open(*args, **{**options, "buffered": True})


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The pair of servers of this test run; MongoDB accepts fault injection."""
    with temporary_servers(test_commands=True) as started:
        yield started
        mongo.close()


@pytest.fixture(scope="session")
def settings(servers: Servers) -> Settings:
    """Settings that point at those servers."""
    return Settings.from_env({**servers.env, "SECRET_KEY": SECRET, "APP_ENV": "test", "LOG_LEVEL": "ERROR"})


@pytest.fixture(scope="session")
def application(settings: Settings) -> Flask:
    """The application on a migrated, paired and empty pair of databases of its own."""
    pair = create_pair(settings, "suite")
    application = create_app(pair)
    application.test_client_class = Client
    return application


@pytest.fixture
def app(application: Flask) -> Iterator[Flask]:
    """The application with its context pushed; both stores are empty before and after."""
    mongo.configure(application.config["REBOOTCAMP"])
    with application.app_context():
        empty_stores()
        yield application
        db.session.remove()
        empty_stores()


@pytest.fixture
def committed_db(app: Flask) -> Flask:
    """Stores in which the test truly commits (they are emptied around it)."""
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client whose requests get sessions of their own, as in production."""
    return app.test_client()
