"""What tests over HTTP share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask import Flask
from pymongo import monitoring

from tests.controllers.counting import Cost, Finds, counted
from tests.controllers.wire import Person, Wire
from tests.factories import complete, make_badge, make_challenge


@pytest.fixture
def wire(app: Flask) -> Wire:
    """The service on empty stores."""
    return Wire(app)


@pytest.fixture
def ada(wire: Wire) -> Person:
    """A learner."""
    return wire.join(display_name="Ada", timezone="Europe/Paris")


@pytest.fixture
def root(wire: Wire) -> Person:
    """The administrator."""
    return wire.admin()


@pytest.fixture
def veteran(wire: Wire) -> Person:
    """A learner with a badge and three events."""
    veteran = wire.join()
    make_badge("first_step")
    make_badge("distant", at_least=1_000_000)
    complete(veteran.actor, make_challenge())
    wire.read(f"{veteran.path}/progress", veteran)
    return veteran


@pytest.fixture(scope="session")
def finds() -> None:
    """A listener that PyMongo knows before the next client is made."""
    monitoring.register(Finds())


@pytest.fixture
def measure(finds: None, app: Flask) -> Callable[[], AbstractContextManager[Cost]]:
    """What counts the statements inside its block."""
    return counted
