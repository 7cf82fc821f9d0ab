"""Reading the journal: the only queries on events and outbox outside the writer and the relay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.events.facts import RecordedEvent, UnreadableEvent, activities, recorded_from_row
from rebootcamp.models.sql.progress import ActivityEvent, OutboxEntry
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all

STREAM_ROWS: Final = 2000
# The tables that hold it, for who counts the rows of all tables.
JOURNAL, QUEUE = ActivityEvent.__tablename__, OutboxEntry.__tablename__

_COLUMNS: Final = "e.event_id, e.user_id, e.seq, e.type, e.version, e.payload, e.occurred_at, e.local_date, e.timezone"
# As a JSON value inside a larger statement.
_EVENT_JSON: Final = """jsonb_build_object(
    'event_id', e.event_id, 'user_id', e.user_id, 'seq', e.seq, 'type', e.type, 'version', e.version,
    'payload', e.payload, 'occurred_at', e.occurred_at, 'local_date', e.local_date, 'timezone', e.timezone)"""


_BACKLOG: Final = """
    SELECT count(*) FILTER (WHERE o.dead_at IS NULL) AS pending,
        count(*) FILTER (WHERE o.dead_at IS NOT NULL) AS dead_letters,
        extract(epoch FROM clock_timestamp() - min(e.occurred_at) FILTER (WHERE o.dead_at IS NULL))::float8
            AS oldest_seconds
    FROM outbox o JOIN activity_events e USING (event_id)"""


# A deed and what takes it back bear the same date.
_ACTIVITY: Final = """
    SELECT e.local_date, sum(a.sign)::integer AS deeds FROM activity_events e
    JOIN unnest(%(types)s::text[], %(signs)s::integer[]) AS a (type, sign) ON a.type = e.type
    WHERE e.user_id = %(user_id)s AND NOT jsonb_exists(e.payload, 'is_goal')
    GROUP BY e.local_date"""


def first_events(user_id: str, after: str, limit: int) -> str:
    """Return the SQL of a JSON array: a learner's first events after a sequence number; both are SQL themselves."""
    return f"""(SELECT jsonb_agg({_EVENT_JSON} ORDER BY e.seq) FROM (
        SELECT * FROM activity_events WHERE user_id = {user_id} AND seq > {after} ORDER BY seq LIMIT {limit}) e)"""  # noqa: S608


def newest_events(user_id: str, limit: int) -> str:
    """Return the SQL of a JSON array: a learner's last events, newest first."""
    return f"""(SELECT jsonb_agg({_EVENT_JSON} ORDER BY e.seq DESC) FROM (
        SELECT * FROM activity_events WHERE user_id = {user_id} ORDER BY seq DESC LIMIT {limit}) e)"""  # noqa: S608


def waiting_events(user_id: str, first: str, last: str, about: str) -> str:
    """Return the SQL of a JSON array: a learner's events from one place to another that MongoDB may not show yet.

    Only those whose payload contains `about`, which is SQL of a JSON object.
    """
    return f"""(SELECT jsonb_agg({_EVENT_JSON} ORDER BY e.seq) FROM outbox o
        JOIN activity_events e ON e.event_id = o.event_id
        WHERE o.user_id = {user_id} AND o.seq BETWEEN {first} AND {last} AND e.payload @> {about})"""  # noqa: S608


def newest_in(stretches: str, *, waiting_only: bool = False) -> str:
    """Return a statement: the newest events in stretches of lines, `%(since)s` or later, before `%(at)s`, `%(id)s`.

    `stretches` is SQL of rows `(user_id, first_seq, last_seq, about)`: an event's payload contains `about`.
    """
    events = "activity_events e ON e.user_id = s.user_id AND e.seq BETWEEN s.first_seq AND s.last_seq"
    waiting = """outbox o ON o.user_id = s.user_id AND o.seq BETWEEN s.first_seq AND s.last_seq
        JOIN activity_events e ON e.event_id = o.event_id"""
    return f"""SELECT {_COLUMNS} FROM ({stretches}) s JOIN {waiting if waiting_only else events}
        WHERE e.payload @> s.about AND e.occurred_at >= %(since)s::timestamptz
            AND (%(at)s::timestamptz IS NULL
                OR (e.occurred_at, e.event_id::text COLLATE "C") < (%(at)s::timestamptz, %(id)s::text))
        ORDER BY e.occurred_at DESC, e.event_id::text COLLATE "C" DESC LIMIT %(limit)s"""  # noqa: S608


