"""The classes and teams of the demo, from a generator of their own: the learners' stories stay as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

import sqlalchemy as sa

from rebootcamp.cli.demo.personas import Plan
from rebootcamp.core.actors import Actor
from rebootcamp.core.groups import ALPHABET, CODE_LENGTH
from rebootcamp.models.sql.groups import Group
from rebootcamp.services import groups
from rebootcamp.storage.transactions import transaction

Act = Callable[[Mapping[str, Actor]], object]
INSTRUCTOR, ADMIN, STUDENT = "instructor@example.org", "admin@example.org", "student@example.org"
LEAVES: Final = 0.12
ARCHIVED_BEFORE_END: Final = timedelta(days=40, hours=6)


@dataclass(frozen=True)
class DemoGroup:
    """A group to make: whose, for whom, and how many of them come."""

    name: str
    kind: str
    description: str
    locale: str
    size: int
    owner: str = INSTRUCTOR
    has_student: bool = False
    is_open: bool = True
    is_archived: bool = False


GROUPS: Final = (
    DemoGroup(
        "Seconde 4 – lycée des Tilleuls",
        "class",
        "La classe de seconde 4 ; les élèves sont inscrits par leur professeur.",
        "fr",
        9,
        is_open=False,
    ),
    DemoGroup(
        "Transition écologique, promo 2026", "class", "Formation continue, en ligne.", "fr", 11, has_student=True
    ),
    DemoGroup("Sustainability 101", "class", "Evening course, open to everybody.", "en", 9),
    DemoGroup("Les Rayons libres", "team", "L’équipe de celles et ceux qui roulent à vélo.", "fr", 6, has_student=True),
    DemoGroup("Night Owls for the Climate", "team", "We meet online, far apart.", "en", 5, owner=ADMIN),
    DemoGroup("Spring pilot", "team", "The first trial of team challenges.", "en", 4, is_archived=True),
)


def plan_groups(plans: Sequence[Plan], seed: int, opening: datetime, end: datetime) -> Iterator[tuple[datetime, Act]]:
    """Yield what happens to the groups and when; who registers later joins later."""
    rng = Random(f"groups {seed}")  # noqa: S311
    for weeks, group in enumerate(GROUPS, 1):
        yield from _story_of(group, plans, rng, opening + timedelta(weeks=weeks), end)


def _story_of(
    group: DemoGroup, plans: Sequence[Plan], rng: Random, made_at: datetime, end: datetime
) -> Iterator[tuple[datetime, Act]]:
    code = "".join(rng.choices(ALPHABET, k=CODE_LENGTH))
    archived_at = end - ARCHIVED_BEFORE_END if group.is_archived else None
    yield made_at, lambda actors: _make(group, code, actors[group.owner])
    for plan in _members(group, plans, rng):
        email = plan.learner["email"]
        joined_at = max(made_at, plan.joins_at) + timedelta(minutes=rng.randint(30, 5000))
        left_at = joined_at + timedelta(hours=rng.randint(300, 1500)) if rng.random() < LEAVES else None
        if archived_at and joined_at >= archived_at:
            continue
        yield joined_at, _entry(group, code, email)
        if left_at and email != STUDENT:
            yield left_at, _exit(code, email)
    if archived_at:
        yield archived_at, lambda actors: groups.archive_group(actors[group.owner], _id_of(code), None)


def _members(group: DemoGroup, plans: Sequence[Plan], rng: Random) -> list[Plan]:
    pool = [p for p in plans if p.learner["locale"] == group.locale and p.learner["email"] != STUDENT]
    student = [p for p in plans if group.has_student and p.learner["email"] == STUDENT]
    return student + rng.sample(pool, group.size - len(student))


def _make(group: DemoGroup, code: str, owner: Actor) -> None:
    fields = {"name": group.name, "kind": group.kind, "description": group.description, "is_open": group.is_open}
    with transaction() as session:
        made = groups.create_group(owner, fields)
        # The same seed must give the same bytes, so the code cannot stay a random one.
        session.execute(sa.update(Group).where(Group.id == made.id).values(join_code=code))


def _entry(group: DemoGroup, code: str, email: str) -> Act:
    if group.is_open:
        return lambda actors: groups.join_group(actors[email], code)
    return lambda actors: groups.add_members(actors[group.owner], _id_of(code), [actors[email].user_id])


def _exit(code: str, email: str) -> Act:
    return lambda actors: groups.leave_group(actors[email], _id_of(code))


def _id_of(code: str) -> int:
    with transaction() as session:
        return session.scalars(sa.select(Group.id).where(Group.join_code == code)).one()
