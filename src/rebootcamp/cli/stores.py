"""Commands about the pair of stores: prepare it, carry events, rebuild."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import threading
from collections.abc import Sequence

import click
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade

from rebootcamp.cli.demo.load import load_demo, refuse_demo_accounts, refuse_production
from rebootcamp.cli.failures import CouldNotRun, one_line
from rebootcamp.config import Settings
from rebootcamp.core.json import dumps_text
from rebootcamp.events.rebuild import drop_projections, replay
from rebootcamp.events.relay import Chore, Relay, redrive
from rebootcamp.services.backfills import work_on_backfills
from rebootcamp.services.badges import expire_awards
from rebootcamp.services.challenges import close_windows, reward_teams
from rebootcamp.services.operations import OutboxHealth, readiness
from rebootcamp.services.stores import has_users, initialise_store
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo_schema import apply_schema
from rebootcamp.storage.sql import db


class StopFlag(threading.Event):
    """An event that a signal handler may set: the stock one deadlocks when the handler interrupts its `wait`."""

    def __init__(self) -> None:
        super().__init__()
        self._is_raised = False
        self._read_end, self._write_end = os.pipe()

    def set(self) -> None:
        """Wake whoever waits, now and later."""
        self._is_raised = True
        os.write(self._write_end, b".")

    def is_set(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self._is_raised

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until asked to stop, or for so many seconds."""
        select.select([self._read_end], [], [], timeout)
        return self._is_raised


@click.command("prepare")
@click.option("--demo", is_flag=True, help="Load the demo data when there are no accounts yet.")
@with_appcontext
def prepare(demo: bool) -> None:
    """Bring both stores up to date; safe to repeat, quick when nothing is to do."""
    with one_line():
        if demo:
            refuse_production(_settings())
        _migrate()
        refuse_demo_accounts(_settings())
        _initialise_mongo()
        if demo and has_users():
            click.echo("Demo data: accounts exist already, nothing loaded")
        elif demo:
            click.echo(f"Demo data: {load_demo()}")


@click.command("mongo-init")
@with_appcontext
def mongo_init() -> None:
    """Create or correct the collections of MongoDB and pair them with PostgreSQL."""
    with one_line():
        _initialise_mongo()


@click.command("relay")
@click.option("--once", is_flag=True, help="Deliver what waits now, then leave.")
@with_appcontext
def relay(once: bool) -> None:
    """Carry events to MongoDB until SIGTERM or SIGINT; an outage of a store is waited out."""
    carrier = _relay(chores=(expire_awards, work_on_backfills, reward_teams, close_windows))
    if once:
        with one_line():
            click.echo(f"{carrier.drain()} events delivered")
        return
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with one_line():
        carrier.run(stop)


@click.command("rebuild")
@with_appcontext
@click.pass_context
def rebuild(context: click.Context) -> None:
    """Drop everything that is derived in MongoDB and replay the events: exit 0, 1 if some remain, 2 if it failed."""
    with one_line():
        total = drop_projections()
        click.echo(f"{total} events to replay")
        delivered = replay(_relay(), lambda done: click.echo(f"\r{done}/{total}", nl=False, err=True))
        click.echo("", err=True)
        click.echo(f"{delivered} events replayed")
        left = _outbox()
    if left.pending or left.dead_letters:
        click.echo(f"{left.pending} events still wait, {left.dead_letters} dead letters: see `flask check`")
        context.exit(1)


outbox = AppGroup("outbox", help="Events that MongoDB does not show yet.")


@outbox.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def outbox_status(as_json: bool) -> None:
    """Say how many events wait, since when, and how many were given up."""
    with one_line():
        health = _outbox()
    if as_json:
        click.echo(dumps_text(dataclasses.asdict(health)))
        return
    click.echo(f"pending       {health.pending}")
    click.echo(f"oldest        {health.oldest_seconds:.1f} s")
    click.echo(f"dead letters  {health.dead_letters}")


@outbox.command("redrive")
def outbox_redrive() -> None:
    """Give every dead letter another series of attempts; a running relay takes them."""
    with one_line():
        click.echo(f"{redrive()} dead letters will be tried again")


def _settings() -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    return settings


def _relay(chores: Sequence[Chore] = ()) -> Relay:
    settings = _settings()
    return Relay(settings.relay_batch, settings.relay_poll_seconds, chores)


def _migrate() -> None:
    migrate = current_app.extensions["migrate"].migrate
    wanted = set(ScriptDirectory.from_config(migrate.get_config()).get_heads())
    with db.engine.connect() as connection:
        current = set(MigrationContext.configure(connection).get_current_heads())
    if current != wanted:
        upgrade()
    click.echo(f"PostgreSQL: revision {', '.join(sorted(wanted))}{'' if current == wanted else ' applied'}")


def _initialise_mongo() -> None:
    # The identity first: validators must not be written into somebody else's database.
    store = initialise_store(_settings().mongodb_database)
    with mongo.guarded():
        names = apply_schema(mongo.database())
    click.echo(f"MongoDB: {len(names)} collections, store {store.store_id}")


def _outbox() -> OutboxHealth:
    health = readiness().outbox
    if health is None:
        raise CouldNotRun("PostgreSQL cannot be reached.")
    return health