def has_dead_letters(user_id: str) -> str:
    """Return the SQL of the test whether MongoDB refused an event of a learner for good."""
    return f"EXISTS (SELECT 1 FROM outbox o WHERE o.user_id = {user_id} AND o.dead_at IS NOT NULL)"  # noqa: S608


def has_waiting_deeds(user_id: str) -> str:
    """Return the SQL of the test whether deeds of a learner, of `:types`, done `:first` to `:last`, are on their way.

    What completed by itself is no deed.
    """
    return f"""EXISTS (
        SELECT 1 FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
        WHERE o.user_id = {user_id} AND o.dead_at IS NULL AND e.type = ANY(CAST(:types AS text[]))
            AND e.local_date BETWEEN :first AND :last AND e.payload ->> 'is_goal' IS NULL)"""  # noqa: S608


def fetch_activity(user_id: int) -> Counter[date]:
    """Return how many deeds that still count lie on each local date; for the rare recount of a streak."""
    signs = activities()
    parameters = {"user_id": user_id, "types": list(signs), "signs": list(signs.values())}
    return Counter({row["local_date"]: row["deeds"] for row in fetch_all(_ACTIVITY, parameters)})


def fetch_backlog() -> Row:
    """Return how much waits, since how many seconds, and how much was given up."""
    return fetch_all(_BACKLOG, {})[0]


def stream_events(session: Session, user_id: int | None = None, after: int | None = None) -> Iterator[Row]:
    """Yield event rows ordered by learner and sequence, in constant memory: of one learner, or of those after one."""
    return _stream_lines(session, ActivityEvent, user_id, after)


def stream_waiting(session: Session, user_id: int | None = None, after: int | None = None) -> Iterator[Row]:
    """Yield outbox rows as `stream_events` yields events, dead letters among them."""
    return _stream_lines(session, OutboxEntry, user_id, after)


def _stream_lines(
    session: Session, table: type[ActivityEvent | OutboxEntry], user_id: int | None, after: int | None
) -> Iterator[Row]:
    statement = sa.select(table.__table__).order_by(table.user_id, table.seq)
    if user_id is not None:
        statement = statement.where(table.user_id == user_id)
    if after is not None:
        statement = statement.where(table.user_id > after)
    yield from session.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings()


def stream_deeds(session: Session, user_ids: Sequence[int], types: Collection[str]) -> Iterator[Row]:
    """Yield `user_id`, `type`, `payload` and `local_date` of some learners' events of some types, in order."""
    columns = ActivityEvent.user_id, ActivityEvent.type, ActivityEvent.payload, ActivityEvent.local_date
    statement = (
        sa.select(*columns)
        .where(ActivityEvent.user_id.in_(user_ids), ActivityEvent.type.in_(types))
        .order_by(ActivityEvent.user_id, ActivityEvent.seq)
    )
    yield from session.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings()


_COUNTABLE: Final = (
    ActivityEvent.user_id,
    ActivityEvent.type,
    ActivityEvent.payload,
    ActivityEvent.occurred_at,
    ActivityEvent.local_date,
)


def hold_waiting(session: Session, user_id: int) -> None:
    """Keep relays from delivering a learner's events until the transaction ends."""
    # In the order of the line: a relay that has its head must be done before the rest is held.
    mine = sa.select(OutboxEntry.event_id).where(OutboxEntry.user_id == user_id).order_by(OutboxEntry.seq)
    session.execute(mine.with_for_update()).all()


def stream_delivered(
    session: Session, types: Collection[str], since: date, user_id: int | None = None
) -> Iterator[Row]:
    """Yield what counts of delivered events of some types, on or after a local date, in constant memory."""
    waits = sa.exists().where(OutboxEntry.event_id == ActivityEvent.event_id)
    statement = sa.select(*_COUNTABLE).where(
        ActivityEvent.type.in_(types), ActivityEvent.local_date >= since, sa.not_(waits)
    )
    if user_id is not None:
        statement = statement.where(ActivityEvent.user_id == user_id)
    yield from session.execute(statement, execution_options={"yield_per": STREAM_ROWS}).mappings()


def waiting_deeds(session: Session, types: Collection[str], since: date) -> Sequence[Row]:
    """Return what counts of events of some types that are still on their way, on or after a local date."""
    statement = (
        sa.select(*_COUNTABLE)
        .join(OutboxEntry, OutboxEntry.event_id == ActivityEvent.event_id)
        .where(ActivityEvent.type.in_(types), ActivityEvent.local_date >= since)
    )
    return session.execute(statement).mappings().all()


