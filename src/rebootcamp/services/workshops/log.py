"""Who did what with a workshop: events, looks and comments in one list, never behind and kept for a time only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.actors import Caller
from rebootcamp.core.errors import NotFound
from rebootcamp.core.pages import Key, Page, PageRequest, instant_in, paginate
from rebootcamp.events.projector import history_document
from rebootcamp.events.store import newest_in, readable
from rebootcamp.events.workshops import WorkshopAttendanceRevoked, WorkshopAttended
from rebootcamp.models.mongo.progress import HistoryDocument
from rebootcamp.models.sql.accounts import CALLER_COLUMNS
from rebootcamp.services.workshops.documents import DOMAIN
from rebootcamp.services.workshops.registrations import READ_ANY, RegistrationPage, may_know
from rebootcamp.services.workshops.retention import kept_since
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc, MongoUnavailable, reading
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one

ORDER: Final = "workshop_log"
VIEWS, COMMENTS = "workshop_views", "comments"
NEWEST: Final = {"at": -1, "_id": -1}

_WORKSHOP: Final = f"""
    SELECT {CALLER_COLUMNS}, w.id, w.trainer_id, w.status FROM users u CROSS JOIN app_meta m
    LEFT JOIN workshops w ON w.id = %(workshop_id)s AND w.archived_at IS NULL WHERE u.id = %(caller_id)s"""  # noqa: S608
_NAMES: Final = "SELECT id, display_name FROM users WHERE id = ANY(%(ids)s::bigint[])"
# A version that no row names was written by a command that never came to its end, or has not yet.
_VERSIONS: Final = "SELECT id, version FROM workshop_comments WHERE id = ANY(%(ids)s::bigint[])"
_STAYS: Final = """SELECT r.user_id, r.first_seq, r.last_seq, jsonb_build_object('registration_id', r.id) AS about
    FROM workshop_registrations r WHERE r.workshop_id = %(workshop_id)s"""
_WAITING, _ALL = newest_in(_STAYS, waiting_only=True), newest_in(_STAYS)
# What an entry tells of an event: what people said in their own words is no part of the log.
_TOLD: Final = ("registration_id", "offered_until", "cause", "had_seat", "rating")


def list_log(caller: Caller, workshop_id: int, page: PageRequest) -> RegistrationPage:
    """List who did what with a workshop, newest first; raise `NotFound`, `Forbidden`.

    Entries: `{id, type, at, user_id, display_name, data}`. Degraded: the journal alone told.
    """
    row = fetch_one(_WORKSHOP, {"caller_id": caller.user_id, "workshop_id": workshop_id})
    actor = caller.confirmed(row)
    actor.require(READ_ANY)
    if row is None or row["id"] is None or not may_know(actor, row):
        raise NotFound("workshop")
    span = _Span(workshop_id, kept_since(), *_before(page.key(ORDER, (str, str))), page.limit + 1)
    # PostgreSQL first: what is no longer pending here is already in MongoDB when that is asked.
    pending = _told(_WAITING, span)
    try:
        with reading():
            stored, is_degraded = _stored(span), False
    except MongoUnavailable:
        stored, is_degraded = _told(_ALL, span), True
    merged = sorted(by_id([*pending, *stored]).values(), key=_place, reverse=True)
    found = paginate(merged[: span.limit], page.limit, ORDER, lambda entry: (clock.iso(entry["at"]), entry["_id"]))
    return RegistrationPage(Page(_entries(found.items), found.next_cursor), is_degraded)


@dataclass(frozen=True)
class _Span:
    """Which part of whose log: entries before the place `(at, id)`, or the newest."""

    workshop_id: int
    since: datetime
    at: datetime | None
    id: str | None
    limit: int

    def stages(self, owner: str = "workshop_id") -> list[Doc]:
        """Return the part of a pipeline that finds the entries of one collection."""
        wanted: Doc = {owner: self.workshop_id, "at": {"$gte": self.since}}
        if self.at is not None:
            wanted["at"]["$lte"] = self.at
            wanted["$or"] = [{"at": {"$lt": self.at}}, {"_id": {"$lt": self.id}}]
        return [{"$match": wanted}, {"$sort": NEWEST}, {"$limit": self.limit}]


def _before(key: Key | None) -> tuple[datetime | None, str | None]:
    return (instant_in(key[0]), str(key[1])) if key else (None, None)


def _place(entry: Doc) -> tuple[datetime, str]:
    return entry["at"], entry["_id"]


def _told(statement: str, span: _Span) -> list[Doc]:
    return list(map(history_document, readable(fetch_all(statement, vars(span)))))


def _stored(span: _Span) -> list[Doc]:
    """Return the newest documents of all three collections, in one round trip."""
    others = [{"$unionWith": {"coll": name, "pipeline": span.stages()}} for name in (VIEWS, COMMENTS)]
    pipeline = [*span.stages("data.workshop_id"), *others, {"$sort": NEWEST}, {"$limit": span.limit}]
    return list(HistoryDocument.collection().aggregate([*pipeline, {"$project": {"text": 0, "data.words": 0}}]))


def _entries(documents: Sequence[Doc]) -> list[Row]:
    numbers = {document["comment_id"] for document in documents if "comment_id" in document}
    versions = {row["id"]: row["version"] for row in fetch_all(_VERSIONS, {"ids": list(numbers)})} if numbers else {}
    ids = {document["user_id"] for document in documents}
    names = {row["id"]: row["display_name"] for row in fetch_all(_NAMES, {"ids": list(ids)})} if ids else {}
    return [
        {"id": document["_id"], "at": document["at"], "user_id": document["user_id"], **_said(document)}
        | {"display_name": names[document["user_id"]]}
        for document in documents
        if document["user_id"] in names and document.get("version", 0) <= versions.get(document.get("comment_id"), 0)
    ]


def _said(document: Doc) -> Doc:
    """Return the type of an entry and what else it tells."""
    if "comment_id" in document:
        data = {name: document[name] for name in ("comment_id", "version")}
        return {"type": "commented" if document["version"] == 1 else "comment_edited", "data": data}
    if "type" not in document:
        return {"type": "saw", "data": {}}
    data = {name: document["data"][name] for name in _TOLD if name in document["data"]}
    if document["type"] in (WorkshopAttended.type, WorkshopAttendanceRevoked.type):
        data["attended_on"] = document["local_date"]
    return {"type": document["type"].removeprefix(DOMAIN), "data": data}
