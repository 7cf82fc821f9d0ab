"""The outbox of mails: what waits, who has it in hand, and how each one ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.json import dumps_text
from rebootcamp.models.sql.mails import WAITS, Mail
from rebootcamp.storage.batches import delete_in_batches
from rebootcamp.storage.statements import Statement, fetch_one, run_all
from rebootcamp.storage.transactions import transaction

# Together about fifteen hours: a server that is full in the evening has room in the morning.
MAX_ATTEMPTS: Final = 12
FIRST_DELAY: Final = timedelta(seconds=30)
LONGEST_DELAY: Final = timedelta(hours=6)
# How long a mail is somebody's; whoever dies with it in hand leaves it to the others after that.
LEASE: Final = timedelta(minutes=5)
SENT_KEPT, DEAD_KEPT = timedelta(days=30), timedelta(days=90)

_QUEUE: Final = """
    INSERT INTO mails (key, user_id, kind, data, created_at, attempts, next_attempt_at)
    SELECT key, user_id, kind, data, %(now)s::timestamptz, 0, %(now)s::timestamptz
    FROM jsonb_to_recordset(%(mails)s::jsonb) AS r (key text, user_id bigint, kind text, data jsonb)
    ON CONFLICT (key) DO NOTHING"""

_CLAIM: Final = f"""
    WITH due AS (
        SELECT id FROM mails WHERE {WAITS} AND next_attempt_at <= %(now)s::timestamptz
        ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE mails SET attempts = mails.attempts + 1, next_attempt_at = %(until)s::timestamptz
    FROM due CROSS JOIN app_meta m, users u WHERE mails.id = due.id AND u.id = mails.user_id
    RETURNING mails.id, mails.kind, mails.data, mails.created_at, mails.attempts, mails.user_id,
        m.store_id::text AS store_id, u.email, u.display_name, u.locale AS language, u.is_active,
        u.erased_at IS NOT NULL AS is_erased"""  # noqa: S608

_IS_DUE: Final = f"SELECT 1 FROM mails WHERE {WAITS} AND next_attempt_at <= %(now)s::timestamptz LIMIT 1"  # noqa: S608

_BACKLOG: Final = f"""
    SELECT count(*) AS waiting, coalesce(greatest(
            0, extract(epoch FROM clock_timestamp() - min(created_at))), 0)::float8 AS oldest_seconds,
        (SELECT count(*) FROM mails WHERE dead_at IS NOT NULL) AS dead
    FROM mails WHERE {WAITS}"""  # noqa: S608

_SETTLE: Final = f"UPDATE mails SET {{}} WHERE id = %(id)s::bigint AND {WAITS}"  # noqa: S608
_SENT: Final = _SETTLE.format("sent_at = %(now)s::timestamptz, reason = NULL")
# Whoever lost the mail to somebody else while it hung or slept says nothing more about it, but that it is out.
_SETTLE_MINE: Final = f"{_SETTLE} AND attempts = %(attempts)s::smallint"
_SKIPPED: Final = _SETTLE_MINE.format("skipped_at = %(now)s::timestamptz, reason = %(reason)s::text")
_DEAD: Final = _SETTLE_MINE.format("dead_at = %(now)s::timestamptz, reason = %(reason)s::text")
_POSTPONED: Final = _SETTLE_MINE.format("next_attempt_at = %(due)s::timestamptz, reason = %(reason)s::text")
_GIVEN_BACK: Final = _SETTLE_MINE.format("next_attempt_at = %(now)s::timestamptz, attempts = attempts - 1")


@dataclass(frozen=True)
class NewMail:
    """A mail to be: `key` names its reason, `data` holds ids and plain values for its composer."""

    key: str
    user_id: int
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class WaitingMail:
    """A mail in hand, with the account as it is now."""

    id: int
    kind: str
    data: Mapping[str, Any]
    created_at: datetime
    attempts: int
    user_id: int
    store_id: str
    email: str
    display_name: str
    language: str
    is_active: bool
    is_erased: bool


@dataclass(frozen=True)
class Backlog:
    """What waits, since how many seconds, and what was given up."""

    waiting: int
    oldest_seconds: float
    dead: int


def queueing(mails: Sequence[NewMail]) -> Statement:
    """Return the statement that queues mails, for a transaction that sends several statements at once."""
    return _QUEUE, {"mails": dumps_text([vars(mail) for mail in mails]), "now": clock.now()}


def queue_mail(mail: NewMail) -> None:
    """Queue a mail in the open transaction; one whose key is known is queued already."""
    with transaction():
        run_all([queueing([mail])])


def queue_selected(session: Session, mails: sa.Select[Any]) -> None:
    """Queue what a query yields: key, user_id, kind and data of each mail."""
    now = sa.literal(clock.now(), sa.DateTime(timezone=True))
    names = ["key", "user_id", "kind", "data", "created_at", "next_attempt_at"]
    statement = insert(Mail).from_select(names, mails.add_columns(now, now))
    session.execute(statement.on_conflict_do_nothing(index_elements=["key"]))


def is_any_due() -> bool:
    """Tell whether a mail could be sent now."""
    return fetch_one(_IS_DUE, {"now": clock.now()}) is not None


def claim() -> WaitingMail | None:
    """Take the mail that is due longest in hand; nobody else takes it for `LEASE`."""
    now = clock.now()
    with transaction():
        row = fetch_one(_CLAIM, {"now": now, "until": now + LEASE})
    return WaitingMail(**row) if row else None


def mark_sent(mail: WaitingMail) -> None:
    """Note that the mail is out."""
    _settle(_SENT, mail)


def skip(mail: WaitingMail, reason: str) -> None:
    """Note that nobody needs the mail any more."""
    _settle(_SKIPPED, mail, reason=reason)


def bury(mail: WaitingMail, reason: str) -> None:
    """Give the mail up until an operator says otherwise."""
    _settle(_DEAD, mail, reason=reason)


def postpone(mail: WaitingMail, reason: str) -> bool:
    """Try the mail again in a while, each time a longer one; return False when that was the last attempt."""
    if mail.attempts >= MAX_ATTEMPTS:
        bury(mail, reason)
        return False
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (mail.attempts - 1))
    _settle(_POSTPONED, mail, reason=reason, due=clock.now() + delay)
    return True


def give_back(mail: WaitingMail) -> None:
    """Leave the mail as it was before it was claimed: nothing was tried."""
    _settle(_GIVEN_BACK, mail)


def backlog() -> Backlog:
    """Return how many mails wait, since when, and how many were given up."""
    row = fetch_one(_BACKLOG, {}) or {}
    return Backlog(row["waiting"], round(row["oldest_seconds"], 3), row["dead"])


def redrive() -> int:
    """Give every dead mail another series of attempts; return how many there were."""
    statement = sa.update(Mail).where(Mail.dead_at.is_not(None))
    with transaction() as session:
        result = session.execute(statement.values(dead_at=None, attempts=0, next_attempt_at=clock.now()))
    return int(result.rowcount)  # type: ignore[attr-defined]


def forget_mails(tell: Callable[[int], None]) -> Mapping[str, int]:
    """Drop what was sent or skipped 30 days ago, and what was given up 90 days ago; never what waits."""
    now = clock.now()
    return {
        "mails": delete_in_batches(Mail, _ended_before(now - SENT_KEPT), tell),
        "dead_mails": delete_in_batches(Mail, Mail.dead_at < now - DEAD_KEPT, tell),
    }


def _ended_before(instant: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Mail.sent_at < instant, Mail.skipped_at < instant)


def _settle(statement: str, mail: WaitingMail, **values: object) -> None:
    with transaction():
        run_all([(statement, {"id": mail.id, "attempts": mail.attempts, "now": clock.now(), **values})])
