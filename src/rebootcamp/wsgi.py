"""What gunicorn and the flask command import."""

from __future__ import annotations

from rebootcamp.app import create_app

app = create_app()
