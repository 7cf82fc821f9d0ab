"""The command that proves that both stores agree, and mends what follows from the journal."""

from __future__ import annotations

import dataclasses
import time
from typing import Final

import click
from flask.cli import with_appcontext

from rebootcamp.cli.failures import one_line
from rebootcamp.core.json import dumps_text
from rebootcamp.services.integrity import INVARIANTS, Finding, Report, check_stores, repair_stores

SHOWN_FINDINGS: Final = 50
TELL_EVERY: Final = 2.0


class Counter:
    """Says on stderr how many learners were examined, once that takes a while."""

    def __init__(self) -> None:
        self._next = time.monotonic() + TELL_EVERY
        self._is_open = False

    def tell(self, learners: int) -> None:
        """Say it again when it is time."""
        if time.monotonic() >= self._next:
            click.echo(f"\r{learners} learners …", nl=False, err=True)
            self._next, self._is_open = time.monotonic() + TELL_EVERY, True

    def end(self) -> None:
        """Begin a new line after the last number."""
        if self._is_open:
            click.echo("", err=True)


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--user", "user_id", type=click.IntRange(1, 2**63 - 1), help="Check one learner only.")
@click.option("--repair", is_flag=True, help="Make again what follows from the journal, put aside what does not.")
@with_appcontext
@click.pass_context
def check(context: click.Context, as_json: bool, user_id: int | None, repair: bool) -> None:
    """Prove that both stores agree: exit 0 when they do, 1 with findings, 2 when it could not run."""
    counter, actions = Counter(), list[str]()

    def tell(action: str) -> None:
        actions.append(action)
        if not as_json:
            click.echo(f"repaired  {action}")

    with one_line():
        report = (
            repair_stores(tell, user_id, counter.tell) if repair else check_stores(user_id, on_progress=counter.tell)
        )
    counter.end()
    if as_json:
        done = {"actions": actions} if repair else {}
        click.echo(dumps_text({**dataclasses.asdict(report), **done}))
    else:
        _print(report)
    context.exit(1 if report.findings else 0)


def _print(report: Report) -> None:
    shown = report.findings[:SHOWN_FINDINGS]
    widths = [max((len(getattr(f, name)) for f in shown), default=0) for name in ("invariant", "subject")]
    for finding in shown:
        click.echo(f"{finding.invariant:<{widths[0]}}  {finding.subject:<{widths[1]}}  {finding.detail}")
    if len(report.findings) > len(shown):
        click.echo(f"… and {len(report.findings) - len(shown)} more")
    for line in _advice(report.findings):
        click.echo(line)
    plural = "" if len(report.findings) == 1 else "s"
    verdict = f"{len(report.findings)} finding{plural}" if report.findings else "both stores agree"
    click.echo(f"{verdict}: {report.learners} learners, {report.events} events, {report.pending} pending")


def _advice(findings: list[Finding]) -> list[str]:
    names = sorted({finding.invariant for finding in findings})
    return [f"→ {name}: {_what_to_do(name)}" for name in names]


def _what_to_do(name: str) -> str:
    known = INVARIANTS[name]
    by_command = "flask check --repair, then a relay" if known.mended else ""
    return "; ".join(part for part in (by_command, known.advice) if part)
