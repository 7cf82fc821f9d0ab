"""Maintenance over HTTP: read only, because jobs are run by the operator's schedule."""

from __future__ import annotations

from typing import Any

from flask import Response

from rebootcamp.schemas import jobs as schemas
from rebootcamp.schemas.base import PageArguments
from rebootcamp.services import jobs
from rebootcamp.web.authentication import current_actor
from rebootcamp.web.languages import current_language
from rebootcamp.web.paging import page_response
from rebootcamp.web.parsing import Blueprint
from rebootcamp.web.policies import requires

blueprint = Blueprint("jobs", __name__, url_prefix="/api/admin", description="Maintenance jobs and figures of use")


@blueprint.route("/jobs")
@requires("job:read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, schemas.JobPage)
def list_jobs(query: dict[str, Any]) -> Response:
    """List the maintenance jobs by name, with their last runs."""
    return page_response(jobs.read_jobs(current_actor(), query["page"]), _rendered)


@blueprint.route("/statistics")
@requires("statistics:read")
@blueprint.arguments(schemas.UsageArguments, location="query")
@blueprint.response(200, schemas.UsageDayPage)
def list_usage(query: dict[str, Any]) -> Response:
    """List how much the service was used each day, the newest first; the job `statistics` counts the days."""
    found = jobs.list_usage(current_actor(), query["since"], query["until"], query["page"])
    return page_response(found, schemas.render_usage)


def _rendered(status: Any) -> dict[str, Any]:
    return schemas.render_job(status, current_language())
