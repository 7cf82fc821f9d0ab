"""`flask backup`: copy both stores as one, prove copies, list them, make keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
from flask import current_app
from flask.cli import with_appcontext

from rebootcamp.cli.outcomes import Command, Group, Result, progress, reported
from rebootcamp.config import Settings
from rebootcamp.core.clock import iso
from rebootcamp.services.backups import (
    Backup,
    Keep,
    Manifest,
    find_backup,
    list_backups,
    load_manifest,
    load_plain,
    make_keys,
    take_backup,
    take_plain,
    verify_backup,
    verify_outside,
)
from rebootcamp.services.backups.plain import MONGO_FILE, SQL_FILE

KEEP: Final = re.compile(r"(daily|weekly|monthly)=(\d{1,4})")
NEWEST: Final = "latest"
PLAIN_FILES: Final = (SQL_FILE, MONGO_FILE)


class Keeping(click.ParamType[Keep]):
    """`daily=7,weekly=4,monthly=12`."""

    name = "daily=N,weekly=N,monthly=N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Keep:
        """Return how much is kept."""
        found = [KEEP.fullmatch(part.strip()) for part in str(value).split(",")]
        counts = {match[1]: int(match[2]) for match in found if match}
        if len(counts) != len(found) or not any(counts.values()):
            self.fail(f"{value!r} is not like daily=7,weekly=4,monthly=12, with something to keep", param, ctx)
        return Keep(**counts)


@click.group("backup", cls=Group, invoke_without_command=True)
@click.option("--keep", type=Keeping(), help="Remove older backups after success, but these; default: remove none.")
@click.option("--verify", is_flag=False, flag_value=NEWEST, metavar="[PATH]", help="Prove a backup (the newest).")
@click.option("--plain", type=click.Path(file_okay=False, path_type=Path), help="Write readable files of both stores.")
@click.option("--list", "is_list", is_flag=True, help="List the backups.")
@with_appcontext
@click.pass_context
def backup(context: click.Context, keep: Keep | None, verify: str | None, plain: Path | None, is_list: bool) -> None:
    """Copy both stores at one moment while the service runs; settings are BACKUP_… in the environment."""
    if context.invoked_subcommand is not None:
        return
    if sum(map(bool, (keep, verify, plain, is_list))) > 1:
        raise click.UsageError("--keep, --verify, --plain and --list do not go together")
    if is_list:
        _list(_settings())
    elif verify:
        _verify(_settings(), verify)
    elif plain:
        _write_plain(_settings(), plain)
    else:
        _back_up(_settings(), keep)


def _back_up(settings: Settings, keep: Keep | None) -> None:
    with reported("backup") as result:
        taken = take_backup(settings, keep, progress())
        result.update(_told(taken.path, taken.manifest), pruned=len(taken.pruned))
        _warn(taken)


def _verify(settings: Settings, name: str) -> None:
    with reported("verify") as result:
        path = find_backup(settings.backup_dir, name)
        is_open = settings.backup_identity is not None or not load_manifest(path).is_encrypted
        # Whoever writes backups need not be able to read them: then only the outside is proved.
        manifest = verify_backup(path, settings, progress()) if is_open else verify_outside(path, settings)
        if not is_open:
            click.echo("warning: encrypted, and no BACKUP_IDENTITY here: the contents were not read", err=True)
        checked = "checked" if settings.backup_verify_key else "not checked"
        result.update(_told(path, manifest), signature=checked, contents="read" if is_open else "not read")


def _list(settings: Settings) -> None:
    with reported("list") as result:
        backups = list_backups(settings.backup_dir)
        for path in backups:
            manifest = load_manifest(path)
            marks = f"{'encrypted' if manifest.is_encrypted else 'clear'} {manifest.mode}"
            events = f"{manifest.check.events} events"
            click.echo(f"{iso(manifest.created_at)}  {manifest.bid}  {manifest.size:>13,} bytes  {events}  {marks}")
        result.update(backups=len(backups), newest=str(backups[0]) if backups else None)


def _write_plain(settings: Settings, directory: Path) -> None:
    with reported("plain") as result:
        take_plain(settings, directory)
        if settings.backup_recipients:
            click.echo("warning: these files are for reading: they are not encrypted", err=True)
        result.update(path=str(directory), bytes=sum((directory / name).stat().st_size for name in PLAIN_FILES))


@backup.command("keygen")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def keygen(directory: Path) -> None:
    """Make both pairs of keys in DIRECTORY and say which of them belongs where."""
    with reported("keygen") as result:
        keys = make_keys(directory)
        click.echo(f"BACKUP_RECIPIENTS={keys.recipient}")
        click.echo(f"BACKUP_SIGNING_KEY={keys.signing_key}")
        click.echo(f"BACKUP_VERIFY_KEY={keys.verify_key}")
        click.echo(f"# only where backups are restored, and never beside them:\n# BACKUP_IDENTITY={keys.identity}")
        result.update(path=str(directory), recipient=keys.recipient)


@click.command("load-plain", cls=Command)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_appcontext
def load_plain_files(directory: Path) -> None:
    """Load mongo.json of DIRECTORY beside the rebootcamp.sql that psql loaded into an empty database."""
    with reported("load-plain") as result:
        result.update(documents=load_plain(_settings(), directory))


def _told(path: Path, manifest: Manifest) -> Result:
    return {
        "bid": str(manifest.bid),
        "path": str(path),
        "bytes": manifest.size,
        "barrier_ms": manifest.barrier_ms,
        "mode": manifest.mode,
        "encrypted": manifest.is_encrypted,
        "findings": manifest.check.findings if manifest.check.is_made else None,
    }


def _warn(taken: Backup) -> None:
    if not taken.manifest.check.is_made:
        click.echo(
            "warning: the schema waits for `flask prepare`: saved, but not checked; a restore does both", err=True
        )
    if taken.manifest.check.findings:
        click.echo(f"warning: the stores disagree ({taken.manifest.check.findings} findings): flask check", err=True)


def _settings() -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    return settings
