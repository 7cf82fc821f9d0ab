"""What a backup says of itself, and the proof that it is true."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from rebootcamp.config import Settings
from rebootcamp.core import clock, json
from rebootcamp.integrations.encryption import Undecipherable, UnusableKey
from rebootcamp.integrations.signatures import is_signed
from rebootcamp.services.backups.errors import (
    BackupUnsigned,
    FileDamaged,
    HalvesDiffer,
    KeyNeeded,
    KeyUnusable,
    NotABackup,
    SignatureWrong,
    WrongKey,
)
from rebootcamp.services.backups.streams import Documents, Dump, Malformed, StoredFile, decode, measure, pour

FORMAT: Final = "rebootcamp-backup"
VERSION: Final = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
DUMP, SEALED = "postgresql.dump", ".age"
MARKS: Final = "backup_marks"
CHECKSUM: Final = b',"checksum":"'

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TableFigures:
    """A table at the cut: `hash` is the sum of the hashes of its rows, in whatever order."""

    rows: int
    hash: str


@dataclass(frozen=True)
class CollectionFigures:
    """A collection at the cut: the hash is of its documents ordered by `_id`; options and indexes as Extended JSON."""

    documents: int
    sha256: str
    options: dict[str, Any] = field(default_factory=dict)
    indexes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class CheckFigures:
    """What the integrity check said of the cut; it is not made where the schema waits for a migration."""

    findings: int
    learners: int
    events: int
    pending: int
    is_made: bool = True


@dataclass(frozen=True)
class Manifest:
    """Everything that a restore must know, and everything that it has to prove."""

    bid: UUID
    created_at: datetime
    store_id: UUID
    epoch: int
    mongo_database: str
    revision: str
    versions: dict[str, str]
    # `snapshot`: both stores at one moment while relays went on; `barrier`: relays waited, a standalone shows no past.
    mode: str
    snapshot: str
    cluster_time: str | None
    tables: dict[str, TableFigures]
    collections: dict[str, CollectionFigures]
    check: CheckFigures
    files: dict[str, StoredFile]
    recipients: tuple[str, ...]
    barrier_ms: float
    seconds: float

    @property
    def size(self) -> int:
        """Return the bytes of all files together."""
        return sum(file.bytes for file in self.files.values())

    @property
    def is_encrypted(self) -> bool:
        """Tell whether an identity is needed to read it."""
        return bool(self.recipients)

    @property
    def dump_file(self) -> str:
        """Return the name of the PostgreSQL half."""
        return DUMP + self._seal

    def collection_file(self, name: str) -> str:
        """Return the name of a file of the MongoDB half."""
        return file_of(name) + self._seal

    @property
    def _seal(self) -> str:
        return SEALED if self.is_encrypted else ""

    def to_json(self) -> bytes:
        """Return the bytes of `manifest.json`, the hash of all others at their end: these are what is signed."""
        plain = asdict(self)
        recipients = plain.pop("recipients")
        heading = {"format": FORMAT, "version": VERSION, "bid": str(self.bid), "store_id": str(self.store_id)}
        encryption = {"recipients": list(recipients)} if recipients else None
        return _sealed(json.dumps({**heading, **plain, **heading, "encryption": encryption}))


def file_of(collection: str) -> str:
    """Return the name under which a collection is stored."""
    return f"mongo/{quote(collection, safe='')}.bson.gz"


def load_manifest(path: Path) -> Manifest:
    """Read the manifest of a backup folder; raise `NotABackup`. Nothing is proved by that."""
    try:
        raw = (path / MANIFEST).read_bytes()
        content = json.loads(raw)
    except OSError:
        raise NotABackup(path=path.name, reason=f"it has no readable {MANIFEST}") from None
    except ValueError:
        raise NotABackup(path=path.name, reason=f"{MANIFEST} is no JSON") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise NotABackup(path=path.name, reason=f"{MANIFEST} is not of {FORMAT} version {VERSION}")
    if raw != _sealed(raw[: raw.rfind(CHECKSUM)] + b"}"):
        raise NotABackup(path=path.name, reason=f"{MANIFEST} was changed")
    try:
        return _parsed(content)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotABackup(path=path.name, reason=f"{MANIFEST} is incomplete ({error})") from None


def verify_backup(path: Path, settings: Settings, progress: Progress | None = None) -> Manifest:
    """Prove that a backup is what was written, whole and readable, by reading all of it; return its manifest.

    The signature must fit where BACKUP_VERIFY_KEY is set. Raises what `Unacceptable` gathers: `NotABackup`,
    `BackupUnsigned`, `SignatureWrong`, `FileDamaged`, `KeyNeeded`, `WrongKey`, `KeyUnusable`, `HalvesDiffer`.
    """
    manifest = verify_outside(path, settings)
    verify_contents(path, manifest, read_identity(manifest, settings), progress)
    return manifest


def verify_outside(path: Path, settings: Settings) -> Manifest:
    """Prove what needs no identity: who wrote the manifest, and that every file has the bytes it had then."""
    manifest = load_manifest(path)
    verify_signature(path, settings)
    verify_files(path, manifest)
    return manifest


def verify_signature(path: Path, settings: Settings) -> None:
    """Prove who wrote the manifest, where BACKUP_VERIFY_KEY says who may."""
    if settings.backup_verify_key is None:
        return
    if not (path / SIGNATURE).exists():
        raise BackupUnsigned
    try:
        public = settings.backup_verify_key.read_bytes()
        is_right = is_signed((path / MANIFEST).read_bytes(), (path / SIGNATURE).read_bytes(), public)
    except (OSError, UnusableKey) as error:
        raise KeyUnusable(name="BACKUP_VERIFY_KEY", reason=_reason(error)) from error
    if not is_right:
        raise SignatureWrong


def verify_files(path: Path, manifest: Manifest) -> None:
    """Prove that the files are those that were written, and that there is no other."""
    expected = {manifest.dump_file, *map(manifest.collection_file, manifest.collections)}
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()}
    for name in sorted(found - manifest.files.keys() - {MANIFEST, SIGNATURE}):
        raise FileDamaged(file=name, reason="the manifest does not know it")
    for name in sorted(expected - manifest.files.keys()):
        raise FileDamaged(file=name, reason="the manifest lacks it")
    for name, stored in manifest.files.items():
        if name not in found:
            raise FileDamaged(file=name, reason="it is missing")
        seen = measure(path / name)
        if seen.bytes != stored.bytes:
            raise FileDamaged(file=name, reason=f"{seen.bytes} bytes instead of {stored.bytes}")
        if seen.sha256 != stored.sha256:
            raise FileDamaged(file=name, reason="other bytes, of the same length")


def read_identity(manifest: Manifest, settings: Settings) -> str | None:
    """Return the identity that decrypts this backup, None if nothing is encrypted; raise `KeyNeeded`, `KeyUnusable`."""
    if not manifest.is_encrypted:
        return None
    if settings.backup_identity is None:
        raise KeyNeeded
    try:
        return settings.backup_identity.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise KeyUnusable(name="BACKUP_IDENTITY", reason=_reason(error)) from error


def verify_contents(path: Path, manifest: Manifest, identity: str | None, progress: Progress | None = None) -> None:
    """Prove that every file can be read to its end and holds what the manifest says, the mark of this backup first."""
    total = 1 + len(manifest.collections)
    if MARKS not in manifest.collections:
        raise HalvesDiffer(half="MongoDB", bid=manifest.bid)
    for done, name in enumerate(manifest.collections):
        _tell(progress, done, total)
        documents = DocumentProof(name)
        _read(path / manifest.collection_file(name), documents.sink, identity)
        documents.prove(manifest)
    _tell(progress, total - 1, total)
    with closing(DumpProof()) as dump:
        _read(path / manifest.dump_file, dump.sink, identity)
        dump.prove(manifest)
    _tell(progress, total, total)


class DocumentProof:
    """Holds one file of the MongoDB half against the manifest."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._newest: tuple[datetime, str] | None = None
        self.sink = Documents(self._take)

    def prove(self, manifest: Manifest) -> None:
        """Raise `FileDamaged`, `HalvesDiffer` where something else was read."""
        figures = manifest.collections[self._name]
        if (self.sink.documents, self.sink.sha256) != (figures.documents, figures.sha256):
            raise FileDamaged(file=manifest.collection_file(self._name), reason="other documents")
        if self._name == MARKS and (self._newest is None or self._newest[1] != str(manifest.bid)):
            raise HalvesDiffer(half="MongoDB", bid=manifest.bid)

    def _take(self, batch: bytes) -> None:
        for document in decode(batch):
            if self._name == MARKS and isinstance(at := document.get("created_at"), datetime):
                self._newest = max(self._newest or (at, ""), (at, str(document["_id"])))


