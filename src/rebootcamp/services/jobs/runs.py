"""Running a job once at a time, and remembering how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
import structlog

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.jobs import JobRun
from rebootcamp.services.jobs.catalogue import JOBS, Counts, Job, Tell
from rebootcamp.storage.locks import held_jobs, job_lock, try_exclusive
from rebootcamp.storage.transactions import transaction

log = structlog.get_logger(__name__)

ORDER: Final = "jobs"
DONE, FAILED, RUNNING, INTERRUPTED, NEVER = STATES = ("done", "failed", "running", "interrupted", "never")


@dataclass(frozen=True)
class JobStatus:
    """A job and how its last run went."""

    job: Job
    last: JobRun | None
    is_running: bool

    @property
    def state(self) -> str:
        """Return one of `STATES`; `interrupted`: the process died."""
        if self.last is None:
            return RUNNING if self.is_running else NEVER
        if self.last.finished_at is None:
            return RUNNING if self.is_running else INTERRUPTED
        return DONE if self.last.error is None else FAILED

    @property
    def seconds(self) -> float | None:
        """Return how long the last run took."""
        if self.last is None or self.last.finished_at is None:
            return None
        return round((self.last.finished_at - self.last.started_at).total_seconds(), 3)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `done`, `failed`, or `running` in another process, where nothing was done here."""

    name: str
    state: str
    seconds: float = 0.0
    counts: Counts | None = None
    error: str | None = None


def read_jobs(actor: Actor, page: PageRequest) -> Page[JobStatus]:
    """List the jobs by name, with their last runs."""
    actor.require("job:read")
    (after,) = page.key(ORDER, (str,)) or ("",)
    statuses = [status for status in list_jobs() if status.job.name > str(after)]
    return paginate(statuses[: page.limit + 1], page.limit, ORDER, lambda status: (status.job.name,))


def list_jobs() -> Sequence[JobStatus]:
    """Return every job with its last run, for operators."""
    newest = sa.select(JobRun).where(JobRun.id.in_(sa.select(sa.func.max(JobRun.id)).group_by(JobRun.name)))
    with transaction() as session:
        # Before and after: a run that ends meanwhile is no dead one.
        held = held_jobs(session)
        last = {run.name: run for run in session.scalars(newest.execution_options(populate_existing=True))}
        held |= held_jobs(session)
    return [JobStatus(job, last.get(job.name), job_lock(job.name) in held) for job in JOBS.values()]


def run_job(name: str, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Run a job to its end unless another process does; what goes wrong inside is an outcome, too."""
    with try_exclusive(job_lock(name)) as is_mine:
        if not is_mine:
            return Outcome(name, RUNNING)
        with transaction() as session:
            run = JobRun(name=name, started_at=clock.now())
            session.add(run)
            session.flush()
        started = time.monotonic()
        counts, error = _attempt(JOBS[name], lambda total: tell(f"{name}: {total}"))
        _finish(run.id, counts, error)
        state = DONE if error is None else FAILED
        return Outcome(name, state, round(time.monotonic() - started, 3), counts, error)


def _attempt(job: Job, tell: Tell) -> tuple[Counts, str | None]:
    try:
        return job.work(tell), None
    except Exception as error:
        log.exception("job.failed", job=job.name)
        told = error.detail_in("en") if isinstance(error, DomainError) else str(error)
        return {}, f"{type(error).__name__}: {told}".splitlines()[0][:300]


def _finish(run_id: int, counts: Counts, error: str | None) -> None:
    values = {"finished_at": clock.now(), "counts": dict(counts), "error": error}
    with transaction() as session:
        session.execute(sa.update(JobRun).where(JobRun.id == run_id).values(values))
