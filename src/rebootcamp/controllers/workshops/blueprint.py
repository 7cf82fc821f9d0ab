"""The blueprint of workshops; the modules beside this one add its routes."""

from __future__ import annotations

from rebootcamp.web.parsing import Blueprint

blueprint = Blueprint("workshops", __name__, url_prefix="/api", description="Workshops, their seats and their people")
