"""What a fact is, and how one is read back from its stored form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from rebootcamp.storage.sql import Row

_REGISTRY: dict[str, type[Fact]] = {}


class UnreadableEvent(Exception):
    """A stored event that this version of the service cannot read: unknown type, newer version, other fields."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened to a learner. Subclasses declare their wire `type` and their payload as fields.

    Fields hold JSON values only, so that the stored payload is the fact itself.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    # 1: something the learner did, which keeps a streak; -1: that is taken back, dated on the same day; 0: neither.
    activity: ClassVar[int] = 0
    # Of a domain that is not there yet: rules may count it already, and nobody can meet them.
    is_announced: ClassVar[bool] = False

    learner_id: int

    def __init_subclass__(cls, *, is_abstract: bool = False) -> None:
        super().__init_subclass__()
        if not is_abstract:
            _REGISTRY[cls.type] = cls

    @property
    def is_goal(self) -> bool:
        """Tell whether it completed by itself: then only the deeds behind it are activity."""
        return False

    @property
    def score_points(self) -> int:
        """Return what the fact adds to the learner's score (negative: takes back)."""
        return 0

    @property
    def xp_points(self) -> int:
        """Return the experience that the fact gives (negative: takes back); by default what it adds to the score."""
        return self.score_points

    def payload(self) -> dict[str, Any]:
        """Return the JSON object that is stored."""
        names = (field.name for field in dataclasses.fields(self))
        return {name: getattr(self, name) for name in names if name != "learner_id"}


@dataclass(frozen=True, kw_only=True)
class RecordedEvent:
    """A fact with its place in the learner's line: `seq` counts from 1 without gaps."""

    event_id: UUID
    user_id: int
    seq: int
    occurred_at: datetime
    local_date: date
    timezone: str
    fact: Fact


def fact_types() -> Mapping[str, type[Fact]]:
    """Return every known wire type with its class."""
    return _REGISTRY


def is_recorded(event_type: str) -> bool:
    """Tell whether a domain records events of that type today; others are announced, or unknown."""
    cls = _REGISTRY.get(event_type)
    return cls is not None and not cls.is_announced


def activities() -> Mapping[str, int]:
    """Return the wire types that keep a streak (1), and those that take such a deed back (-1)."""
    return {name: cls.activity for name, cls in _REGISTRY.items() if cls.activity}


def decode(event_type: str, version: int, learner_id: int, payload: Mapping[str, Any]) -> Fact:
    """Rebuild a fact from its stored form; raise `UnreadableEvent` when that is impossible."""
    cls = _REGISTRY.get(event_type)
    if cls is None or version != cls.version:
        raise UnreadableEvent(f"no reader for {event_type} version {version}")
    try:
        return cls(learner_id=learner_id, **payload)
    except TypeError as error:
        raise UnreadableEvent(f"{event_type} version {version}: {error}") from error


def recorded_from_row(row: Row) -> RecordedEvent:
    """Rebuild a recorded event from a row of `activity_events`; raise `UnreadableEvent`."""
    return RecordedEvent(
        event_id=row["event_id"],
        user_id=row["user_id"],
        seq=row["seq"],
        occurred_at=row["occurred_at"],
        local_date=row["local_date"],
        timezone=row["timezone"],
        fact=decode(row["type"], row["version"], row["user_id"], row["payload"]),
    )
