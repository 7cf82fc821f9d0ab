"""Workshops: registrations against the events about them, seats and queues counted again, comments against rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.models.mongo.workshops import CommentDocument
from rebootcamp.models.sql.workshops import WorkshopComment
from rebootcamp.services.integrity.report import Notes, Report
from rebootcamp.services.integrity.sources import LENIENT, STREAM_ROWS, Learner
from rebootcamp.services.workshops.documents import REGISTRATIONS
from rebootcamp.services.workshops.retention import NO_TEXT
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.sql import Row

ROWS: Final = "registration rows"
SEATS: Final = "seats"
COMMENTS: Final = "comments"
# A raised capacity gives more seats on than fit into one transaction, and a relay goes on with the rest.
PROMOTION: Final = timedelta(minutes=1)
# A nightly job removes what a killed command left behind.
LEFT_BEHIND: Final = timedelta(days=3)

# The moment since which somebody could have had a seat: the last of all that can have made it possible.
_QUEUES: Final = sa.text("""
    SELECT w.id, greatest(w.updated_at, n.since, (
        SELECT max(r.ended_at) FROM workshop_registrations r WHERE r.workshop_id = w.id)) AS since
    FROM workshops w CROSS JOIN LATERAL (
        SELECT min(greatest(r.registered_at, u.updated_at)) AS since
        FROM workshop_registrations r JOIN users u ON u.id = r.user_id
        WHERE r.workshop_id = w.id AND r.status = 'waitlisted' AND r.offered_until IS NULL AND u.is_active) n
    WHERE w.status IN ('published', 'closed') AND w.archived_at IS NULL AND w.starts_at > :now
        AND w.taken < w.capacity AND n.since IS NOT NULL
    ORDER BY w.id""")
_HELD: Final = """SELECT count(*) FROM workshop_registrations r
    WHERE r.workshop_id = w.id AND (r.status IN ('registered', 'attended') OR r.offered_until IS NOT NULL)"""
_WAITERS: Final = """SELECT count(*) FROM workshop_registrations r
    WHERE r.workshop_id = w.id AND r.status = 'waitlisted' AND r.offered_until IS NULL"""
_COUNTS: Final = sa.text(f"""
    SELECT w.id, w.capacity, w.taken, w.waiting, ({_HELD}) AS held, ({_WAITERS}) AS waiters
    FROM workshops w ORDER BY w.id""")  # noqa: S608
_LOCK: Final = sa.text("SELECT id FROM workshops WHERE id = :id FOR NO KEY UPDATE")
_COUNT: Final = sa.text(f"""
    UPDATE workshops w SET taken = ({_HELD}), waiting = ({_WAITERS})
    WHERE id = :id AND ({_HELD}) <= capacity AND (taken, waiting) <> (({_HELD}), ({_WAITERS}))""")  # noqa: S608


def check_registrations(notes: Notes, learner: Learner) -> None:
    """Compare a learner's registrations with what the events about them say."""
    told = REGISTRATIONS.changes(learner.events)
    rows = {row["id"]: row for row in learner.registration_rows}
    for number in sorted(rows.keys() | told.keys(), key=int):
        found = _figures(rows[number]) if number in rows else None
        expected = _told(told[number]) if number in told else None
        notes.expect(ROWS, found, expected, f"registration {number}")


def check_seats(report: Report, session: Session) -> None:
    """Count seats and queues again; nobody may wait for a seat that has been free for a while."""
    for row in session.execute(_COUNTS).mappings():
        subject = f"workshop {row['id']}"
        if row["held"] > row["capacity"]:
            report.add("overbooked", subject, f"{row['held']} seats of {row['capacity']} are taken")
        elif _is_off(row):
            found, expected = (row["taken"], row["waiting"]), (row["held"], row["waiters"])
            report.expect(SEATS, subject, found, expected)
    now = report.now
    for row in session.execute(_QUEUES, {"now": now}).mappings():
        if row["since"] < now - PROMOTION:
            report.add("queue", f"workshop {row['id']}", f"somebody waits for a seat that is free since {row['since']}")


def mend_seats(session: Session, workshop_id: int) -> bool:
    """Count one workshop's seats again, unless more are taken than there are; return whether that changed anything."""
    session.execute(_LOCK, {"id": workshop_id})
    return bool(session.execute(_COUNT, {"id": workshop_id}).rowcount)  # type: ignore[attr-defined]


