"""`flask restore`: bring a backup back, beside the live pair first."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, Final

import click
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.engine import make_url

from rebootcamp.cli.outcomes import Command, Result, progress, reported
from rebootcamp.cli.stores import prepare
from rebootcamp.config import Settings, environment_with
from rebootcamp.core import clock, json
from rebootcamp.events.relay import Relay
from rebootcamp.integrations.programs import dying_with_us
from rebootcamp.services.backups.errors import ForeignBackup, NotEmpty
from rebootcamp.services.backups.folders import find_backup, opened
from rebootcamp.services.backups.loading import Source, open_source
from rebootcamp.services.backups.pairs import Place, drop_pairs
from rebootcamp.services.backups.restoring import Restore, begin
from rebootcamp.services.backups.settling import NewerBackup, NotSettled, Settled, settle
from rebootcamp.services.erasures import replay_erasures
from rebootcamp.storage import mongo
from rebootcamp.storage.databases import databases
from rebootcamp.storage.reopening import reopen

NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,39}")
SETTLE: Final = "settle-restore"


@click.command("restore", cls=Command)
@click.argument("backup", required=False)
@click.option("--dry-run", is_flag=True, help="Prove the backup, change nothing.")
@click.option("--force", is_flag=True, help="Replace a pair that holds data, or is of another store; it is kept.")
@click.option("--into", metavar="NAME", help="Rehearse: into a database of that name, beside the live pair.")
@click.option("--drop-old", is_flag=True, help="Drop what restores put aside; with --into, that rehearsal.")
@with_appcontext
def restore(backup: str | None, *, dry_run: bool, force: bool, into: str | None, drop_old: bool) -> None:
    """Bring BACKUP back: a folder, a name, the beginning of an id; by default the newest."""
    if into is not None and not NAME.fullmatch(into):
        raise click.BadParameter("small letters, digits, - and _, at most 40", param_hint="--into")
    if drop_old and (backup or dry_run or force):
        raise click.UsageError("--drop-old goes with --into only")
    # Whoever asks it to stop finds the live pair open.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if reopen(make_url(_settings().database_url)):
        _say("the live database is open again: a restore was killed while it had closed it")
    if drop_old:
        with reported("drop-old") as result, _place() as place:
            result["dropped"] = drop_pairs(place, into)
    else:
        with reported("restore") as result:
            _restore(result, backup, is_dry=dry_run, is_forced=force, into=into)


@click.command(SETTLE, hidden=True)
@click.argument("known_findings", type=int)
@click.argument("saved_at")
@with_appcontext
@click.pass_context
def settle_restore(context: click.Context, known_findings: int, saved_at: str) -> None:
    """Bring the pair of DATABASE_URL, restored and not yet in use, to where it may be."""
    with reported(SETTLE) as result:
        context.invoke(prepare, demo=False)
        settings = _settings()
        relay = Relay(settings.relay_batch, settings.relay_poll_seconds)
        result.update(asdict(settle(relay, known_findings, clock.parse(saved_at), settings.erasure_log)))


def _restore(result: Result, backup: str | None, *, is_dry: bool, is_forced: bool, into: str | None) -> None:
    settings = _settings()
    path = find_backup(settings.backup_dir, backup)
    # Nobody may prune the backup meanwhile.
    is_ours = path.resolve().parent == settings.backup_dir.resolve()
    with opened(settings.backup_dir) if is_ours else nullcontext():
        source = open_source(path, settings, progress())
        _require_known(source)
        result.update(bid=source.bid, path=str(path), dry_run=is_dry)
        if is_dry:
            click.echo(f"BACKUP VERIFIED bid={source.bid}")
            return
        with _place() as place:
            job = _begin(place, source, into, is_forced=is_forced)
            if job is None:
                click.echo(f"RESTORE VERIFIED bid={source.bid}: an earlier run had done it")
            else:
                result.update(_carry_out(job))
        if into is None:
            result["erased"] = result.get("erased", 0) + _erase_latecomers()


def _begin(place: Place, source: Source, into: str | None, *, is_forced: bool) -> Restore | None:
    try:
        return begin(place, source, into, is_forced=is_forced)
    except (NotEmpty, ForeignBackup):
        _say("with --force the restored pair takes the place of the live one, which is kept under another name")
        raise


def _carry_out(job: Restore) -> Result:
    if job.place.databases.is_superuser() and _settings().backup_verify_key is None:
        _say("warning: the role is a superuser and no BACKUP_VERIFY_KEY is set: whoever wrote the dump is trusted")
    if not _settings().erasure_log.exists():
        _say(f"note: there is no erasure log {_settings().erasure_log}: whoever was erased since is there again")
    job.fill(_say)
    job.prove()
    job.adopt()
    settled = _settle(job)
    click.echo(
        f"RESTORE VERIFIED bid={job.source.bid} learners={settled.learners} events={settled.events} "
        f"pending={settled.pending} findings={settled.findings}"
    )
    old = job.switch()
    if job.target.name != job.place.live:
        _say(f"a rehearsal, not in use; to drop it: ./restore.sh --drop-old --into {job.target.name}")
    elif old:
        _say(f"what was there is kept as {old}; to drop it: ./restore.sh --drop-old")
    names = {"database": job.target.name, "mongo_database": job.target.mongo_database, "old": old}
    return {**names, **asdict(settled)}


def _settle(job: Restore) -> Settled:
    """Settle in a process of its own: this one belongs to the live pair."""
    _say("check, erasures, delivery, check")
    command, manifest = [sys.executable, "-m", "flask", "--app", "rebootcamp.wsgi", SETTLE], job.source.manifest
    done = subprocess.run(
        [*command, str(manifest.check.findings), clock.iso(manifest.created_at)],
        env=environment_with(_addresses(_settings(), job.database_url)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        # It only makes system calls, so a lock held by another thread cannot hurt.
        preexec_fn=dying_with_us(signal.SIGKILL),
    )
    lines = done.stdout.splitlines() or [""]
    if done.returncode:
        raise NotSettled(reason=_detail(lines[-1]) or f"{SETTLE} ended with {done.returncode}")
    told: dict[str, Any] = json.loads(lines[-1])
    return Settled(**{name: told[name] for name in Settled.__dataclass_fields__})


def _erase_latecomers() -> int:
    """Erase who was erased between the last look at the log and the switch; the live pair is the restored one now."""
    mongo.forget()
    return replay_erasures(_settings().erasure_log)


def _addresses(settings: Settings, database_url: str) -> dict[str, str]:
    # All of them: with one in the environment, files are asked for none of the others.
    return {
        "DATABASE_URL": database_url,
        "MONGODB_URI": settings.mongodb_uri,
        "MONGODB_DATABASE": settings.mongodb_database,
        "SECRET_KEY": settings.secret_key,
        "APP_ENV": settings.app_env,
        "ERASURE_LOG": str(settings.erasure_log),
        # It tells what it does at the end.
        "LOG_LEVEL": "WARNING",
    }


def _detail(line: str) -> str:
    try:
        return str(json.loads(line)["detail"])
    except (ValueError, LookupError, TypeError):
        return ""


def _require_known(source: Source) -> None:
    """Raise `NewerBackup` where this version cannot tell what the tables mean."""
    scripts = ScriptDirectory.from_config(current_app.extensions["migrate"].migrate.get_config())
    try:
        scripts.get_revision(source.manifest.revision)
    except CommandError as error:
        manifest = source.manifest
        raise NewerBackup(revision=manifest.revision, app=manifest.versions.get("app", "?")) from error


@contextmanager
def _place() -> Iterator[Place]:
    settings = _settings()
    url = make_url(settings.database_url)
    with databases(url) as found:
        yield Place(found, url, settings.mongodb_database)


def _say(what: str) -> None:
    click.echo(what, err=True)


def _settings() -> Settings:
    settings: Settings = current_app.config["REBOOTCAMP"]
    return settings
