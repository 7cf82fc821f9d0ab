"""Stays in workshops, step by step: the rows and events that commands leave, at any moment and without their rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events import workshops as facts
from rebootcamp.events.journal import lock_line, record
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.storage.transactions import transaction


class Stay:
    """One learner's stay in one workshop."""

    def __init__(self, learner: Actor, workshop: Workshop, *, waits: bool = False, **words: Any) -> None:
        self.user_id, self.workshop = learner.user_id, workshop
        with transaction() as session:
            now, seq = clock.now(), lock_line(self.user_id).last_seq + 1
            row = WorkshopRegistration(
                workshop_id=workshop.id,
                user_id=self.user_id,
                status="waitlisted" if waits else "registered",
                registered_at=now,
                seated_at=None if waits else now,
                first_seq=seq,
                last_seq=seq,
            )
            session.add(row)
            session.flush()
            self.id = row.id
            self._count(taken=not waits, waiting=waits)
            said = {"answers": {}, **words}
            self._tell((facts.WorkshopWaitlisted if waits else facts.WorkshopRegistered), at=now, words=said)

    def offer(self, until: datetime | None = None) -> None:
        until = until or clock.now() + timedelta(hours=2)
        with transaction():
            self._set(offered_until=until)
            self._count(taken=True, waiting=-1)
            self._tell(facts.WorkshopOffered, offered_until=clock.iso(until))

    def promote(self) -> None:
        with transaction():
            was_offered = self.row.offered_until is not None
            now = clock.now()
            self._set(status="registered", offered_until=None, seated_at=now)
            self._count(taken=not was_offered, waiting=-(not was_offered))
            self._tell(facts.WorkshopPromoted, at=now)

    def leave(self, cause: str = "left") -> None:
        with transaction():
            had_seat = self.row.status != "waitlisted" or self.row.offered_until is not None
            now = clock.now()
            self._set(status="cancelled", offered_until=None, ended_at=now)
            self._count(taken=-had_seat, waiting=-(not had_seat))
            self._tell(facts.WorkshopLeft, at=now, cause=cause, had_seat=had_seat)

    def attend(self) -> None:
        with transaction():
            day = lock_line(self.user_id).days.date_of(min(self.workshop.starts_at, clock.now()))
            self._set(status="attended", attended_on=day)
            self._tell(facts.WorkshopAttended, day=day, points=self.workshop.points)

    def revoke(self) -> None:
        with transaction():
            day = self.row.attended_on
            self._set(status="registered", attended_on=None)
            self._tell(facts.WorkshopAttendanceRevoked, day=day, points=self.workshop.points)

    def rate(self, rating: int, **words: Any) -> None:
        with transaction():
            self._set(rating=rating)
            self._tell(facts.WorkshopRated, rating=rating, words=words)

    @property
    def row(self) -> WorkshopRegistration:
        with transaction() as session:
            return session.get_one(WorkshopRegistration, self.id, populate_existing=True)

    def _set(self, **values: Any) -> None:
        row = self.row
        for name, value in values.items():
            setattr(row, name, value)

    def _count(self, taken: int, waiting: int) -> None:
        with transaction() as session:
            columns = {"taken": Workshop.taken + int(taken), "waiting": Workshop.waiting + int(waiting)}
            session.query(Workshop).filter_by(id=self.workshop.id).update(columns, synchronize_session=False)

    def _tell(self, kind: type[facts.WorkshopFact], at: Any = None, day: Any = None, **fields: Any) -> None:
        titles = {language: texts["title"] for language, texts in self.workshop.translations.items()}
        fact = kind(
            learner_id=self.user_id,
            registration_id=self.id,
            workshop_id=self.workshop.id,
            slug=self.workshop.slug,
            titles=titles,
            **fields,
        )
        self._set(last_seq=lock_line(self.user_id).last_seq + 1)
        record(fact, occurred_at=at, local_date=day)
