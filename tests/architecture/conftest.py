"""What tests of the whole application share."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.controllers.wire import Wire


@pytest.fixture
def wire(app: Flask) -> Wire:
    """The service on empty stores."""
    return Wire(app)
