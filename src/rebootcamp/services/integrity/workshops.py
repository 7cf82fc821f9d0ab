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

from rebootcamp.core import clock
from rebootcamp.models.sql.workshops import WorkshopComment
from rebootcamp.services.integrity.report import Notes, Report
from rebootcamp.services.integrity.sources import LENIENT, STREAM_ROWS, Learner
from rebootcamp.services.workshops.documents import REGISTRATIONS
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
    now = clock.now()
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
    names = ("workshop_id", "status", "offered_until", "attended_on", "rating", "first_seq", "last_seq")
    return {name: row[name] for name in names} | {"attended_on": row["attended_on"] and row["attended_on"].isoformat()}


def _told(fields: Doc) -> Doc:
    steps = {int(seq): step for seq, step in fields["steps"].items()}
    attended = [step["attended_on"] for _, step in sorted(steps.items()) if "attended_on" in step]
    return {
        "workshop_id": fields["workshop_id"],
        "status": fields.get("status"),
        "offered_until": fields.get("offered_until"),
        "attended_on": attended[-1] if fields.get("status") == "attended" else None,
        "rating": fields.get("rating"),
        "first_seq": min(steps),
        "last_seq": fields["seq"],
    }


def _is_off(row: Mapping[Any, Any]) -> bool:
    return (row["taken"], row["waiting"]) != (row["held"], row["waiters"])


def _rows(cut: Cut) -> Iterator[Row]:
    table = WorkshopComment
    statement = sa.select(table.id, table.version, table.text_hash, table.state).order_by(table.id)
    yield from cut.sql.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings()


def _stored(cut: Cut) -> Iterator[tuple[int, list[Doc]]]:
    collection = mongo.collection(COMMENTS).with_options(codec_options=LENIENT)
    order = [("comment_id", 1), ("version", 1)]
    documents = collection.find({"comment_id": {"$type": "number"}}, session=cut.mongo, batch_size=STREAM_ROWS)
    for number, versions in groupby(documents.sort(order), key=itemgetter("comment_id")):
        yield int(number), list(versions)


def _check_versions(report: Report, row: Row, versions: list[Doc]) -> None:
    subject = f"comment {row['id']}"
    # What its author deleted, a job removes.
    wanted = [] if row["state"] == "deleted" else range(1, row["version"] + 1)
    stored = {document.get("version"): document for document in versions}
    _check_left_behind(report, [document for number, document in stored.items() if number > row["version"]])
    for number in wanted:
        document = stored.get(number)
        if document is None:
            report.add(COMMENTS, f"{subject} version {number}", "the text is missing")
            continue
        report.expect(COMMENTS, f"{subject} version {number}", document.get("hash"), _hash(document["text"]))
        if number == row["version"]:
            report.expect(COMMENTS, f"{subject} version {number}", document.get("hash"), bytes(row["text_hash"]).hex())


def _check_left_behind(report: Report, documents: list[Doc]) -> None:
    for document in documents:
        if not isinstance(document["at"], datetime) or document["at"] < clock.now() - LEFT_BEHIND:
            report.add("comments left behind", f"comments {document['_id']}", "no row names this version")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
