"""What gunicorn and the flask command import."""

from __future__ import annotations

from rebootcamp.app import create_app
from rebootcamp.cli.failures import CouldNotRun
from rebootcamp.config import ConfigurationError

try:
    app = create_app()
except ConfigurationError as error:
    raise CouldNotRun(str(error)) from error
