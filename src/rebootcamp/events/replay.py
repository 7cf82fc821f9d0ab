"""Showing the whole journal in a new MongoDB database: one stream, one learner after the other, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import pymongo
import sqlalchemy as sa
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.events.facts import RecordedEvent, UnreadableEvent, recorded_from_row
from rebootcamp.events.projector import fold, history_document
from rebootcamp.events.states import State, changes_of, states
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.storage.mongo import Doc, guarded, is_transient
from rebootcamp.storage.sql import Row

HISTORY, PROGRESS = HistoryDocument.collection_name, ProgressDocument.collection_name
BULK: Final = 2000
# A summary is some twenty times as large as an event.
LEARNERS: Final = 200
BULK_SECONDS: Final = 60
CHUNK: Final = 500

_COLUMNS: Final = """e.event_id, e.user_id, e.seq, e.type, e.version, e.payload, e.occurred_at, e.local_date,
    e.timezone, o.event_id IS NOT NULL AS is_waiting"""
_EVENTS: Final = f"SELECT {_COLUMNS} FROM activity_events e LEFT JOIN outbox o ON o.event_id = e.event_id"  # noqa: S608
_ORDER: Final = "ORDER BY e.user_id, e.seq"
_ALL: Final = sa.text(f"{_EVENTS} {_ORDER}")
_SOME: Final = sa.text(f"{_EVENTS} WHERE e.user_id = ANY(CAST(:user_ids AS bigint[])) {_ORDER}")

# How many events of each learner the new database shows. What is delivered only ever grows, so an equal number is
# the same events: one comparison tells who is behind, however long the journal.
_NOTES: Final = sa.text("CREATE TEMPORARY TABLE shown (user_id bigint PRIMARY KEY, events bigint NOT NULL)")
_NOTE: Final = sa.text("""
    INSERT INTO shown SELECT * FROM unnest(CAST(:user_ids AS bigint[]), CAST(:events AS bigint[]))
    ON CONFLICT (user_id) DO UPDATE SET events = excluded.events""")
_BEHIND: Final = sa.text("""
    SELECT s.user_id FROM learner_states s
    LEFT JOIN (SELECT user_id, count(*) AS events FROM outbox GROUP BY user_id) o ON o.user_id = s.user_id
    LEFT JOIN shown d ON d.user_id = s.user_id
    WHERE s.last_seq - coalesce(o.events, 0) <> coalesce(d.events, 0) ORDER BY s.user_id""")
_SUMS: Final = sa.text("SELECT coalesce(sum(events), 0)::bigint AS events, count(*) AS learners FROM shown")

Told = Callable[[int], None]


class Unreplayable(DomainError):
    """An event was shown once and cannot be shown again: the former database stays in use."""

    kind = Kind.CONFLICT
    code = "unreplayable_event"
    title = Text("Cannot be rebuilt", "Reconstruction impossible")
    detail = Text(
        "Event {event} of user {user_id} cannot be shown again ({reason}); nothing was changed.",
        "L'événement {event} de l'utilisateur {user_id} ne peut plus être projeté ({reason}) ; rien n'a été modifié.",
    )


class Incomplete(DomainError):
    """The new database does not hold what was written to it, or the journal is not whole."""

    kind = Kind.CONFLICT
    code = "rebuild_incomplete"
    title = Text("Rebuild incomplete", "Reconstruction incomplète")
    detail = Text(
        "The new database is not what the journal says ({found}); nothing was changed: see flask check.",
        "La nouvelle base ne correspond pas au journal ({found}) ; rien n'a été modifié : voir flask check.",
    )


@dataclass
class _Learner:
    """What the events of one learner, read so far, come to."""

    progress: ProgressDocument
    shown: int = 0
    documents: dict[tuple[State, str | int], Doc] = field(default_factory=dict)
    touched: set[tuple[State, str | int]] = field(default_factory=set)
    waiting: list[RecordedEvent] = field(default_factory=list)

    def show(self, event: RecordedEvent) -> None:
        """Take in an event that was delivered, and those before it that never were, as the relay does."""
        for each in (*self.waiting, event):
            self.progress = fold(self.progress, each)
            for state, changes in changes_of([each]).items():
                for key, fields in changes.items():
                    state.document.merge(self.documents.setdefault((state, key), {}), fields)
        self.waiting.clear()
        self.touched |= {(state, key) for state, changes in changes_of([event]).items() for key in changes}
        self.shown += 1


class Replay:
    """Fills one database; `connection` keeps the notes, and is nobody else's."""

    def __init__(self, connection: sa.Connection, database: Database[Doc], told: Told) -> None:
        self._connection = connection
        self._database = database
        self._told = told
        self._documents: dict[str, list[Doc]] = {}
        self._notes: list[tuple[int, int]] = []
        self._states = Counter[str]()
        self._done = 0

    def run(self) -> None:
        """Show every delivered event; raise `Unreplayable`, `MongoUnavailable`."""
        with self._connection.begin():
            self._connection.execute(_NOTES)
            self._show_all(self._stream(_ALL, {}))

    def catch_up(self) -> int:
        """Show anew all learners of whom more was delivered meanwhile; return how many that were."""
        with self._connection.begin():
            behind = self._connection.scalars(_BEHIND).all()
            for start in range(0, len(behind), CHUNK):
                user_ids = list(behind[start : start + CHUNK])
                self._forget(user_ids)
                self._show_all(self._stream(_SOME, {"user_ids": user_ids}))
        return len(behind)

    def verify(self) -> tuple[int, int]:
        """Return how many events and learners are shown; raise `Incomplete` unless MongoDB counts the same."""
        with self._connection.begin():
            events, learners = self._connection.execute(_SUMS).one()
            behind = self._connection.scalars(_BEHIND).all()
        shown = {state.collection: self._states[state.collection] for state in states()}
        expected = {HISTORY: events, PROGRESS: learners} | shown
        with guarded(), pymongo.timeout(BULK_SECONDS):
            found = {name: self._database[name].count_documents({}) for name in expected}
        if found != expected:
            told = [f"{name}: {found[name]} of {count}" for name, count in expected.items()]
            raise Incomplete(found=", ".join(told))
        return events, learners - len(behind)

    def require_complete(self) -> None:
        """Raise `Incomplete` when a learner is still behind: under the barrier that is a gap in the journal."""
        with self._connection.begin():
            behind = self._connection.scalars(_BEHIND).all()
        if behind:
            raise Incomplete(found=f"events of user {behind[0]} are missing")

    def _stream(self, statement: sa.TextClause, parameters: dict[str, object]) -> Iterator[Row]:
        # A cursor is one snapshot: what it calls delivered was so at one moment, for each learner.
        yield from self._connection.execute(statement, parameters, execution_options={"yield_per": BULK}).mappings()

    def _show_all(self, rows: Iterable[Row]) -> None:
        for user_id, group in groupby(rows, key=lambda row: row["user_id"]):
            self._show_learner(_Learner(ProgressDocument(user_id)), group)
            if len(self._notes) >= LEARNERS:
                self._flush()
        self._flush()

    def _show_learner(self, learner: _Learner, rows: Iterable[Row]) -> None:
        for row in rows:
            event = _read(row)
            if row["is_waiting"]:
                learner.waiting += [event] if event else []
            elif event:
                learner.show(event)
                self._add(HISTORY, history_document(event))
        if learner.shown:
            progress = learner.progress
            self._add(PROGRESS, {"_id": progress.user_id, "seq": progress.seq} | progress.fields())
            for state, key in learner.touched:
                self._add(state.collection, {"_id": key} | learner.documents[state, key])
                self._states[state.collection] += 1
            self._notes.append((progress.user_id, learner.shown))

    def _add(self, collection: str, document: Doc) -> None:
        waiting = self._documents.setdefault(collection, [])
        waiting.append(document)
        if len(waiting) >= BULK:
            self._insert(collection)

    def _flush(self) -> None:
        for collection in self._documents:
            self._insert(collection)
        if self._notes:
            user_ids, events = map(list, zip(*self._notes, strict=True))
            self._connection.execute(_NOTE, {"user_ids": user_ids, "events": events})
            self._notes.clear()

    def _insert(self, collection: str) -> None:
        documents = self._documents[collection]
        if not documents:
            return
        with guarded(), pymongo.timeout(BULK_SECONDS):
            try:
                self._database[collection].insert_many(documents, ordered=False)
            except BulkWriteError as error:
                if is_transient(error):
                    raise
                raise _refusal(error) from error
        if collection == HISTORY:
            self._done += len(documents)
            self._told(self._done)
        documents.clear()
        failpoint("rebuild.replayed")

    def _forget(self, user_ids: Sequence[int]) -> None:
        some = {"$in": list(user_ids)}
        with guarded(), pymongo.timeout(BULK_SECONDS):
            self._done -= self._database[HISTORY].delete_many({"user_id": some}).deleted_count
            for state in states():
                self._states[state.collection] -= (
                    self._database[state.collection].delete_many({"user_id": some}).deleted_count
                )
            self._database[PROGRESS].delete_many({"_id": some})


def _read(row: Row) -> RecordedEvent | None:
    """Return the event; None for one that waits and that nobody can read, which was never shown."""
    try:
        return recorded_from_row(row)
    except UnreadableEvent as error:
        if row["is_waiting"]:
            return None
        raise Unreplayable(event=row["event_id"], user_id=row["user_id"], reason=error) from error


def _refusal(error: BulkWriteError) -> Unreplayable:
    failure = (error.details or {})["writeErrors"][0]
    document = failure["op"]
    return Unreplayable(
        event=document["_id"], user_id=document.get("user_id", document["_id"]), reason=failure.get("errmsg")
    )
