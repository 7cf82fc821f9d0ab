"""Maintenance: small jobs that an operator's schedule runs, and what they left in writing."""

from rebootcamp.services.jobs.catalogue import JOBS, Job
from rebootcamp.services.jobs.runs import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    STATES,
    JobStatus,
    Outcome,
    list_jobs,
    read_jobs,
    run_job,
)
from rebootcamp.services.jobs.statistics import list_usage

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "JOBS",
    "RUNNING",
    "STATES",
    "Job",
    "JobStatus",
    "Outcome",
    "list_jobs",
    "list_usage",
    "read_jobs",
    "run_job",
]