def has_waiting(session: Session, until: date) -> bool:
    """Tell whether an event up to a local date is still on its way, those given up left aside."""
    statement = (
        sa.select(OutboxEntry.event_id)
        .join(ActivityEvent, ActivityEvent.event_id == OutboxEntry.event_id)
        .where(OutboxEntry.dead_at.is_(None), ActivityEvent.local_date <= until)
    )
    return session.scalar(sa.select(statement.exists())) is True


def readable(rows: Iterable[Row], read: Callable[[Row], RecordedEvent] = recorded_from_row) -> Iterator[RecordedEvent]:
    """Decode rows, leaving out those that this version cannot read."""
    for row in rows:
        try:
            yield read(row)
        except UnreadableEvent:
            continue


def recorded_from_json(value: Row) -> RecordedEvent:
    """Rebuild a recorded event from its JSON in a larger statement; raise `UnreadableEvent`."""
    return recorded_from_row(
        {
            **value,
            "event_id": UUID(value["event_id"]),
            "occurred_at": clock.parse(value["occurred_at"]),
            "local_date": date.fromisoformat(value["local_date"]),
        }
    )


_NEWEST: Final = """
    AND (%(before)s::bigint IS NULL OR e.seq < %(before)s::bigint)
    AND (%(event_type)s::text IS NULL OR e.type = %(event_type)s::text)
    ORDER BY e.seq DESC LIMIT %(limit)s"""
_JOURNAL: Final = f"SELECT {_COLUMNS} FROM activity_events e WHERE e.user_id = %(user_id)s {_NEWEST}"  # noqa: S608
_PENDING: Final = f"""
    SELECT m.mongo_database, p.* FROM app_meta m LEFT JOIN (
        SELECT {_COLUMNS} FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
        WHERE o.user_id = %(user_id)s {_NEWEST}) p ON true
    ORDER BY p.seq DESC"""  # noqa: S608
_STRETCHES: Final = f"""
    SELECT {_COLUMNS} FROM unnest(%(user_ids)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[])
        AS stretch (user_id, first, last)
    JOIN activity_events e ON e.user_id = stretch.user_id AND e.seq BETWEEN stretch.first AND stretch.last
    WHERE e.type = ANY(%(types)s::text[]) ORDER BY e.user_id, e.seq"""  # noqa: S608
_SCORING: Final = f"""
    SELECT {_COLUMNS} FROM activity_events e WHERE e.user_id = %(user_id)s AND e.points <> 0 {_NEWEST}"""  # noqa: S608


def fetch_journal(
    user_id: int, *, before: int | None = None, event_type: str | None = None, limit: int | None = None
) -> list[RecordedEvent]:
    """Return a learner's events, newest first."""
    return _newest(_JOURNAL, user_id, before, event_type, limit)


def fetch_pending(
    user_id: int, *, before: int | None = None, event_type: str | None = None, limit: int | None = None
) -> list[RecordedEvent]:
    """Return a learner's events that MongoDB may not show yet, newest first, and follow the one that shows the rest.

    Both are of one moment, so a switch of the pair hides no event from a reader.
    """
    rows = fetch_all(_PENDING, {"user_id": user_id, "before": before, "event_type": event_type, "limit": limit})
    mongo.follow(rows[0]["mongo_database"])
    return list(readable(row for row in rows if row["event_id"] is not None))


def fetch_stretches(stretches: Sequence[tuple[int, int, int]], types: Collection[str]) -> list[RecordedEvent]:
    """Return the events of some types in stretches of lines, `(user_id, first, last)`; twice where these overlap."""
    user_ids, firsts, lasts = map(list, zip(*stretches, strict=True))
    parameters = {"user_ids": user_ids, "firsts": firsts, "lasts": lasts, "types": list(types)}
    return list(readable(fetch_all(_STRETCHES, parameters)))


def fetch_scoring(user_id: int, *, before: int | None = None, limit: int | None = None) -> list[RecordedEvent]:
    """Return a learner's events that changed the score, newest first."""
    return _newest(_SCORING, user_id, before, None, limit)


def _newest(
    statement: str, user_id: int, before: int | None, event_type: str | None, limit: int | None
) -> list[RecordedEvent]:
    parameters = {"user_id": user_id, "before": before, "event_type": event_type, "limit": limit}
    return list(readable(fetch_all(statement, parameters)))