def seats_off(session: Session) -> list[int]:
    """Return the workshops whose seats or queue are counted wrong."""
    return [row["id"] for row in session.execute(_COUNTS).mappings() if _is_off(row)]


def check_comments(report: Report, cut: Cut) -> None:
    """Every version that a row names must be there, with its text as it was; nothing else may stay for long."""
    with report.examining(COMMENTS, "texts"):
        stored = _stored(cut)
        head = next(stored, None)
        for row in _rows(cut):
            while head is not None and head[0] < row["id"]:
                _check_left_behind(report, head[1])
                head = next(stored, None)
            versions: list[Doc] = []
            if head is not None and head[0] == row["id"]:
                versions, head = head[1], next(stored, None)
            _check_versions(report, row, versions)
        while head is not None:
            _check_left_behind(report, head[1])
            head = next(stored, None)


def _figures(row: Row) -> Doc:
    instants = ("offered_until", "registered_at", "seated_at", "ended_at")
    names = ("workshop_id", "status", "attended_on", "rating", "first_seq", "last_seq", *instants)
    return {name: row[name] for name in names} | {"attended_on": row["attended_on"] and row["attended_on"].isoformat()}


def _told(fields: Doc) -> Doc:
    steps = {int(seq): step for seq, step in sorted(fields["steps"].items(), key=lambda item: int(item[0]))}
    attended = [step["attended_on"] for step in steps.values() if "attended_on" in step]
    at = {step["type"]: step["at"] for step in steps.values()}
    return {
        "workshop_id": fields["workshop_id"],
        "status": fields.get("status"),
        "offered_until": fields.get("offered_until"),
        "attended_on": attended[-1] if fields.get("status") == "attended" else None,
        "rating": fields.get("rating"),
        "first_seq": min(steps),
        "last_seq": fields["seq"],
        "registered_at": fields.get("registered_at"),
        "seated_at": at.get("promoted", at.get("registered")),
        "ended_at": at.get("left"),
    }


def _is_off(row: Mapping[Any, Any]) -> bool:
    return (row["taken"], row["waiting"]) != (row["held"], row["waiters"])


def _rows(cut: Cut) -> Iterator[Row]:
    table = WorkshopComment
    columns = table.id, table.workshop_id, table.user_id, table.version, table.text_hash, table.state
    statement = sa.select(*columns, table.created_at, table.edited_at).order_by(table.id)
    yield from cut.sql.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings()


def _stored(cut: Cut) -> Iterator[tuple[int, list[Doc]]]:
    collection = mongo.collection(COMMENTS).with_options(codec_options=LENIENT)
    order = [("comment_id", 1), ("version", 1)]
    documents = collection.find({"comment_id": {"$type": "number"}}, session=cut.mongo, batch_size=STREAM_ROWS)
    for number, versions in groupby(documents.sort(order), key=itemgetter("comment_id")):
        yield int(number), list(versions)


def _check_versions(report: Report, row: Row, versions: list[Doc]) -> None:
    stored: dict[Any, Doc] = {document.get("version"): document for document in versions}
    # Of a deleted one the row says when a job has removed the texts.
    last = 0 if bytes(row["text_hash"]) == NO_TEXT else row["version"]
    _check_left_behind(report, [document for number, document in stored.items() if number > last])
    for number in range(1, row["version"] + 1) if row["state"] != "deleted" else ():
        subject, document = f"comment {row['id']} version {number}", stored.get(number)
        if document is None:
            report.add(COMMENTS, subject, "the text is missing")
            continue
        expected = _described(row, number) | {"hash": _hash(document["text"])}
        report.expect(COMMENTS, subject, {name: document.get(name) for name in expected}, expected)
        if number == row["version"]:
            report.expect(COMMENTS, subject, document.get("hash"), bytes(row["text_hash"]).hex())


def _described(row: Row, number: int) -> Doc:
    """Return what a version's document says beside its text; the row knows when the first and the last were said."""
    said = {1: row["created_at"], row["version"]: row["edited_at"] or row["created_at"]}
    key = {"_id": CommentDocument.identify(row["id"], number), "workshop_id": row["workshop_id"]}
    return {**key, "user_id": row["user_id"], **({"at": said[number]} if number in said else {})}


def _check_left_behind(report: Report, documents: list[Doc]) -> None:
    for document in documents:
        if not isinstance(document["at"], datetime) or document["at"] < report.now - LEFT_BEHIND:
            report.add("comments left behind", f"comments {document['_id']}", "no row names this version")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
