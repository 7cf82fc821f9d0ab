"""What tests over HTTP share."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.controllers.wire import Person, Wire


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
