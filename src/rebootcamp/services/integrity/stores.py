"""What the stores say about themselves: identity, rules of the collections, catalogue, curve of levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from pymongo.client_session import ClientSession

from rebootcamp.core.levels import MIN_LEVELS
from rebootcamp.events.catalogue import badge_fields
from rebootcamp.models.mongo.badges import BadgeDocument
from rebootcamp.models.sql.badges import BadgeDefinition, RuleMeasure
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.levels import first_fault
from rebootcamp.services.integrity.documents import Fault
from rebootcamp.services.integrity.report import Report, difference
from rebootcamp.services.integrity.sources import LENIENT, is_id, owners
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import declarations, undeclared

IDENTITY: Final = "store"


def check_identity(report: Report, cut: Cut) -> None:
    """Both stores must say that they belong together."""
    meta = cut.sql.scalars(sa.select(AppMeta)).one_or_none()
    stored = _lenient("meta").find_one({"_id": "store"}, session=cut.mongo)
    if meta is None or stored is None:
        report.add(IDENTITY, "meta", "one of the stores was never prepared: run flask prepare")
        return
    report.expect(IDENTITY, "store_id", stored.get("store_id"), str(meta.store_id))
    report.expect(IDENTITY, "epoch", stored.get("epoch"), meta.epoch)
    report.expect(IDENTITY, "mongo_database", mongo.database().name, meta.mongo_database)


def check_versions(report: Report, cut: Cut) -> None:
    """No counter and no learner can be of rules that are still to come: a new counter would count as complete."""
    newest = cut.sql.scalar(sa.select(AppMeta.rules_version)) or 0
    for name, column in (("counters", RuleMeasure.since), ("learners", LearnerState.measured_version)):
        ahead = cut.sql.scalar(sa.select(sa.func.count()).where(column > newest)) or 0
        report.expect("rules version", f"{name} ahead of version {newest}", ahead, 0)


def check_schema(report: Report) -> None:
    """Validators and indexes are not part of a snapshot; only an operator changes them."""
    with mongo.guarded():
        differing = undeclared(mongo.database())
    for collection in differing:
        report.add("schema", collection, "validator or indexes differ: run flask mongo-init")


def check_catalogue(report: Report, cut: Cut) -> None:
    """Compare the catalogue document by document."""
    with report.examining("badges", "catalogue"):
        for code, fault in catalogue_faults(cut):
            report.add("badges", code, fault.detail)


def catalogue_faults(cut: Cut) -> Iterator[tuple[str, Fault]]:
    """Yield the badges whose document is not what their definition says."""
    stored = by_id(_lenient(BadgeDocument.collection_name).find({}, session=cut.mongo))
    badges = {badge.code: badge for badge in cut.sql.scalars(sa.select(BadgeDefinition))}
    for code in sorted(stored.keys() | badges.keys(), key=str):
        badge, document = badges.get(code), stored.get(code)
        if badge is None:
            yield code, Fault("badges", "document without a definition", document=document)
        elif badge.projected_version == badge.version:
            expected = {"_id": badge.code, "version": badge.version, **badge_fields(badge)}
            if document != expected:
                yield code, Fault("badges", difference(document, expected), document=document)


def check_validators(report: Report, cut: Cut, user_id: int | None = None) -> None:
    """MongoDB judges a document when it is written, and by the rule of that day: here all are judged by today's."""
    for name, document in refused(cut.mongo, user_id):
        report.add("validator", f"{name} {document['_id']!r}", "refused by its collection", owner_of(name, document))


def refused(session: ClientSession | None, user_id: int | None = None) -> Iterator[tuple[str, Doc]]:
    """Yield the documents, one learner's or all, that their collection would not accept: what names them alone."""
    for declared in declarations():
        name = declared["collection"]
        query: list[Doc] = [{"$nor": [declared["validator"]]}]
        if user_id is not None:
            if name not in owners():
                continue
            query.append({owners()[name]: user_id})
        fields = {owners().get(name, "_id"): True}
        for document in _lenient(name).find({"$and": query}, fields, session=session):
            yield name, document


def is_refused(collection: str, document_id: Any) -> bool:
    """Tell whether a collection would not accept the document that it holds now."""
    (validator,) = (found["validator"] for found in declarations() if found["collection"] == collection)
    query = {"$and": [{"_id": {"$eq": document_id}}, {"$nor": [validator]}]}
    return _lenient(collection).find_one(query, {"_id": True}) is not None


def owner_of(collection: str, document: Doc) -> int | None:
    """Return the learner whose document it is, or None where that cannot be said."""
    owner = document.get(owners().get(collection, ""))
    return int(owner) if owner is not None and is_id(owner) else None


def check_curve(report: Report, cut: Cut) -> None:
    """The curve of levels must be one."""
    columns = LevelDefinition.number, LevelDefinition.xp_floor
    rows = cut.sql.execute(sa.select(*columns).order_by(LevelDefinition.number)).all()
    report.expect("levels", "numbers", [row.number for row in rows], list(range(1, max(len(rows), MIN_LEVELS) + 1)))
    report.expect("levels", "floors", first_fault([row.xp_floor for row in rows] or [0]), None)


def _lenient(name: str) -> Any:
    return mongo.collection(name).with_options(codec_options=LENIENT)
