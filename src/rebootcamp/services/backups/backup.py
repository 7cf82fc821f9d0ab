"""Taking a backup: one cut, both halves copied from it while the service goes on, proof, then a name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from pymongo import DESCENDING

from rebootcamp import __version__
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.pair import require_pair
from rebootcamp.events.store import JOURNAL, QUEUE
from rebootcamp.integrations import postgresql_tools
from rebootcamp.integrations.encryption import UnusableKey, parse_recipients
from rebootcamp.integrations.postgresql_tools import ProgramFailed, pipe, said
from rebootcamp.integrations.signatures import sign
from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.sql.backups import BackupMark
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.backups.errors import CutFailed, KeyUnusable
from rebootcamp.services.backups.figures import Tally, list_collections, stream_documents, table_figures
from rebootcamp.services.backups.folders import Folder, Keep, opened
from rebootcamp.services.backups.manifest import (
    DUMP,
    MANIFEST,
    SEALED,
    SIGNATURE,
    CheckFigures,
    CollectionFigures,
    DocumentProof,
    DumpProof,
    Manifest,
    Progress,
    TableFigures,
    file_of,
    verify_contents,
    verify_files,
)
from rebootcamp.services.backups.streams import CHUNK, Malformed, StoredFile, store, tee, zipped
from rebootcamp.services.backups.window import SnapshotGone, ask_window, within
from rebootcamp.services.integrity import check_cut
from rebootcamp.services.jobs.marks import forget_marks
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import CommonCut, common_cut
from rebootcamp.storage.locks import DDL, shared
from rebootcamp.storage.revisions import newest_revision
from rebootcamp.storage.statements import run_apart

ATTEMPTS: Final = 2

# The fastest way to write a row: relays wait for it.
_MARK: Final = """
    INSERT INTO backup_marks (id, created_at) VALUES (%(id)s::uuid, %(at)s::timestamptz) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Backup:
    """A backup that is complete, and what became of older ones."""

    path: Path
    manifest: Manifest
    pruned: list[Path]


def take_backup(settings: Settings, keep: Keep | None, progress: Progress) -> Backup:
    """Copy both stores as they are at one moment, prove the copy, and give it its name.

    Raises `BackupRunning`, `NoPlace`, `KeyUnusable`, `CutFailed`, `WindowOver`, `ProgramFailed`, `Busy`,
    `Unpaired`, `DatabaseUnavailable`, `MongoUnavailable`; then nothing is left but what the next run sweeps.
    """
    seal = _Seal(settings)
    with opened(settings.backup_dir) as folder:
        folder.sweep()
        folder.require_room()
        # What belongs to nobody, or to somebody else, is neither written to nor saved in the place of good backups.
        require_pair()
        # What a mark needs is connected by that, too, before anybody has to wait.
        forget_marks(lambda done: None)
        # Collections that are made after the cut cannot be read at it.
        with shared(DDL):
            staging, manifest = _copy(settings, folder, seal, progress)
        verify_files(staging, manifest)
        if not manifest.is_encrypted:
            verify_contents(staging, manifest, None, progress)
        path = folder.publish(staging, manifest)
        pruned = folder.prune(keep, verified=path) if keep else []
    return Backup(path, manifest, pruned)


class _Seal:
    """The keys, tried before anything is done."""

    def __init__(self, settings: Settings) -> None:
        self.recipients = settings.backup_recipients
        self._signing_key: bytes | None = None
        try:
            parse_recipients(self.recipients)
        except UnusableKey as error:
            raise KeyUnusable(name="BACKUP_RECIPIENTS", reason=error) from error
        if settings.backup_signing_key is not None:
            try:
                self._signing_key = settings.backup_signing_key.read_bytes()
                sign(b"", self._signing_key)
            except (OSError, UnusableKey) as error:
                raise KeyUnusable(name="BACKUP_SIGNING_KEY", reason=error) from error

    def write(self, folder: Path, manifest: Manifest) -> None:
        """Write the manifest, and its signature if there is a key."""
        content = manifest.to_json()
        store([content], folder / MANIFEST, ())
        if self._signing_key is not None:
            store([sign(content, self._signing_key)], folder / SIGNATURE, ())


def _copy(settings: Settings, folder: Folder, seal: _Seal, progress: Progress) -> tuple[Path, Manifest]:
    """Copy from a cut, from a second one should the first be forgotten meanwhile."""
    for _ in range(ATTEMPTS):
        staging = folder.stage()
        try:
            return staging, _Copy(settings, staging, seal, progress).run()
        except SnapshotGone as error:
            reason = str(error)
            folder.sweep()
    raise CutFailed(reason=reason)


