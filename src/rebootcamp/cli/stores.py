"""Commands about the pair of stores: prepare it, carry events, rebuild."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import click
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade

from rebootcamp.cli.demo.load import load_demo, refuse_demo_accounts, refuse_production
from rebootcamp.cli.failures import CouldNotRun, one_line
from rebootcamp.cli.mails import sending_mails
from rebootcamp.cli.narration import Narrator
from rebootcamp.config import Settings
from rebootcamp.core.errors import Busy
from rebootcamp.core.json import dumps_text
from rebootcamp.events.rebuild import drop_former
from rebootcamp.events.rebuild import rebuild as make_anew
from rebootcamp.events.relay import Chore, Relay, redrive
from rebootcamp.services.backfills import work_on_backfills
from rebootcamp.services.badges import expire_awards
from rebootcamp.services.challenges import close_windows, review_teams, reward_teams
from rebootcamp.services.operations import OutboxHealth, readiness
from rebootcamp.services.stores import has_users, initialise_store
from rebootcamp.services.workshops import promote_waiting, remind
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import DDL, exclusive
from rebootcamp.storage.mongo_schema import apply_schema, declarations, undeclared
from rebootcamp.storage.sql import db

BACKUP_PATIENCE = "15min"
# What a relay does beside carrying events: whoever waits for it most comes first.
CHORES = (
    promote_waiting,
    expire_awards,
    work_on_backfills,
    review_teams,
    reward_teams,
    close_windows,
    remind,
)


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
    """Carry events to MongoDB, and send mails, until SIGTERM or SIGINT; an outage of a store is waited out."""
    carrier = _relay(CHORES)
    if once:
        with one_line():
            click.echo(f"{carrier.drain()} events delivered")
        return
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with one_line(), sending_mails(stop):
        carrier.run(stop)


@click.command("rebuild")
@click.option("--drop-old", is_flag=True, help="Only drop the databases that earlier rebuilds have replaced.")
@with_appcontext
def rebuild(drop_old: bool) -> None:
    """Make everything that is derived anew beside the pair in use, and switch: exit 0, or 2 with nothing switched."""
    with one_line():
        if drop_old:
            click.echo(f"dropped: {', '.join(drop_former()) or 'nothing'}")
            return
        started = time.monotonic()
        done = make_anew(Narrator())
    click.echo(
        f"{done.events} events of {done.learners} learners in {time.monotonic() - started:.1f} s: "
        f"{done.database} is in use. {done.former} is kept: flask rebuild --drop-old"
    )
    if done.revived:
        click.echo(f"{done.revived} dead letters will be tried again")


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
        with _between_backups():
            # The migration takes the same lock itself, in its transaction: here it is only waited for.
            pass
        upgrade()
    click.echo(f"PostgreSQL: revision {', '.join(sorted(wanted))}{'' if current == wanted else ' applied'}")


def _initialise_mongo() -> None:
    # The identity first: validators must not be written into somebody else's database.
    store = initialise_store(_settings().mongodb_database)
    with mongo.guarded():
        if undeclared(mongo.database()):
            with _between_backups():
                apply_schema(mongo.database())
    click.echo(f"MongoDB: {len(declarations())} collections in {store.mongo_database}, store {store.store_id}")


@contextmanager
def _between_backups() -> Iterator[None]:
    """Change tables or collections while no backup reads them: a collection of after its cut cannot be read at it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(DDL, BACKUP_PATIENCE))
        except Busy as error:
            raise CouldNotRun("A backup is running: tables and collections can change when it is over.") from error
        yield


def _outbox() -> OutboxHealth:
    health = readiness().outbox
    if health is None:
        raise CouldNotRun("PostgreSQL cannot be reached.")
    return health
