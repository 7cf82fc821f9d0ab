"""What only the tests of the spine need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.relay.workers import Workers, workers_on


@pytest.fixture(scope="session")
def workers(application: Flask) -> Iterator[Workers]:
    """Processes that work on the stores of the test and may be killed."""
    with workers_on(application.config["REBOOTCAMP"]) as started:
        yield started
