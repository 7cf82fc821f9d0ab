"""Writing projections to MongoDB: bulk first, one by one where something is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from bson.errors import BSONError
from pymongo.errors import PyMongoError

from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.accounts import AccountErased
from rebootcamp.events.facts import RecordedEvent, UnreadableEvent, recorded_from_row
from rebootcamp.events.projector import fold_all, history_document
from rebootcamp.events.states import Changes, changes_of
from rebootcamp.models.mongo import NATIVES
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc, guarded
from rebootcamp.storage.sql import Row

Line = Sequence[Row]
Replay = Callable[[int], Iterator[RecordedEvent]]

# A refusal that another attempt will meet again: MongoUnavailable is not among them.
PERMANENT = (UnreadableEvent, PyMongoError, BSONError, OverflowError, TypeError, ValueError, KeyError)


@dataclass
class Outcome:
    """Which rows MongoDB shows now, and which it refuses, with the reason."""

    delivered: list[Row] = field(default_factory=list)
    refused: dict[UUID, str] = field(default_factory=dict)


def project(lines: Sequence[Line], replay: Replay) -> Outcome:
    """Write the events of some learners, each line in order; raise `MongoUnavailable` when the server is away.

    Every write is idempotent, so after a refusal the batch is simply tried again in smaller parts.
    """
    outcome = Outcome()
    try:
        _write(lines, replay)
        outcome.delivered = [row for line in lines for row in line]
    except PERMANENT as error:
        if len(lines) == 1 and len(lines[0]) == 1:
            outcome.refused[lines[0][0]["event_id"]] = f"{type(error).__name__}: {error}"[:500]
        else:
            _project_in_parts(lines, replay, outcome)
    return outcome


def _project_in_parts(lines: Sequence[Line], replay: Replay, outcome: Outcome) -> None:
    parts = [[line] for line in lines] if len(lines) > 1 else [[[row]] for row in lines[0]]
    for part in parts:
        result = project(part, replay)
        outcome.delivered += result.delivered
        outcome.refused |= result.refused
        # A learner's later events wait behind the refused one.
        if result.refused and len(lines) == 1:
            return


def _write(lines: Sequence[Line], replay: Replay) -> None:
    decoded = [[recorded_from_row(row) for row in line] for line in lines]
    events = [event for line in decoded for event in line]
    with guarded():
        known = by_id(ProgressDocument.find_many([line[0].user_id for line in decoded]))
    summaries, changes, retold = [], Changes(), list[RecordedEvent]()
    for rows, line in zip(lines, decoded, strict=True):
        summary, states, past = _state(rows, line, known.get(line[0].user_id), replay)
        summaries.append(summary)
        for state, touched in states.items():
            changes.setdefault(state, {}).update(touched)
        retold += past
    with guarded():
        HistoryDocument.write_all([HistoryDocument.insert(history_document(event)) for event in events])
        HistoryDocument.write_all([HistoryDocument.retell(history_document(event)) for event in retold])
        if retold:
            erased = {event.user_id for event in retold}
            QuarantinedDocument.forget(erased)
            for native in NATIVES:
                native.forget(erased)
        failpoint("relay.after_history")
        for state, touched in changes.items():
            state.document.write_all([state.document.save_if_newer(*change) for change in touched.items()])
        failpoint("relay.after_states")
        ProgressDocument.write_all([summary.save_if_newer() for summary in summaries])


def _state(
    rows: Line, line: Sequence[RecordedEvent], stored: Doc | None, replay: Replay
) -> tuple[ProgressDocument, Changes, Sequence[RecordedEvent]]:
    """Return the learner's summary, the states that the line touches and the events that must be told again.

    As of the newest event shown.
    """
    progress = ProgressDocument.from_bson(stored) if stored else ProgressDocument(line[0].user_id)
    touched = changes_of(line)
    has_gap = line[0].seq > progress.seq + 1
    was_overtaken = any(row["attempts"] > 0 and row["seq"] <= progress.seq for row in rows)
    # The journal no longer says what was shown of it.
    is_erased = any(isinstance(event.fact, AccountErased) for event in line)
    if not has_gap and not was_overtaken and not is_erased:
        return fold_all(progress, line), touched, ()
    # What is stored lacks an event, or is newer than this one: both are made again from the whole journal.
    last = max(progress.seq, line[-1].seq)
    past = [event for event in replay(progress.user_id) if event.seq <= last]
    states = changes_of(past)
    summary = fold_all(ProgressDocument(progress.user_id), past)
    if is_erased:
        return summary, states, past
    return summary, {state: {key: states[state][key] for key in keys} for state, keys in touched.items()}, ()
