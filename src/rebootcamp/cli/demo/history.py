"""Playing half a year of learning through the services, so that every invariant holds by construction."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, Final, Protocol

import sqlalchemy as sa

from rebootcamp.cli.demo.files import catalogue
from rebootcamp.cli.demo.goals import plan_goals
from rebootcamp.cli.demo.groups import Act, plan_groups
from rebootcamp.cli.demo.personas import MONTHS_OF_HISTORY, ONE_DAY, Deed, Plan, plan_learner
from rebootcamp.cli.demo.words import EVIDENCE, REJECTIONS, REVOCATIONS
from rebootcamp.cli.demo.workshops import plan_workshops
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.mails import Mail
from rebootcamp.services import accounts, badges, challenges
from rebootcamp.services.accounts import NewAccount
from rebootcamp.services.backfills import run_backfills
from rebootcamp.storage.transactions import transaction

BACKFILL_SECONDS = 60

PASSWORD: Final = "rebootcamp-demo-2026"  # noqa: S105
# The one password of the demo, hashed once with a fixed salt: the same seed must give the same bytes.
PASSWORD_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$nJg3jMeGi+ekx+w27CeBQg$7gBey5RdrJyBFqassOxq+mZELsMiXR2psYDNNg4Ta8M"  # noqa: S105
)

PARIS: Final = "Europe/Paris"
STAFF: Final = (
    {"email": "admin@example.org", "role": "admin", "first_name": "Amina", "last_name": "Keller", "locale": "en"},
    {
        "email": "instructor@example.org",
        "role": "instructor",
        "first_name": "Ivan",
        "last_name": "Roux",
        "locale": "fr",
    },
    {"email": "examiner@example.org", "role": "examiner", "first_name": "Esther", "last_name": "Lund", "locale": "en"},
)
STUDENT: Final = {
    "email": "student@example.org",
    "first_name": "Sacha",
    "last_name": "Petit",
    "display_name": "Sacha",
    "locale": "fr",
    "timezone": PARIS,
    "persona": "steady",
}
REVIEWERS: Final = ("instructor@example.org", "examiner@example.org")

# Trying the same thing twice in a period is human, and so is being too late; the service says no.
HUMAN: Final = ("already_completed", "already_held", "not_revocable", "not_registered", "not_attended")

REVIEWED, APPROVED, RETRIED, REVOKED = 0.93, 0.82, 0.6, 0.006
BY_HAND: Final = (("good_neighbour", 40, False), ("friend_of_the_wild", 25, True))


class Clock(Protocol):
    """A clock that can be set."""

    def move_to(self, destination: datetime, tick: bool | None = None) -> None:
        """Make it this instant."""


@dataclass(frozen=True)
class Told:
    """How much history there is now."""

    learners: int
    deeds: int
    refused: int


def tell_history(clock: Clock, seed: int, last_day: date) -> Told:
    """Fill the empty, prepared pair; events stay in the outbox for the relay."""
    story = _Story(clock, Random(seed), last_day)  # noqa: S311
    story.set_the_scene(seed)
    story.play()
    # Nobody reads what was written to them months ago, at addresses that do not exist.
    with transaction() as session:
        session.execute(sa.delete(Mail))
    return Told(len(story.actors) - len(STAFF), story.deeds, story.refused)


class _Story:
    """Everything that happens, in the order of time; what happens may bring about more."""

    def __init__(self, clock: Clock, rng: Random, last_day: date) -> None:
        self.actors: dict[str, Actor] = {}
        self.deeds = 0
        self.refused = 0
        self._clock = clock
        self._rng = rng
        self._last_day = last_day
        self._end = datetime.combine(last_day, time(22), tzinfo=UTC)
        self._order = itertools.count()
        self._queue: list[tuple[datetime, int, Callable[[], object]]] = []
        self._challenge_ids: dict[str, int] = {}

    def set_the_scene(self, seed: int) -> None:
        """Open the service: staff, badges and challenges, then everybody's plans and the groups."""
        opening = datetime.combine(self._last_day - MONTHS_OF_HISTORY, time(7), tzinfo=UTC)
        entries = catalogue("challenges")
        self.at(opening, lambda: self._open(entries))
        student = plan_learner(STUDENT, entries, self._rng, self._last_day - ONE_DAY)
        plans = [replace(student, joins_at=opening + timedelta(hours=2))]
        plans += [plan_learner(learner, entries, self._rng, self._last_day) for learner in catalogue("learners")]
        for plan in plans:
            self._schedule(plan)
        for code, days_before_end, is_taken_back in BY_HAND:
            self._schedule_award(code, days_before_end, is_taken_back)
        for plan_extras in (plan_groups, plan_goals, plan_workshops):
            for instant, act in plan_extras(plans, seed, opening, self._end):
                self._schedule_extra(instant, act)

    def at(self, instant: datetime, act: Callable[[], object]) -> None:
        """Do something at an instant, unless the story is over by then."""
        if instant <= self._end:
            heapq.heappush(self._queue, (instant, next(self._order), act))

    def play(self) -> None:
        """Let everything happen."""
        while self._queue:
            instant, _, act = heapq.heappop(self._queue)
            self._clock.move_to(instant)
            try:
                act()
            except DomainError as error:
                if error.code not in HUMAN:
                    raise
                self.refused += 1
        self._clock.move_to(self._end)

    def _open(self, entries: list[dict[str, Any]]) -> None:
        for member in STAFF:
            self._register({**member, "timezone": PARIS})
        for badge in catalogue("badges"):
            badges.create_badge(self.actors["admin@example.org"], badge)
        # Nobody has a past yet, so the back-fills of the new badges end at once.
        run_backfills(BACKFILL_SECONDS)
        for entry in entries:
            challenge = challenges.create_challenge(self.actors["instructor@example.org"], entry)
            self._challenge_ids[entry["slug"]] = challenge.id

    def _schedule(self, plan: Plan) -> None:
        self.at(plan.joins_at, lambda: self._register(plan.learner))
        for deed in plan.deeds:
            if deed.at > plan.joins_at:
                self.at(deed.at, lambda deed=deed: self._do(plan.learner, deed))  # type: ignore[misc]

    def _schedule_extra(self, instant: datetime, act: Act) -> None:
        self.at(instant, lambda: act(self.actors))

    def _schedule_award(self, code: str, days_before_end: int, is_taken_back: bool) -> None:
        emails = [learner["email"] for learner in catalogue("learners") if learner["persona"] == "occasional"]
        email, instant = self._rng.choice(emails), self._end - timedelta(days=days_before_end, hours=8)
        admin = "admin@example.org"

        def award() -> None:
            badges.award_badge(self.actors[admin], self.actors[email].user_id, code, reason="Neighbourhood day")

        def take_back() -> None:
            badges.revoke_badge(self.actors[admin], self.actors[email].user_id, code, reason="Given by mistake")

        self.at(instant, award)
        if is_taken_back:
            self.at(instant + timedelta(days=1), take_back)

    def _register(self, person: Mapping[str, Any]) -> None:
        fields = {name: value for name, value in person.items() if name != "persona"}
        with transaction() as session:
            user = accounts.register(NewAccount(**fields, password=PASSWORD))
            session.execute(sa.update(User).where(User.id == user.id).values(password_hash=PASSWORD_HASH))
        self.actors[person["email"]] = Actor(user.id, user.role, user.days)

    def _do(self, learner: Mapping[str, Any], deed: Deed) -> None:
        kind = deed.challenge["validation"]
        completed = challenges.complete_challenge(
            self.actors[learner["email"]],
            self._challenge_ids[deed.challenge["slug"]],
            answer=self._rng.choice(deed.challenge["answers"]) if kind == "answer" else None,
            evidence={"text": self._rng.choice(EVIDENCE[learner["locale"]])} if kind == "approval" else None,
        )
        self.deeds += 1
        if kind == "approval":
            self._await_review(learner, deed, completed.completion.id)
        elif self._rng.random() < REVOKED:
            self._await_revocation(learner, deed.at, completed.completion.id)

    def _await_review(self, learner: Mapping[str, Any], deed: Deed, completion_id: int) -> None:
        if self._rng.random() >= REVIEWED:
            return
        reviewer = self._rng.choice(REVIEWERS)
        instant = self._office_hour(deed.at)
        if self._rng.random() < APPROVED:
            self.at(instant, lambda: self._approve(reviewer, completion_id))
            return
        reason = self._rng.choice(REJECTIONS[learner["locale"]])
        self.at(instant, lambda: self._reject(reviewer, completion_id, reason))
        if self._rng.random() < RETRIED:
            again = Deed(instant + timedelta(hours=self._rng.randint(3, 60)), deed.challenge)
            self.at(again.at, lambda: self._do(learner, again))

    def _await_revocation(self, learner: Mapping[str, Any], done_at: datetime, completion_id: int) -> None:
        reason = self._rng.choice(REVOCATIONS[learner["locale"]])
        instant = self._office_hour(done_at)
        self.at(instant, lambda: self._revoke(self.actors[learner["email"]].user_id, completion_id, reason))

    def _approve(self, reviewer: str, completion_id: int) -> None:
        challenges.approve_submission(self.actors[reviewer], completion_id)

    def _reject(self, reviewer: str, completion_id: int, reason: str) -> None:
        challenges.reject_submission(self.actors[reviewer], completion_id, reason=reason)

    def _revoke(self, user_id: int, completion_id: int, reason: str) -> None:
        challenges.revoke_completion(self.actors["admin@example.org"], user_id, completion_id, reason=reason)

    def _office_hour(self, after: datetime) -> datetime:
        """Return a moment of the staff's next working days."""
        day = after.date() + timedelta(days=self._rng.randint(1, 4))
        while day.isoweekday() > 5:
            day += ONE_DAY
        return datetime.combine(day, time(self._rng.randint(7, 15), self._rng.randrange(60)), tzinfo=UTC)