class DumpProof:
    """Holds the PostgreSQL half against the manifest."""

    def __init__(self) -> None:
        self.sink = Dump(MARKS)

    def prove(self, manifest: Manifest) -> None:
        """Raise `FileDamaged`, `HalvesDiffer` where something else was read."""
        expected = {name: figures.rows for name, figures in manifest.tables.items()}
        if self.sink.rows != expected:
            raise FileDamaged(file=manifest.dump_file, reason="other rows")
        marks = [row.split("\t") for row in self.sink.watched]
        newest = max(((datetime.fromisoformat(at), bid) for bid, at in marks), default=None)
        if newest is None or newest[1] != str(manifest.bid):
            raise HalvesDiffer(half="PostgreSQL", bid=manifest.bid)

    def close(self) -> None:
        """Leave no process behind."""
        self.sink.close()


def _read(file: Path, sink: Documents | Dump, identity: str | None) -> None:
    name = f"{file.parent.name}/{file.name}" if file.parent.name == "mongo" else file.name
    try:
        pour(file, sink, identity)
    except Undecipherable as error:
        raise WrongKey(file=name, reason=_reason(error)) from error
    except UnusableKey as error:
        raise KeyUnusable(name="BACKUP_IDENTITY", reason=_reason(error)) from error
    except Malformed as error:
        raise FileDamaged(file=name, reason=_reason(error)) from error


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress("verify", done, total)


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__


