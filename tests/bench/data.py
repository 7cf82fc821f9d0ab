"""The data of the benchmark: the same learners, with the same history, in both pairs."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.events.accounts import AccountRegistered
from rebootcamp.events.journal import open_line, record
from rebootcamp.events.relay import Relay
from rebootcamp.integrations.passwords import hash_password
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.models.sql.workshops import Workshop
from rebootcamp.services import badges, challenges, workshops
from rebootcamp.services.tokens import SignedIn
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from rebootcamp.web.authentication import issue_tokens

READERS = 64
WRITERS = 1200
COMPLETIONS = 20
CHALLENGES = 44
WORKSHOPS = 100
GUESTS = 100
CATALOGUE = Path(__file__).resolve().parents[2] / "data" / "catalogue" / "badges.json"


def fill(pair: Settings) -> None:
    """Make readers who each completed twenty challenges, writers with none, and workshops, under the demo badges."""
    application = create_app(pair)
    with application.app_context():
        learners = _learners()
        _catalogue(learners[0])
        for actor in learners[:READERS]:
            for challenge_id in range(1, COMPLETIONS + 1):
                challenges.complete_challenge(actor, challenge_id, answer=None, evidence=None)
        _workshops(learners)
        Relay(batch=2000, poll_seconds=0.01).drain()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
        db.engine.dispose()


def access_tokens(pair: Settings) -> dict[int, str]:
    """Return an access token for every learner, by id, as a sign-in would give it."""
    application = create_app(pair)
    with application.app_context():
        with transaction() as session:
            users = session.scalars(sa.select(User).order_by(User.id)).all()
        tokens = {user.id: issue_tokens(SignedIn(user, "", 1)).access_token for user in users}
        db.engine.dispose()
    return tokens


def _learners() -> list[Actor]:
    now, hashed = clock.now(), hash_password(secrets.token_urlsafe(24))
    with transaction() as session:
        users = [
            User(
                email=f"learner{number}@example.org",
                password_hash=hashed,
                first_name="Ada",
                last_name=str(number),
                display_name=f"Ada {number}",
                timezone="Europe/Paris",
                created_at=now,
                updated_at=now,
            )
            for number in range(1, READERS + WRITERS + 1)
        ]
        session.add_all(users)
        session.flush()
        for user in users:
            open_line(user.id)
            record(AccountRegistered(learner_id=user.id))
    return [Actor(user.id, "student", user.days) for user in users]


def _workshops(learners: list[Actor]) -> None:
    """Make workshops with room for everybody, on days of their own; the first of them has its guests already."""
    now, trainer = clock.now(), learners[-1]
    texts = {"title": "A workshop", "description": "Come."}
    with transaction() as session:
        session.execute(sa.update(User).where(User.id == trainer.user_id).values(role="instructor"))
        session.add_all(
            Workshop(
                slug=f"workshop-{number}",
                trainer_id=trainer.user_id,
                translations={"en": texts, "fr": texts},
                starts_at=now + timedelta(days=number),
                ends_at=now + timedelta(days=number, hours=2),
                timezone="Europe/Paris",
                capacity=10_000,
                questions=[{"key": "diet", "labels": {"en": "Diet?", "fr": "Régime ?"}, "is_required": False}],
                created_at=now,
                updated_at=now,
            )
            for number in range(1, WORKSHOPS + 2)
        )
    for actor in learners[:GUESTS]:
        workshops.register(actor, 1, answers={"diet": "none"}, note="A note.", limits=workshops.Limits())


def _catalogue(owner: Actor) -> None:
    staff = Actor(owner.user_id, "admin")
    for badge in json.loads(CATALOGUE.read_text(encoding="utf-8")):
        badges.create_badge(staff, badge)
    now = clock.now()
    texts = {"title": "A challenge", "description": "Do it."}
    with transaction() as session:
        session.add_all(
            Challenge(
                slug=f"challenge-{number}",
                category="energy",
                difficulty="easy",
                points=20,
                co2e_grams=100,
                translations={"en": texts, "fr": texts},
                created_at=now,
                updated_at=now,
            )
            for number in range(1, CHALLENGES + 1)
        )
