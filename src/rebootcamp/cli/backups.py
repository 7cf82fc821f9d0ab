"""`flask backup`: copy both stores as one, prove copies, list them, make keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
from flask import current_app
from flask.cli import with_appcontext

from rebootcamp.cli.outcomes import Group, Result, progress, reported
from rebootcamp.config import Settings
from rebootcamp.core.clock import iso
from rebootcamp.services.backups import (
    Backup,
    Keep,
    Manifest,
    find_backup,
    list_backups,
    load_manifest,
    take_backup,
    verify_backup,
)

KEEP: Final = re.compile(r"(daily|weekly|monthly)=(\d{1,4})")
NEWEST: Final = "latest"


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
@click.option("--list", "is_list", is_flag=True, help="List the backups.")
@with_appcontext
@click.pass_context
def backup(context: click.Context, keep: Keep | None, verify: str | None, is_list: bool) -> None:
    """Copy both stores at one moment while the service runs; settings are BACKUP_… in the environment."""
    if context.invoked_subcommand is not None:
        return
    if sum(map(bool, (keep, verify, is_list))) > 1:
        raise click.UsageError("--keep, --verify and --list do not go together")
    if is_list:
        _list(_settings())
    elif verify:
        _verify(_settings(), verify)
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
        manifest = verify_backup(path, settings, progress())
        result.update(_told(path, manifest), signature="checked" if settings.backup_verify_key else "not checked")


def _list(settings: Settings) -> None:
    with reported("list") as result:
        backups = list_backups(settings.backup_dir)
        for path in backups:
            manifest = load_manifest(path)
            marks = f"{'encrypted' if manifest.is_encrypted else 'clear'} {manifest.mode}"
            events = f"{manifest.check.events} events"
            click.echo(f"{iso(manifest.created_at)}  {manifest.bid}  {manifest.size:>13,} bytes  {events}  {marks}")
        result.update(backups=len(backups), newest=str(backups[0]) if backups else None)


def _told(path: Path, manifest: Manifest) -> Result:
    return {
        "bid": str(manifest.bid),
        "path": str(path),
        "bytes": manifest.size,
        "barrier_ms": manifest.barrier_ms,
        "mode": manifest.mode,
        "encrypted": manifest.is_encrypted,
        "findings": manifest.check.findings,
    }


def _warn(taken: Backup) -> None:
    if taken.manifest.check.findings:
        click.echo(f"warning: the stores disagree ({taken.manifest.check.findings} findings): flask check", err=True)


def _settings() -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    return settings
