"""Which mails workshops cause: registering knows nothing of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.days import ONE_DAY
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.turns import IsOver, never
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.journal import LearnerLine
from rebootcamp.events.workshops import (
    WorkshopLeft,
    WorkshopOffered,
    WorkshopPromoted,
    WorkshopRegistered,
    WorkshopWaitlisted,
)
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.mails import NewMail, queue_selected, queueing
from rebootcamp.storage.statements import Statement
from rebootcamp.storage.transactions import transaction

CHANGED, CANCELLED, REMINDER = "workshop_changed", "workshop_cancelled", "workshop_reminder"
_KINDS: Final = {
    WorkshopRegistered: "workshop_registered",
    WorkshopWaitlisted: "workshop_waitlisted",
    WorkshopOffered: "workshop_offered",
    WorkshopPromoted: "workshop_promoted",
    WorkshopLeft: "workshop_left",
}
_TOLD: Final = ("registration_id", "workshop_id", "offered_until", "cause", "had_seat")


class Notices:
    """The reaction that tells learners by mail what became of their registrations."""

    def __init__(self, _: LearnerLine) -> None:
        self._mails: list[NewMail] = []

    def on_event(self, event: RecordedEvent) -> Iterable[Fact]:
        """Note the mail that an event asks for; nothing follows from it."""
        fact = event.fact
        kind = _KINDS.get(type(fact))
        if kind is not None and getattr(fact, "cause", None) != "account_erased":
            data = {name: value for name, value in fact.payload().items() if name in _TOLD}
            self._mails.append(NewMail(f"event:{event.event_id}", event.user_id, kind, data))
        return ()

    def writes(self) -> Iterable[Statement]:
        """Yield the one statement that queues the mails."""
        if self._mails:
            yield queueing(self._mails)


def announce(session: Session, workshop: Workshop, kind: str) -> None:
    """Tell everybody who is registered or waits that a locked workshop changed (`CHANGED`, `CANCELLED`), by mail."""
    # Its new version names the occasion.
    session.flush()
    _queue(session, workshop, kind, str(workshop.version), ("registered", "waitlisted"))


def remind(is_over: IsOver = never) -> int:
    """Remind by mail of the workshops that start within a day, one a transaction; return how many there were."""
    reminded = 0
    while not is_over() and _remind_of_next():
        reminded += 1
        failpoint("workshops.reminded")
    return reminded


def _remind_of_next() -> bool:
    now = clock.now()
    # One that was moved after its reminder gets another.
    is_due = sa.or_(Workshop.reminded_at.is_(None), Workshop.reminded_at < Workshop.starts_at - ONE_DAY)
    due = (
        sa.select(Workshop)
        .where(Workshop.starts_at > now, Workshop.starts_at <= now + ONE_DAY, is_due)
        .where(Workshop.status.in_(("published", "closed")), Workshop.archived_at.is_(None))
        .order_by(Workshop.starts_at, Workshop.id)
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    with transaction() as session:
        workshop = session.scalar(due)
        if workshop is None:
            return False
        # A statement of its own: it sees whoever registered before the lock.
        _queue(session, workshop, REMINDER, clock.iso(workshop.starts_at), ("registered",))
        failpoint("workshops.reminding")
        # Beside the entity: a reminder makes no edit stale.
        noted = sa.update(Workshop).where(Workshop.id == workshop.id).values(reminded_at=now)
        session.execute(noted.execution_options(synchronize_session=False))
    return True


def _queue(session: Session, workshop: Workshop, kind: str, occasion: str, statuses: Iterable[str]) -> None:
    stay = WorkshopRegistration
    key = sa.func.concat(f"workshop:{workshop.id}:{kind}:", stay.user_id, f":{occasion}")
    data = {"workshop_id": workshop.id, "starts_at": clock.iso(workshop.starts_at)}
    told = sa.select(key, stay.user_id, sa.literal(kind), sa.literal(data, JSONB))
    of_workshop = told.where(stay.workshop_id == workshop.id, stay.status.in_(tuple(statuses)))
    queue_selected(session, of_workshop.order_by(stay.id))
