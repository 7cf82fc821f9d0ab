"""Things that tests need, made through the services so that every invariant holds."""

from __future__ import annotations

import itertools
import time
from typing import Any

import sqlalchemy as sa

from rebootcamp.core.actors import Actor
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.services import accounts, badges, challenges
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
    return Actor(user.id, user.role, user.timezone)


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


def complete(actor: Actor, challenge: Challenge, answer: str | None = None) -> challenges.Completed:
    """Complete a challenge as a learner."""
    return challenges.complete_challenge(actor, challenge.id, answer=answer, evidence=None)


def judge_the_past() -> None:
    """Run every back-fill that waits; the lock of a process that was killed may outlive it for a moment."""
    for _ in range(100):
        if not badges.run_backfills(60):
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
