"""The workshops of the demo, from a generator of their own: the learners' other stories stay as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from rebootcamp.cli.demo.files import catalogue
from rebootcamp.cli.demo.groups import INSTRUCTOR, STUDENT, Act
from rebootcamp.cli.demo.personas import Plan
from rebootcamp.cli.demo.words import ANSWERS, COMMENTS, FEEDBACK, NOTES
from rebootcamp.core.actors import Actor
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services import workshops
from rebootcamp.storage.transactions import transaction

ANNOUNCED_BEFORE: Final = timedelta(days=35)
LEAVES, COMES, RATES, COMMENTS_IT, NOTES_IT = 0.15, 0.88, 0.7, 0.35, 0.3
FIELDS: Final = (
    "slug",
    "translations",
    "timezone",
    "capacity",
    "points",
    "tags",
    "place",
    "link",
    "questions",
    "offer_hours",
    "status",
)


@dataclass(frozen=True)
class DemoWorkshop:
    """A workshop of the catalogue with its instants, and whoever will want to come."""

    entry: Mapping[str, Any]
    announced_at: datetime
    starts_at: datetime
    ends_at: datetime
    trainer: str

    @property
    def cancelled_at(self) -> datetime | None:
        """Return when it is called off, if it is."""
        days = self.entry.get("cancelled_days_before")
        return self.starts_at - timedelta(days=days) if days else None


def plan_workshops(
    plans: Sequence[Plan], seed: int, opening: datetime, end: datetime
) -> Iterator[tuple[datetime, Act]]:
    """Yield what happens in the workshops and when; the student of the demo goes to most of them."""
    rng = Random(f"workshops {seed}")  # noqa: S311
    for number, entry in enumerate(catalogue("workshops")):
        day = datetime.combine(
            datetime.fromisoformat(entry["day"]), time.fromisoformat(entry["start"]), ZoneInfo(entry["timezone"])
        )
        latest = end - timedelta(days=18 - number)
        announced = max(opening + timedelta(hours=3), min(day - ANNOUNCED_BEFORE, latest))
        hours = timedelta(hours=entry["hours"])
        yield from _story_of(
            DemoWorkshop(entry, announced, day, day + hours, entry.get("trainer", INSTRUCTOR)), plans, rng, end
        )


def _story_of(one: DemoWorkshop, plans: Sequence[Plan], rng: Random, end: datetime) -> Iterator[tuple[datetime, Act]]:
    yield one.announced_at, lambda actors: workshops.create_workshop(actors[one.trainer], _fields(one))
    last = min(one.cancelled_at or one.starts_at, end) - timedelta(hours=8)
    pool = [plan for plan in plans if plan.joins_at < last - timedelta(days=3)]
    guests = _guests(one, pool, rng)
    for plan in guests:
        yield from _guest(one, plan, rng, last)
    if one.cancelled_at:
        reason = "Vent fort annoncé : la forêt est fermée."
        yield one.cancelled_at, lambda actors: workshops.cancel_workshop(actors[one.trainer], _id_of(one), reason, None)
    elif guests and one.ends_at < end:
        absent = {plan.learner["email"] for plan in guests if rng.random() >= COMES} - {STUDENT}
        yield one.ends_at + timedelta(minutes=20), lambda actors: _mark(one, actors, absent)
        for plan in guests:
            if rng.random() < RATES:
                yield _feedback(one, plan, rng)


def _guests(one: DemoWorkshop, pool: Sequence[Plan], rng: Random) -> list[Plan]:
    """Return who wants to come: the student of the demo first, so that there is something to see."""
    student = [plan for plan in pool if plan.learner["email"] == STUDENT and one.entry["comes"]]
    others = [plan for plan in pool if plan.learner["email"] != STUDENT]
    return student + rng.sample(others, min(max(one.entry["comes"] - 1, 0), len(others)))


def _register(one: DemoWorkshop, actor: Actor, answers: Mapping[str, str], note: str | None) -> None:
    workshops.register(actor, _id_of(one), answers=answers, note=note, limits=workshops.Limits())


def _fields(one: DemoWorkshop) -> dict[str, Any]:
    given = {name: one.entry[name] for name in FIELDS if one.entry.get(name) is not None}
    return {**given, "starts_at": one.starts_at, "ends_at": one.ends_at}


def _guest(one: DemoWorkshop, plan: Plan, rng: Random, last: datetime) -> Iterator[tuple[datetime, Act]]:
    email, locale = plan.learner["email"], plan.learner["locale"]
    first = max(one.announced_at, plan.joins_at) + timedelta(minutes=5)
    comes_at = first + (last - first) * rng.random()
    answers = {
        question["key"]: rng.choice(ANSWERS[question["key"]][locale]) for question in one.entry.get("questions", [])
    }
    note = rng.choice(NOTES[locale]) if rng.random() < NOTES_IT else None
    yield comes_at, lambda actors: _register(one, actors[email], answers, note)
    if rng.random() < COMMENTS_IT:
        text = rng.choice(COMMENTS[locale])
        yield comes_at + timedelta(minutes=7), lambda actors: workshops.add_comment(actors[email], _id_of(one), text)
    if email != STUDENT and rng.random() < LEAVES:
        yield (
            comes_at + (last - comes_at) * 0.6 + timedelta(hours=1),
            lambda actors: workshops.leave(actors[email], _id_of(one)),
        )


def _mark(one: DemoWorkshop, actors: Mapping[str, Actor], absent: set[str]) -> None:
    away = {actors[email].user_id for email in absent}
    with transaction() as session:
        seated = session.scalars(
            sa.select(WorkshopRegistration.user_id)
            .where(WorkshopRegistration.workshop_id == _id_of(one), WorkshopRegistration.status == "registered")
            .order_by(WorkshopRegistration.user_id)
        ).all()
    workshops.mark_attendance(actors[one.trainer], _id_of(one), [user_id for user_id in seated if user_id not in away])


def _feedback(one: DemoWorkshop, plan: Plan, rng: Random) -> tuple[datetime, Act]:
    email, rating = plan.learner["email"], rng.choice((3, 4, 4, 5, 5, 5))
    text = rng.choice(FEEDBACK[plan.learner["locale"]])
    at = one.ends_at + timedelta(hours=rng.randint(2, 40))
    return at, lambda actors: workshops.give_feedback(actors[email], _id_of(one), rating=rating, text=text)


def _id_of(one: DemoWorkshop) -> int:
    with transaction() as session:
        return session.scalars(sa.select(Workshop.id).where(Workshop.slug == one.entry["slug"])).one()
