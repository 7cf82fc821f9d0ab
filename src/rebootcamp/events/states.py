"""Documents that show how one thing stands: a domain declares its own; relay, rebuild, check and repair serve all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rebootcamp.events.facts import RecordedEvent
from rebootcamp.storage.documents import StateDocument
from rebootcamp.storage.mongo import Doc


@dataclass(frozen=True)
class State:
    """A collection of such documents, and the pure function that says what one event sets in which of them.

    `read` returns `{_id, user_id, seq, …}`, or None for an event that is about something else.
    """

    document: type[StateDocument]
    read: Callable[[RecordedEvent], Doc | None]

    @property
    def collection(self) -> str:
        """Return the name of the collection."""
        return self.document.collection_name

    def changes(self, events: Iterable[RecordedEvent]) -> dict[str | int, Doc]:
        """Return, for each document that the events touch, the fields to set (`seq` among them) after the last."""
        changes: dict[str | int, Doc] = {}
        for event in events:
            fields = self.read(event)
            if fields is not None:
                self.document.merge(changes.setdefault(fields.pop("_id"), {}), fields)
        return changes


# By document, for each state.
Changes = dict[State, dict[str | int, Doc]]

_states: list[State] = []


def subscribe(states: Sequence[State]) -> None:
    """Name the states that are shown."""
    _states[:] = states


def states() -> Sequence[State]:
    """Return the states that are shown."""
    return _states


def changes_of(events: Sequence[RecordedEvent]) -> Changes:
    """Return what events change in any state."""
    return {state: state.changes(events) for state in _states}
