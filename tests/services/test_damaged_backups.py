"""Whatever is not exactly the backup that was written is refused, and the reason is told in both languages."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from rebootcamp.services.backups import make_keys, verify_backup, verify_outside
from rebootcamp.services.backups.errors import (
    BackupUnsigned,
    FileDamaged,
    HalvesDiffer,
    KeyNeeded,
    KeyUnusable,
    NotABackup,
    SignatureWrong,
    Unacceptable,
    WrongKey,
)
from rebootcamp.services.backups.manifest import Manifest
from rebootcamp.storage.mongo_schema import declarations
from tests.services.backups import Bench, flip, retell
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def bench(committed_db: Flask, tmp_path: Path) -> Bench:
    sound_stores()
    return Bench(replace(committed_db.config["REBOOTCAMP"], backup_dir=tmp_path / "backups"))


@pytest.fixture
def sealed(bench: Bench, tmp_path: Path) -> Bench:
    keys = make_keys(tmp_path / "keys")
    changes = {"backup_signing_key": keys.signing_key, "backup_verify_key": keys.verify_key}
    return Bench(bench.with_(backup_recipients=(keys.recipient,), backup_identity=keys.identity, **changes))


def refused(bench: Bench, folder: Path, why: type[Unacceptable]) -> str:
    """Return the reason for which a folder is refused, told in two languages."""
    with pytest.raises(why) as refusal:
        verify_backup(folder, bench.settings)
    english, french = (refusal.value.detail_in(language) for language in ("en", "fr"))
    assert english != french
    assert "{" not in english + french
    return english


@pytest.mark.parametrize("is_sealed", [False, True])
def test_one_changed_bit_in_any_file_is_noticed(bench: Bench, sealed: Bench, is_sealed: bool) -> None:
    taker = sealed if is_sealed else bench
    backup = taker.take()
    names = [path.relative_to(backup.path) for path in backup.path.rglob("*") if path.is_file()]
    # The manifest, the dump, one file for each collection; sealed, a signature.
    assert len(names) == 2 + len(declarations()) + is_sealed
    for name in names:
        size = (backup.path / name).stat().st_size
        for position in {0, size // 2, size - 2}:
            folder = taker.copy(backup)
            flip(folder / name, position)
            said = refused(taker, folder, Unacceptable)
            assert name.name in said or name.name.startswith("manifest"), (name, position, said)
    verify_backup(taker.copy(backup), taker.settings)


@pytest.mark.parametrize("name", ["postgresql.dump", "mongo/history.bson.gz"])
@pytest.mark.parametrize("is_told", [False, True])
def test_a_truncated_file_is_noticed_even_where_the_manifest_agrees(bench: Bench, name: str, is_told: bool) -> None:
    backup = bench.take()
    for lost in (3, 0.3, 0.9):
        folder = bench.copy(backup)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: -lost if isinstance(lost, int) else -int(len(content) * lost)])
        if is_told:
            retell(folder)
        assert name in refused(bench, folder, FileDamaged)


def test_documents_that_the_manifest_does_not_tell_are_noticed(bench: Bench) -> None:
    folder = bench.copy(bench.take())
    file = folder / "mongo" / "awards.bson.gz"
    raw = gzip.decompress(file.read_bytes())
    for content in (raw + raw, raw[:-1], raw + b"\0", raw[:40] + b"\xff" + raw[41:], b""):
        file.write_bytes(gzip.compress(content))
        retell(folder)
        assert "mongo/awards.bson.gz" in refused(bench, folder, FileDamaged)
    for content in (gzip.compress(raw) + b"more", gzip.compress(raw) * 2):
        file.write_bytes(content)
        retell(folder)
        assert "mongo/awards.bson.gz" in refused(bench, folder, FileDamaged)
    file.write_bytes(gzip.compress(raw))
    retell(folder)
    verify_backup(folder, bench.settings)


def test_rows_that_the_manifest_does_not_tell_are_noticed(bench: Bench) -> None:
    folder = bench.copy(bench.take())

    def less(told: Manifest) -> Manifest:
        rows = {name: replace(one, rows=one.rows - (name == "users")) for name, one in told.tables.items()}
        return replace(told, tables=rows)

    retell(folder, less)
    assert "other rows" in refused(bench, folder, FileDamaged)


def swap_mongo(folder: Path, other: Path, told: Manifest, others: Manifest) -> Manifest:
    shutil.rmtree(folder / "mongo")
    shutil.copytree(other / "mongo", folder / "mongo")
    return replace(told, collections=others.collections)


def swap_postgresql(folder: Path, other: Path, told: Manifest, others: Manifest) -> Manifest:
    (folder / "postgresql.dump").unlink()
    shutil.copyfile(other / "postgresql.dump", folder / "postgresql.dump")
    return replace(told, tables=others.tables)


@pytest.mark.parametrize("swap", [swap_mongo, swap_postgresql])
@pytest.mark.parametrize("is_newer", [False, True])
def test_halves_of_two_backups_are_no_backup(
    bench: Bench, swap: Callable[[Path, Path, Manifest, Manifest], Manifest], is_newer: bool
) -> None:
    first, second = bench.take(), bench.take()
    one, other = (first, second) if is_newer else (second, first)
    folder = bench.copy(one)
    changed = swap(folder, other.path, one.manifest, other.manifest)
    refused(bench, folder, FileDamaged)
    retell(folder, lambda told: changed)
    assert str(one.manifest.bid) in refused(bench, folder, HalvesDiffer)


def test_files_that_do_not_belong_there_or_are_missing_are_noticed(bench: Bench) -> None:
    backup = bench.take()
    folder = bench.copy(backup)
    (folder / "mongo" / "more.bson.gz").write_bytes(b"")
    assert "mongo/more.bson.gz" in refused(bench, folder, FileDamaged)
    for name in ("postgresql.dump", "mongo/meta.bson.gz"):
        folder = bench.copy(backup)
        (folder / name).unlink()
        assert name in refused(bench, folder, FileDamaged)
    (folder / "manifest.json").unlink()
    refused(bench, folder, NotABackup)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "rebootcamp-backup", "version": 2}',
        b'{"format":"rebootcamp-backup","version":1}',
    ],
)
def test_a_manifest_that_is_none_is_refused(bench: Bench, content: bytes) -> None:
    folder = bench.copy(bench.take())
    (folder / "manifest.json").write_bytes(content)
    refused(bench, folder, NotABackup)


def test_a_manifest_does_not_lead_out_of_its_folder(bench: Bench) -> None:
    backup = bench.take()
    file = backup.manifest.files["postgresql.dump"]
    for name in ("../latest/postgresql.dump", "/etc/passwd"):
        folder = bench.copy(backup)
        (folder / "manifest.json").write_bytes(replace(backup.manifest, files={name: file}).to_json())
        refused(bench, folder, NotABackup)


def test_nothing_is_in_clear_where_there_are_recipients(sealed: Bench) -> None:
    backup = sealed.take()
    files = [path for path in backup.path.rglob("*") if path.is_file() and not path.name.startswith("manifest")]
    assert {path.suffix for path in files} == {".age"}
    assert {path.read_bytes()[:21] for path in files} == {b"age-encryption.org/v1"}
    assert verify_backup(backup.path, sealed.settings) == backup.manifest


def test_the_wrong_identity_reads_nothing(sealed: Bench, tmp_path: Path) -> None:
    backup = sealed.take()
    other = make_keys(tmp_path / "others")
    assert "mongo/" in refused(Bench(sealed.with_(backup_identity=other.identity)), backup.path, WrongKey)
    refused(Bench(sealed.with_(backup_identity=None)), backup.path, KeyNeeded)
    for useless in (tmp_path / "missing", other.verify_key):
        refused(Bench(sealed.with_(backup_identity=useless)), backup.path, KeyUnusable)
    assert verify_outside(backup.path, sealed.with_(backup_identity=None)) == backup.manifest


def test_only_the_right_signature_is_accepted(bench: Bench, sealed: Bench, tmp_path: Path) -> None:
    verify_key = sealed.settings.backup_verify_key
    refused(Bench(bench.with_(backup_verify_key=verify_key)), bench.take().path, BackupUnsigned)
    backup, other = sealed.take(), make_keys(tmp_path / "others")
    refused(Bench(sealed.with_(backup_verify_key=other.verify_key)), backup.path, SignatureWrong)
    refused(Bench(sealed.with_(backup_verify_key=other.signing_key)), backup.path, KeyUnusable)
    forged = sealed.copy(backup)
    retell(forged, lambda told: replace(told, store_id=uuid4()))
    refused(sealed, forged, SignatureWrong)
    (forged / "manifest.sig").write_bytes(b"no signature")
    refused(sealed, forged, SignatureWrong)
