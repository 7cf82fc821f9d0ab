"""`flask demo`: make the demo data, write them to files, load them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
from flask import current_app
from flask.cli import AppGroup

from rebootcamp.cli.demo.dump import dump_demo
from rebootcamp.cli.demo.files import DATA, MONGO_DUMP, SQL_DUMP
from rebootcamp.cli.demo.history import tell_history
from rebootcamp.cli.demo.load import load_demo, refuse_production
from rebootcamp.cli.failures import CouldNotRun, one_line
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.events.relay import Relay
from rebootcamp.services.stores import has_users

demo = AppGroup("demo", help="Demo data: accounts with a published password and half a year of history.")


@demo.command("generate")
@click.option("--seed", default=2026, show_default=True, help="The same seed gives the same data.")
@click.option("--until", default="2026-11-20", show_default=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
def generate(seed: int, until: datetime) -> None:
    """Play half a year of learning through the services, on a prepared and empty pair."""
    settings = _settings()
    with one_line():
        refuse_production(settings)
        last_day = _past(until.date())
        if has_users():
            raise CouldNotRun("There are accounts already; demo data go into an empty pair only.")
        with _time_machine().travel(datetime.now(UTC), tick=False) as clock_hand:
            told = tell_history(clock_hand, seed, last_day)
        events = Relay(settings.relay_batch, settings.relay_poll_seconds).drain()
    click.echo(f"{told.learners} learners, {told.deeds} deeds ({told.refused} refused), {events} events delivered")


@demo.command("dump")
@click.option("--to", "directory", default=DATA, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
def dump(directory: Path) -> None:
    """Write the pair to rebootcamp.sql and mongo.json; both stores must agree and nothing may wait."""
    with one_line():
        dump_demo(directory, _settings())
    for name in (SQL_DUMP.name, MONGO_DUMP.name):
        click.echo(f"{(directory / name).stat().st_size:>10,} {name}")


@demo.command("load")
def load() -> None:
    """Load the demo data of this source tree into a prepared and empty pair; never in production."""
    with one_line():
        refuse_production(_settings())
        click.echo(load_demo())


def _settings() -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    return settings


def _past(day: date) -> date:
    if day >= clock.now().date():
        raise CouldNotRun("The last day of the history must be over: choose an earlier --until.")
    return day


def _time_machine() -> ModuleType:
    # A tool of development: the service itself does without it.
    try:
        return import_module("time_machine")
    except ModuleNotFoundError:
        raise CouldNotRun("time-machine is missing: pip install -r requirements-dev.txt") from None
