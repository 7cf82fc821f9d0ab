"""Addresses for those who run the service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response

from rebootcamp.schemas.operations import Liveness, ReadinessOut
from rebootcamp.services import operations
from rebootcamp.services.operations import Readiness, StoreHealth
from rebootcamp.web.metrics import exposition
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import public
from rebootcamp.web.problems import problem_response
from rebootcamp.web.responses import json_response

blueprint = Blueprint("operations", __name__, description="Health and figures of the service")


@blueprint.route("/livez")
@public
@blueprint.response(200, Liveness)
def livez() -> Response:
    """Tell that the process answers; touches nothing."""
    return json_response({"status": "alive"})


@blueprint.route("/readyz")
@public
@blueprint.response(200, ReadinessOut)
@blueprint.alt_response(503, "Unavailable")
def readyz() -> Response:
    """Tell whether requests can be served, and how both stores and the outbox are doing."""
    found = operations.readiness()
    if found.refusal is not None:
        return problem_response(found.refusal, extra={"checks": _checks(found)})
    return json_response({"status": "degraded" if found.is_degraded else "ready", "checks": _checks(found)})


@blueprint.route("/metrics")
@public
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """Give the figures in the Prometheus text format."""
    return exposition(operations.readiness().figures())


def _checks(found: Readiness) -> dict[str, Any]:
    return {
        "postgresql": _store(found.postgresql),
        "mongodb": _store(found.mongodb),
        "outbox": asdict(found.outbox) if found.outbox else None,
        "mails": asdict(found.mails) if found.mails else None,
        "jobs": None if found.troubled_jobs is None else {"troubled": found.troubled_jobs},
    }


def _store(health: StoreHealth) -> dict[str, Any]:
    return {"status": "up" if health.is_up else "down", "latency_ms": health.latency_ms}
