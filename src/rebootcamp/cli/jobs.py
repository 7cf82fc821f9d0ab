"""`flask jobs`: what keeps the stores tidy, run by an operator's schedule."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from flask.cli import AppGroup

from rebootcamp.cli.failures import one_line
from rebootcamp.core import clock
from rebootcamp.core.json import dumps_text
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.services.jobs import FAILED, JOBS, RUNNING, JobStatus, Outcome, list_jobs, run_job

# As sysexits.h has it: try again later.
EXIT_FAILED, EXIT_RUNNING = 1, 75

jobs = AppGroup("jobs", help="Maintenance jobs.")


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
def list_(as_json: bool, language: str) -> None:
    """Say what each job does, when it should run, and how its last run went."""
    with one_line():
        found = [_described(status, language) for status in list_jobs()]
    if as_json:
        click.echo(dumps_text({"jobs": found}))
        return
    for job in found:
        click.echo("{name:<17} {state:<12} {schedule:<12} {purpose}".format(**job))
        if job["started_at"]:
            took = "" if job["seconds"] is None else f", {job['seconds']} s"
            click.echo(f"{'':<17} {job['started_at']}{took}  {_told(job['counts'], job['error'])}")


@jobs.command("run")
@click.argument("names", nargs=-1, type=click.Choice(list(JOBS)), metavar="NAME…")
@click.option("--all", "is_all", is_flag=True, help="Run every job, one after the other.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each job.")
@click.pass_context
def run(context: click.Context, names: tuple[str, ...], is_all: bool, as_json: bool) -> None:
    """Run jobs: exit 0 when all are done, 1 when one failed, 75 when one runs elsewhere, 2 without PostgreSQL."""
    if bool(names) == is_all:
        raise click.UsageError("Name jobs, or say --all.")
    outcomes = []
    with one_line():
        for name in dict.fromkeys(names or JOBS):
            outcomes.append(run_job(name, lambda text: click.echo(text, err=True)))
            _print(outcomes[-1], as_json)
    states = {outcome.state for outcome in outcomes}
    context.exit(EXIT_FAILED if FAILED in states else EXIT_RUNNING if RUNNING in states else 0)


def _described(status: JobStatus, language: str) -> dict[str, object]:
    last = status.last
    return {
        "name": status.job.name,
        "purpose": status.job.purpose.resolve(language),
        "schedule": status.job.schedule,
        "state": status.state,
        "started_at": last and clock.iso(last.started_at),
        "seconds": status.seconds,
        "counts": last and last.counts,
        "error": last and last.error,
    }


def _print(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        click.echo(dumps_text(asdict(outcome)))
    else:
        told = _told(outcome.counts, outcome.error)
        click.echo(f"{outcome.state:<8} {outcome.name:<17} {outcome.seconds:>8.2f} s  {told}".rstrip())
    sys.stdout.flush()


def _told(counts: object, error: object) -> str:
    if error:
        return str(error)
    return " ".join(f"{name}={number}" for name, number in counts.items()) if isinstance(counts, dict) else ""
