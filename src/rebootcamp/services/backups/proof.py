"""The proof that a restored pair holds what was saved: every count and hash, rules, indexes, one mark in both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast

import pymongo
import sqlalchemy as sa
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from sqlalchemy.orm import Session

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.sql.backups import BackupMark
from rebootcamp.services.backups.figures import Tally, list_collections, table_figures
from rebootcamp.services.backups.manifest import CollectionFigures, Manifest
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import Doc

PROOF_SECONDS: Final = 3600


class NotAsSaved(DomainError):
    """The restored pair is not what the manifest describes."""

    kind = Kind.CONFLICT
    code = "not_as_saved"
    title = Text("Not as saved", "Différent de la sauvegarde")
    detail = Text(
        "{what} of the restored pair is not as it was saved; the live pair is untouched.",
        "{what}, dans les bases restaurées, diffère de la sauvegarde ; les bases en service sont intactes.",
    )


def prove(manifest: Manifest, session: Session, database: Database[Doc]) -> None:
    """Raise `NotAsSaved` unless both stores hold what the manifest says, neither less nor more."""
    session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    _require_equal("table", table_figures(session), manifest.tables)
    newest = session.scalar(sa.select(BackupMark.id).order_by(BackupMark.created_at.desc()).limit(1))
    with mongo.guarded(), pymongo.timeout(PROOF_SECONDS):
        _require_equal("collection", _collection_figures(database), manifest.collections)
        marks = database[BackupMarkDocument.collection_name]
        shown = marks.find_one({}, sort=[("created_at", DESCENDING)])
    if newest != manifest.bid or shown is None or shown["_id"] != str(manifest.bid):
        raise NotAsSaved(what="backup_marks")


def _collection_figures(database: Database[Doc]) -> dict[str, CollectionFigures]:
    found = {}
    for name, (options, indexes) in list_collections(database).items():
        tally = Tally(lambda _: None)
        batches = cast(Iterable[bytes], database[name].find_raw_batches({}, sort=[("_id", ASCENDING)]))
        for _ in tally.count(batches):
            pass
        found[name] = CollectionFigures(tally.documents, tally.sha256, options, indexes)
    return found


def _require_equal(kind: str, found: Mapping[str, object], expected: Mapping[str, object]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise NotAsSaved(what=f"{kind} {name}")