def _parsed(content: Mapping[str, Any]) -> Manifest:
    encryption = content["encryption"]
    return Manifest(
        bid=UUID(content["bid"]),
        created_at=clock.parse(content["created_at"]),
        store_id=UUID(content["store_id"]),
        epoch=int(content["epoch"]),
        mongo_database=str(content["mongo_database"]),
        revision=str(content["revision"]),
        versions=dict(content["versions"]),
        mode=str(content["mode"]),
        snapshot=str(content["snapshot"]),
        cluster_time=content["cluster_time"],
        tables={name: TableFigures(**figures) for name, figures in content["tables"].items()},
        collections={name: CollectionFigures(**figures) for name, figures in content["collections"].items()},
        check=CheckFigures(**content["check"]),
        files={_inside(name): StoredFile(**file) for name, file in content["files"].items()},
        recipients=tuple(encryption["recipients"]) if encryption else (),
        barrier_ms=float(content["barrier_ms"]),
        seconds=float(content["seconds"]),
    )


def _sealed(content: bytes) -> bytes:
    """Return a JSON object with the hash of everything before it as its last member."""
    return content[:-1] + CHECKSUM + hashlib.sha256(content).hexdigest().encode() + b'"}'


def _inside(name: str) -> str:
    """Return the name of a file in the folder; a manifest from elsewhere must not lead out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"file {name!r}")
    return name
