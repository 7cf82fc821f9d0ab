"""Everything that both stores say of one learner after another, read side by side in the order of ids.

Each table and each collection is a stream of its own, so memory holds one learner at a time, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa
from bson.codec_options import CodecOptions, DatetimeConversion

from rebootcamp.events.facts import RecordedEvent
from rebootcamp.events.states import states
from rebootcamp.events.store import readable, stream_events, stream_waiting
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.badges import BadgeGrant
from rebootcamp.models.sql.challenges import ChallengeCompletion, ChallengeParticipation, TeamContribution
from rebootcamp.models.sql.eco import EcoContribution
from rebootcamp.models.sql.groups import GroupMembership
from rebootcamp.models.sql.leaderboards import LeaderboardEntry
from rebootcamp.models.sql.progress import LearnerState, XpEntry
from rebootcamp.models.sql.workshops import WorkshopRegistration
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.sql import Row

STREAM_ROWS: Final = 1000
# What a careless hand wrote must be readable: a date beyond reason is a value like another, and simply a wrong one.
LENIENT: Final = CodecOptions[Doc](
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)

Lines = Iterator[tuple[int, list[Any]]]


@dataclass(frozen=True)
class Learner:
    """All that is stored about one learner, in either store; `rows` is the journal, `waiting` the outbox."""

    user_id: int
    account: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    experience: list[Row] = field(default_factory=list)
    completions: list[Row] = field(default_factory=list)
    grants: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    savings: list[Row] = field(default_factory=list)
    shares: list[Row] = field(default_factory=list)
    participations: list[Row] = field(default_factory=list)
    stays: list[Row] = field(default_factory=list)
    registration_rows: list[Row] = field(default_factory=list)
    documents: Mapping[str, list[Doc]] = field(default_factory=dict)

    @cached_property
    def state(self) -> SimpleNamespace | None:
        """Return the row of the learner's state."""
        return SimpleNamespace(**self.states[0]) if self.states else None

    @cached_property
    def events(self) -> list[RecordedEvent]:
        """Return the journal, without what this version cannot read."""
        return list(readable(self.rows))

    @property
    def is_readable(self) -> bool:
        """Tell whether this version can read every event."""
        return len(self.events) == len(self.rows)

    @cached_property
    def pending(self) -> set[int]:
        """Return the sequence numbers of the events that MongoDB may not show yet."""
        waiting = {row["event_id"] for row in self.waiting}
        return {row["seq"] for row in self.rows if row["event_id"] in waiting}

    @property
    def last_awaited(self) -> int:
        """Return the newest event that a relay will bring, 0 without any."""
        alive = {row["event_id"] for row in self.waiting if row["dead_at"] is None}
        return max((row["seq"] for row in self.rows if row["event_id"] in alive), default=0)

    @property
    def delivered(self) -> list[Row]:
        """Return the journal without what is pending."""
        return [row for row in self.rows if row["seq"] not in self.pending]

    @property
    def is_listed(self) -> bool:
        """Tell whether the account lets the learner appear on boards."""
        return any(row["is_listed"] and row["is_active"] for row in self.account)

    @property
    def is_witnessed(self) -> bool:
        """Tell whether there are rows that only an event can have brought."""
        return bool(self.completions or self.grants or self.experience or self.registration_rows)

    def shown(self, collection: str) -> list[Doc]:
        """Return what a collection has about the learner."""
        return self.documents.get(collection, [])


def owners() -> Mapping[str, str]:
    """Return the collections that are about learners, each with the field that names the learner."""
    by_learner = {state.collection: "user_id" for state in states()}
    return {HistoryDocument.collection_name: "user_id", ProgressDocument.collection_name: "_id"} | by_learner


def read_learners(cut: Cut, user_id: int | None = None, after: int | None = None) -> Iterator[Learner]:
    """Yield each learner of either store: that one, or those with a higher id than `after`."""
    sources = {
        "rows": _grouped(stream_events(cut.sql, user_id, after)),
        "waiting": _grouped(stream_waiting(cut.sql, user_id, after)),
        "account": _grouped(_rows(cut, _ACCOUNT, User.id, user_id, after)),
        **{
            name: _grouped(_rows(cut, table.__table__.columns, table.user_id, user_id, after))
            for name, table in _TABLES.items()
        },
        **{name: _documents(cut, name, owner, user_id, after) for name, owner in owners().items()},
    }
    for number, found in _in_step(sources):
        documents = {name: found.pop(name) for name in owners() if name in found}
        yield Learner(number, **found, documents=documents)


_ACCOUNT: Final = (User.id.label("user_id"), User.is_listed, User.is_active)
_TABLES: Final[Mapping[str, type[Any]]] = {
    "states": LearnerState,
    "experience": XpEntry,
    "completions": ChallengeCompletion,
    "grants": BadgeGrant,
    "entries": LeaderboardEntry,
    "savings": EcoContribution,
    "shares": TeamContribution,
    "participations": ChallengeParticipation,
    "stays": GroupMembership,
    "registration_rows": WorkshopRegistration,
}


def _rows(
    cut: Cut, columns: Iterable[Any], key: sa.SQLColumnExpression[int], user_id: int | None, after: int | None
) -> Iterator[Row]:
    statement = sa.select(*columns).order_by(key)
    if user_id is not None:
        statement = statement.where(key == user_id)
    if after is not None:
        statement = statement.where(key > after)
    # What is known to be short is fetched at once: a cursor of the server costs several round trips.
    options = {"yield_per": STREAM_ROWS} if user_id is None else {}
    yield from cut.sql.execute(statement, execution_options=options).mappings()


def _documents(cut: Cut, name: str, owner: str, user_id: int | None, after: int | None) -> Lines:
    wanted: Doc = {owner: {"$gt": -1 if after is None else after} if user_id is None else user_id}
    collection = mongo.collection(name).with_options(codec_options=LENIENT)
    # Left alone, MongoDB sends 16 MB at once: a hundred as Python objects.
    documents = collection.find(wanted, session=cut.mongo, batch_size=STREAM_ROWS).sort(owner, 1)
    # A list matches by its elements: whatever is no number is left to the validators.
    named = (document for document in documents if is_id(document.get(owner)))
    return ((int(number), list(lines)) for number, lines in groupby(named, key=itemgetter(owner)))


def is_id(value: object) -> bool:
    """Tell whether a value may name a learner."""
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _grouped(rows: Iterator[Row]) -> Lines:
    return ((number, list(lines)) for number, lines in groupby(rows, key=itemgetter("user_id")))


def _in_step(sources: Mapping[str, Lines]) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Yield each learner with what the sources, each in the order of ids, have about that one."""
    heads = {name: head for name, source in sources.items() if (head := next(source, None))}
    while heads:
        user_id = min(number for number, _ in heads.values())
        found = {name: lines for name, (number, lines) in heads.items() if number == user_id}
        for name in found:
            head = next(sources[name], None)
            if head is None:
                del heads[name]
            else:
                heads[name] = head
        yield user_id, found
