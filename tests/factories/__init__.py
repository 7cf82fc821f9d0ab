"""Things that tests need, made through the services so that every invariant holds."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import time_machine

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.services import accounts, backfills, badges, challenges, groups
from rebootcamp.services.backfills import run_backfills
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction

PASSWORD = "correct horse battery 42"
_numbers = itertools.count(1)


def make_actor(role: str = "student", timezone: str = "Europe/Paris", **fields: Any) -> Actor:
    """Register an account and return it as the actor of use cases."""
    number = next(_numbers)
    values = {
        "email": f"person{number}@example.org",
        "password": PASSWORD,
        "first_name": f"First{number}",
        "last_name": f"Last{number}",
        "timezone": timezone,
        "role": role,
    }
    user = accounts.register(accounts.NewAccount(**{**values, **fields}))
    return Actor(user.id, user.role, user.days)


def admin() -> Actor:
    """Return the administrator of the test, made at the first call."""
    with transaction() as session:
        found = session.scalar(sa.select(User.id).where(User.email == "root@example.org"))
    return Actor(found, "admin") if found else make_actor("admin", email="root@example.org")


def make_challenge(**fields: Any) -> Challenge:
    """Add a published challenge worth 20 points; `fields` override its columns."""
    number = next(_numbers)
    texts = {"title": f"Challenge {number}", "description": "Do it."}
    values = {
        "slug": f"challenge-{number}",
        "category": "energy",
        "difficulty": "easy",
        "points": 20,
        "co2e_grams": 100,
        "translations": {"en": texts, "fr": {"title": f"Défi {number}", "description": "Faites-le."}},
    }
    return challenges.create_challenge(admin(), {**values, **fields})


def make_goal(criteria: dict[str, Any] | None = None, **fields: Any) -> Challenge:
    """Add a timed challenge worth 50 points: two other ones in a week; `fields` override its columns."""
    wanted = criteria or {"count": {"event": "challenge.completed", "at_least": 2}}
    values = {"cadence": "weekly", "points": 50, "co2e_grams": 0, "validation": "criteria", "criteria": wanted}
    goal = make_challenge(**{**values, **fields})
    run_backfills(60)
    return goal


def make_badge(code: str = "first_step", *, at_least: int = 1, **fields: Any) -> str:
    """Add a badge for so many completions; `fields` override its columns; return its code."""
    texts = {"name": code.replace("_", " ").title(), "description": "For the tests."}
    values = {
        "code": code,
        "tier": "bronze",
        "points": 10,
        "icon": "🏅",
        "criteria": {"count": {"event": "challenge.completed", "at_least": at_least}},
        "translations": {"en": texts, "fr": texts},
    }
    badges.create_badge(admin(), {**values, **fields})
    return code


def make_group(*members: Actor, owner: Actor | None = None, **fields: Any) -> int:
    """Make a group of the owner, by default the administrator; return its id."""
    owner = owner or admin()
    values = {"name": f"Group {next(_numbers)}", "kind": "class"}
    group = groups.create_group(owner, {**values, **fields})
    if members:
        groups.add_members(owner, group.id, [member.user_id for member in members])
    return group.id


def complete(actor: Actor, challenge: Challenge, answer: str | None = None) -> challenges.Completed:
    """Complete a challenge as a learner."""
    return challenges.complete_challenge(actor, challenge.id, answer=answer, evidence=None)


def curve(*floors: int) -> dict[str, Any]:
    """Return the body that puts a curve with such floors in force."""
    texts = [{"en": {"name": f"Level {floor}"}, "fr": {"name": f"Niveau {floor}"}} for floor in floors]
    steps = zip(floors, texts, strict=True)
    return {"levels": [{"xp_floor": floor, "translations": translations} for floor, translations in steps]}


def keep_streak(actor: Actor, *days_ago: int) -> None:
    """Complete something on each of the days before today."""
    now = clock.now()
    for days in sorted(days_ago, reverse=True):
        with time_machine.travel(now - timedelta(days=days), tick=False):
            complete(actor, make_challenge())


def judge_the_past() -> None:
    """Run every back-fill that waits; the lock of a process that was killed may outlive it for a moment."""
    for _ in range(100):
        if not backfills.run_backfills(60):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the back-fill belongs to somebody else")
    db.session.remove()


def drain() -> int:
    """Run the relay until nothing waits; return how many events were delivered."""
    delivered = Relay(batch=200, poll_seconds=0.01).drain()
    db.session.remove()
    return delivered
