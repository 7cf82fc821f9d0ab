"""Commands about rules: lint the catalogue, and judge the past at once."""

from __future__ import annotations

import time

import click
from flask.cli import AppGroup

from rebootcamp.cli.failures import one_line
from rebootcamp.core.badges import SEVERITIES
from rebootcamp.core.json import dumps_text
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.models.sql.badges import BackfillJob
from rebootcamp.services.backfills import run_backfills
from rebootcamp.services.badges import lint_catalogue

TURN_SECONDS, PAUSE_SECONDS = 1.0, 0.05

rules = AppGroup("rules", help="The rules of badges.")


@rules.command("lint")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.pass_context
def lint(context: click.Context, as_json: bool, language: str, strict: bool) -> None:
    """Say what is wrong or odd with the catalogue: exit 0 without errors, 1 with some, 2 when it could not run."""
    with one_line():
        findings = lint_catalogue()
    told = [{**vars(finding), "message": finding.message.resolve(language)} for finding in findings]
    if as_json:
        click.echo(dumps_text({"findings": told}))
    for finding in () if as_json else told:
        click.echo("{severity:<7}  {subject}  {code}  {message}".format(**finding))
    counted = SEVERITIES if strict else SEVERITIES[:1]
    context.exit(int(any(finding.severity in counted for finding in findings)))


@rules.command("backfill")
@click.option("--seconds", type=float, help="Stop after so long; the next run goes on from there.")
@click.pass_context
def backfill(context: click.Context, seconds: float | None) -> None:
    """Judge past learners by every new rule, now: exit 0 when nothing is left, 1 when something is, 2 if it failed."""
    deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
    with one_line():
        while (is_left := run_backfills(TURN_SECONDS, _tell)) and time.monotonic() < deadline:
            # Another process may have the job: it may take long, and may die before its end.
            time.sleep(PAUSE_SECONDS)
    click.echo("something is left to do" if is_left else "nothing is left to do")
    context.exit(int(is_left))


def _tell(job: BackfillJob) -> None:
    counts = f"{job.examined}/{job.learners} learners, {job.awarded} awarded, {job.revoked} taken back"
    thing = job.badge_code or f"challenge {job.challenge_id}"
    click.echo(f"{thing} version {job.rule_version}: {counts} ({job.state})", err=True)
