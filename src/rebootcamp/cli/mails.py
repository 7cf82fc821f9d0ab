"""`flask mails`: what waits to be sent, and sending it beside the relay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

import click
import structlog
from flask import Flask, current_app
from flask.cli import AppGroup

from rebootcamp.cli.failures import CouldNotRun, one_line
from rebootcamp.core.json import dumps_text
from rebootcamp.integrations.mail import MailInterrupted, MailUnavailable
from rebootcamp.services.mails import PostOffice, backlog, redrive, run_sender, send_due

log = structlog.get_logger(__name__)

# A mail that is cut off by then is sent again: better than to be killed with events in hand.
PATIENCE: Final = 12.0

mails = AppGroup("mails", help="Mails that wait to be sent.")


@mails.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Say how many mails wait, since when, and how many were given up."""
    with one_line():
        found = backlog()
    if as_json:
        click.echo(dumps_text(asdict(found)))
        return
    click.echo(f"waiting  {found.waiting}")
    click.echo(f"oldest   {found.oldest_seconds:.1f} s")
    click.echo(f"dead     {found.dead}")


@mails.command("redrive")
def redrive_() -> None:
    """Give every dead mail another series of attempts; a running relay sends them."""
    with one_line():
        click.echo(f"{redrive()} dead mails will be tried again")


@mails.command("send")
def send() -> None:
    """Send what is due now, then leave."""
    office = _office()
    if office is None:
        raise CouldNotRun("MAIL_URL is not set: mails wait.")
    try:
        with one_line():
            done = send_due(office)
    except (MailUnavailable, MailInterrupted) as error:
        raise CouldNotRun(f"Mail cannot be sent: {error}") from error
    click.echo(f"{done.sent} sent, {done.skipped} not needed, {done.postponed} to be tried again, {done.dead} given up")


@contextmanager
def sending_mails(stop: threading.Event) -> Iterator[None]:
    """Send mails in a thread of its own until `stop` is set: a slow mail server keeps no event waiting."""
    office = _office()
    if office is None:
        log.info("mails.not_sent", detail="MAIL_URL is not set: mails wait")
        yield
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context():
            run_sender(office, stop)

    thread = threading.Thread(target=work, name="mails", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE)


def _office() -> PostOffice | None:
    return PostOffice.of(current_app.config["REBOOTCAMP"])