class _Copy:
    """One attempt: from the barrier to the manifest."""

    def __init__(self, settings: Settings, staging: Path, seal: _Seal, progress: Progress) -> None:
        self._url, self._staging, self._seal, self._progress = settings.database_url, staging, seal, progress
        self._suffix = SEALED if seal.recipients else ""
        self._bid, self._began = uuid4(), clock.now()
        self._files: dict[str, StoredFile] = {}
        self._proofs: list[DocumentProof | DumpProof] = []
        (staging / "mongo").mkdir(mode=0o700)

    def run(self) -> Manifest:
        """Copy, then write the manifest. Raises `SnapshotGone` when it has to be done again."""
        started = time.monotonic()
        self._progress("cut", 0, 1)
        with ExitStack() as stack:
            # What is encrypted here cannot be read here: it is read while it passes.
            proof = stack.enter_context(closing(DumpProof())) if self._suffix else None
            window = ask_window()
            cut = stack.enter_context(common_cut(lambda: _mark(self._bid)))
            stack.enter_context(within(window))
            self._progress("cut", 1, 1)
            failpoint("backup.cut")
            self._require_mark(cut)
            dumping = stack.enter_context(self._dumping(cut, proof))
            collections = self._export(cut)
            failpoint("backup.exported")
            manifest = self._describe(cut, collections)
            self._files[DUMP + self._suffix] = dumping.result()
            failpoint("backup.dumped")
        seconds = round(time.monotonic() - started, 3)
        manifest = replace(manifest, barrier_ms=round(cut.barrier.milliseconds, 1), seconds=seconds)
        for done in self._proofs:
            done.prove(manifest)
        self._seal.write(self._staging, manifest)
        failpoint("backup.described")
        return manifest

    def _require_mark(self, cut: CommonCut) -> None:
        newest = cut.sql.scalar(sa.select(BackupMark.id).order_by(BackupMark.created_at.desc()).limit(1))
        order = [("created_at", DESCENDING)]
        shown = BackupMarkDocument.collection().find_one({}, sort=order, session=cut.mongo)
        if newest != self._bid or shown is None or shown["_id"] != str(self._bid):
            raise CutFailed(reason="the newest mark is not that of this backup")

    def _export(self, cut: CommonCut) -> dict[str, CollectionFigures]:
        """Write every collection; return its figures."""
        database, found = mongo.database(), {}
        described = list_collections(database)
        total = sum(database[name].estimated_document_count() for name in described)
        tally = Tally(lambda done: self._progress("mongodb", done, max(done, total)))
        for name, (options, indexes) in described.items():
            tally.begin()
            chunks = zipped(tally.count(stream_documents(database, name, cut)))
            if self._suffix:
                proof = DocumentProof(name)
                self._proofs.append(proof)
                chunks = tee(chunks, proof.sink)
            file = file_of(name) + self._suffix
            self._files[file] = store(chunks, self._staging / file, self._seal.recipients)
            found[name] = CollectionFigures(tally.documents, tally.sha256, options, indexes)
        return found

    @contextmanager
    def _dumping(self, cut: CommonCut, proof: DumpProof | None) -> Iterator[Future[StoredFile]]:
        """Write the PostgreSQL half beside everything else."""
        options = "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={cut.snapshot}"
        if proof:
            self._proofs.append(proof)
        with (
            postgresql_tools.start("pg_dump", *options, database_url=self._url) as process,
            ThreadPoolExecutor(1) as pool,
        ):
            try:
                yield pool.submit(self._take_dump, process, proof)
            except BaseException:
                process.kill()
                raise

    def _take_dump(self, process: Popen[bytes], proof: DumpProof | None) -> StoredFile:
        chunks: Iterator[bytes] = iter(partial(pipe(process.stdout).read, CHUNK), b"")
        try:
            chunks = tee(chunks, proof.sink) if proof else chunks
            stored = store(chunks, self._staging / (DUMP + self._suffix), self._seal.recipients)
        except Malformed as error:
            if not process.wait():
                raise CutFailed(reason=error) from error
        if process.wait():
            raise ProgramFailed(name="pg_dump", reason=said(pipe(process.stderr).read()))
        return stored

    def _describe(self, cut: CommonCut, collections: dict[str, CollectionFigures]) -> Manifest:
        """Tell everything about the cut; its length is known later."""
        self._progress("postgresql", 0, 2)
        tables = table_figures(cut.sql)
        self._progress("postgresql", 1, 2)
        revision = str(cut.sql.scalar(sa.text("SELECT version_num FROM alembic_version")))
        check = _checked(cut) if revision == newest_revision() else _counted(tables)
        self._progress("postgresql", 2, 2)
        meta = cut.sql.scalars(sa.select(AppMeta)).one()
        moment = cut.cluster_time
        return Manifest(
            bid=self._bid,
            created_at=self._began,
            store_id=meta.store_id,
            epoch=meta.epoch,
            mongo_database=meta.mongo_database,
            revision=revision,
            versions=_versions(cut),
            mode="snapshot" if cut.mongo is not None else "barrier",
            snapshot=cut.snapshot,
            cluster_time=f"{moment.time}.{moment.inc}" if moment is not None else None,
            tables=tables,
            collections=collections,
            check=check,
            files=self._files,
            recipients=self._seal.recipients,
            barrier_ms=0,
            seconds=0,
        )


def _checked(cut: CommonCut) -> CheckFigures:
    report = check_cut(cut)
    return CheckFigures(len(report.findings), report.learners, report.events, report.pending)


def _counted(tables: Mapping[str, TableFigures]) -> CheckFigures:
    """Return figures without a check: before an upgrade, this version knows more tables than there are."""
    learners, events, pending = (tables[name].rows for name in ("learner_states", JOURNAL, QUEUE))
    return CheckFigures(0, learners, events, pending, is_made=False)


def _mark(bid: UUID) -> None:
    """Leave the same mark in both stores."""
    at = clock.now()
    with mongo.guarded():
        BackupMarkDocument.collection().insert_one({"_id": str(bid), "created_at": at})
    failpoint("backup.half_marked")
    run_apart(_MARK, {"id": str(bid), "at": at})
    failpoint("backup.marked")


def _versions(cut: CommonCut) -> dict[str, str]:
    return {
        "postgresql": str(cut.sql.scalar(sa.text("SHOW server_version"))),
        "mongodb": str(mongo.client().server_info()["version"]),
        "pg_dump": postgresql_tools.version_of("pg_dump"),
        "app": __version__,
    }
