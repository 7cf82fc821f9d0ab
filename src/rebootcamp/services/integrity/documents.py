"""The documents of one learner against what the projector makes of the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rebootcamp.events.projector import fold_all, history_document
from rebootcamp.events.states import State, states
from rebootcamp.models.mongo.progress import ProgressDocument
from rebootcamp.services.integrity.report import MALFORMED, Notes, difference
from rebootcamp.services.integrity.sources import Learner
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc


@dataclass(frozen=True)
class Fault:
    """What is wrong in a collection: `document` does not belong there, the event `seq` must be shown again."""

    collection: str
    detail: str
    where: str = ""
    document: Doc | None = None
    seq: int | None = None


def check_documents(notes: Notes, learner: Learner) -> None:
    """Compare every document with the journal."""
    for collection, find in _finders().items():
        with notes.examining(collection):
            for fault in find(learner):
                notes.add(fault.collection, fault.detail, fault.where)


def faults_of(learner: Learner) -> Iterator[Fault]:
    """Yield whatever is wrong in any collection; raises one of `MALFORMED` where the journal itself is unusable."""
    for find in _finders().values():
        yield from find(learner)


def _strangers(collection: str, documents: Iterable[Doc]) -> Iterator[Fault]:
    """Nothing may speak of a learner who has no events."""
    for document in documents:
        yield Fault(collection, "document without any event", document=document)


def _history(learner: Learner) -> Iterator[Fault]:
    if not learner.rows:
        yield from _strangers("history", learner.shown("history"))
        return
    found = by_id(learner.shown("history"))
    events = {str(event.event_id): event for event in learner.events}
    for key, event in events.items():
        if key not in found and event.seq not in learner.pending:
            yield Fault("history", "delivered but absent", f"seq {event.seq}", seq=event.seq)
    for key, document in found.items():
        expected = history_document(events[key]) if key in events else None
        if document != expected:
            seq = events[key].seq if key in events and events[key].seq not in learner.pending else None
            yield Fault("history", difference(document, expected), f"event {key}", document, seq)


def _states(state: State, learner: Learner) -> Iterator[Fault]:
    documents = learner.shown(state.collection)
    if not learner.rows:
        yield from _strangers(state.collection, documents)
        return
    stored = by_id(documents)
    touched = state.changes(event for event in learner.events if event.seq in learner.pending)
    expected = state.changes(learner.events)
    for key in sorted((stored.keys() | expected.keys()) - touched.keys(), key=str):
        wanted, document = expected.get(key, {}), stored.get(key)
        found = _state_of(state, document)
        if found != wanted:
            yield Fault(state.collection, difference(found, wanted), str(key), document, wanted.get("seq"))


def witness_of(learner: Learner, collection: str, document_id: Any) -> int | None:
    """Return the event that brings a document back when it is delivered again, or None."""
    delivered = [event for event in learner.events if event.seq not in learner.pending]
    if collection == "progress":
        return delivered[-1].seq if delivered else None
    for state in states():
        if collection == state.collection:
            return state.changes(delivered).get(document_id, {}).get("seq")
    return next((event.seq for event in delivered if str(event.event_id) == document_id), None)


def _state_of(state: State, document: Doc | None) -> Doc:
    filled = {} if document is None else state.document.unsaid | document
    return {name: value for name, value in filled.items() if name != "_id"}


def _progress(learner: Learner) -> Iterator[Fault]:
    if not learner.rows:
        yield from _strangers("progress", learner.shown("progress"))
        return
    last = witness_of(learner, "progress", learner.user_id)
    found = learner.shown("progress")
    if not found:
        if _is_late(learner, 0, last):
            yield Fault("progress", difference("absent", "present"), seq=last)
        return
    if detail := _progress_fault(learner, found[0], last):
        yield Fault("progress", detail, document=found[0], seq=last)


def _progress_fault(learner: Learner, document: Doc, last: int | None) -> str | None:
    try:
        found = ProgressDocument.from_bson(document)
        if _is_late(learner, found.seq, last):
            return difference("behind", "")
        reached = (event for event in learner.events if event.seq <= found.seq)
        expected = fold_all(ProgressDocument(learner.user_id), reached)
    except MALFORMED as error:
        return f"malformed, {type(error).__name__}: {error}"
    return None if found == expected and document.keys() <= _FIELDS else difference(found, expected)


def _is_late(learner: Learner, seq: int, last: int | None) -> bool:
    """Tell whether a summary lacks delivered events, and no relay is about to make it anew because of the gap."""
    return last is not None and seq < last and learner.last_awaited < last


_FIELDS: Final = {"_id", "seq", "badges", "totals", "recent"}


def _finders() -> Mapping[str, Callable[[Learner], Iterator[Fault]]]:
    shown = {state.collection: partial(_states, state) for state in states()}
    return {"history": _history, **shown, "progress": _progress}
