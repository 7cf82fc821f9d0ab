"""Recorded events without stores, for the pure parts of the spine."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from rebootcamp.core.ids import event_id
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.progression import CRITERIA_NO_LONGER_MET, Standing, Step, advance
from rebootcamp.services.gamification.pursuit import lost, reached
from rebootcamp.services.gamification.rulebook import Badge, RuleBook
from rebootcamp.services.gamification.rules import compile_rule, normalise

DAY = date(2026, 5, 1)


def happened(fact: Fact, seq: int, day: date = DAY) -> RecordedEvent:
    """Return the fact as event `seq` of its learner's line, at noon of the day."""
    return RecordedEvent(
        event_id=event_id(fact.learner_id, seq),
        user_id=fact.learner_id,
        seq=seq,
        occurred_at=datetime.combine(day, time(12), tzinfo=UTC),
        local_date=day,
        timezone="UTC",
        fact=fact,
    )


def completed(challenge_id: int = 1, **fields: Any) -> ChallengeCompleted:
    """Return a completion worth 20 points; `fields` override."""
    values: dict[str, Any] = {
        "learner_id": 1,
        "completion_id": challenge_id,
        "slug": f"challenge-{challenge_id}",
        "titles": {"en": f"Challenge {challenge_id}", "fr": f"Défi {challenge_id}"},
        "category": "energy",
        "difficulty": "easy",
        "cadence": "once",
        "period": "once",
        "points": 20,
        "co2e_grams": 100,
        "is_first": True,
    }
    return ChallengeCompleted(challenge_id=challenge_id, **{**values, **fields})


def revoked(fact: ChallengeCompleted, *, is_last: bool = True, reason: str = "A test.") -> ChallengeRevoked:
    """Return the revocation of a completion."""
    values = {**fact.payload(), "learner_id": fact.learner_id}
    del values["is_first"]
    return ChallengeRevoked(**values, is_last=is_last, reason=reason)


def awarded(badge: str = "first_step", points: int = 10, **fields: Any) -> BadgeAwarded:
    """Return a badge given by hand; `fields` override."""
    values = {"learner_id": 1, "tier": "bronze", "origin": "manual", "rule_version": 1, "evidence": {"reason": "Test"}}
    return BadgeAwarded(badge=badge, points=points, **{**values, **fields})


def taken_back(badge: str = "first_step", points: int = 10, **fields: Any) -> BadgeRevoked:
    """Return the revocation of a badge."""
    return BadgeRevoked(badge=badge, points=points, **{"learner_id": 1, "tier": "bronze", "reason": "Test", **fields})


def rule(code: str, criteria: dict[str, Any], points: int = 10) -> Badge:
    """Return a badge as the engine knows it."""
    return Badge(code, "bronze", points, 1, compile_rule(normalise(criteria)))


class PureLine:
    """A learner's line in memory: what the journal does with the engine, without stores."""

    def __init__(self, rules: RuleBook, learner_id: int = 1) -> None:
        self.rules, self.learner_id = rules, learner_id
        self.standing = Standing()
        self.today = date.min
        self.events: list[RecordedEvent] = []
        self.steps: list[Step] = []
        self.valid: list[tuple[ChallengeCompleted, date]] = []

    def complete(self, challenge_id: int, day: date = DAY, **fields: Any) -> ChallengeCompleted:
        """Complete a challenge validly."""
        is_first = all(fact.challenge_id != challenge_id for fact, _ in self.valid)
        number = len(self.events) + 1
        fact = completed(challenge_id, learner_id=self.learner_id, completion_id=number, is_first=is_first, **fields)
        self.valid.append((fact, day))
        self._record(fact, day)
        return fact

    def revoke(self, index: int) -> None:
        """Take back one of the valid completions."""
        fact, day = self.valid.pop(index)
        is_last = all(other.challenge_id != fact.challenge_id for other, _ in self.valid)
        self._record(revoked(fact, is_last=is_last), day)

    def award(self, code: str, points: int, day: date = DAY) -> None:
        """Give a badge by hand, unless it is held."""
        if code not in self.standing.held:
            self._record(awarded(code, points, learner_id=self.learner_id), day)

    def take(self, code: str) -> None:
        """Take a held badge back."""
        if code in self.standing.held:
            self.lose(code, "Test")

    def lose(self, code: str, reason: str) -> None:
        """Lose a held badge for a reason."""
        points = self.standing.held[code]["points"]
        self._record(taken_back(code, points, learner_id=self.learner_id, reason=reason), DAY)

    def happen(self, fact: Fact, day: date) -> None:
        """Record any other fact."""
        self._record(fact, day)

    def awards_of(self, code: str) -> int:
        """Return how often the badge was awarded, less how often it was revoked."""
        counts: Counter[bool] = Counter()
        for event in self.events:
            if isinstance(event.fact, BadgeAwarded | BadgeRevoked) and event.fact.badge == code:
                counts[isinstance(event.fact, BadgeAwarded)] += 1
        return counts[True] - counts[False]

    def _record(self, fact: Fact, day: date) -> None:
        # What is recorded for an earlier day is recorded late, not in the past.
        self.today = max(self.today, day)
        at, queue = happened(fact, 0, self.today).occurred_at, deque([fact])
        while queue:
            event = replace(happened(queue.popleft(), len(self.events) + 1, day), occurred_at=at)
            self.events.append(event)
            step = advance(self.standing, event, self.rules, lambda: [active for _, active in self.valid])
            self.steps.append(step)
            self.standing = step.standing
            queue.extend(step.facts)


class GoalLine(PureLine):
    """A learner's line with timed challenges: what their reaction does, without stores; all is done on its own day."""

    def __init__(self, rules: RuleBook, learner_id: int = 1) -> None:
        super().__init__(rules, learner_id)
        self.goals: list[tuple[ChallengeCompleted, date]] = []

    def take_goal(self, index: int) -> None:
        """Take one of the completions of timed challenges back by hand, if there is any."""
        if self.goals:
            fact, day = self.goals.pop(index % len(self.goals))
            self.record_dated(revoked(fact, is_last=not self._holds(fact.challenge_id)), day)

    def record_dated(self, fact: Fact, day: date) -> None:
        """Record a fact with all that follows."""
        self._record(fact, day)

    def _record(self, fact: Fact, day: date) -> None:
        queue = deque([(fact, day)])
        while queue:
            event = happened(queue[0][0], len(self.events) + 1, queue.popleft()[1])
            self.events.append(event)
            step = advance(self.standing, event, self.rules, lambda: [active for _, active in self.valid])
            self.steps.append(step)
            self.standing = step.standing
            queue.extend((follows, event.local_date) for follows in step.facts)
            queue.extend(self._ended(event))
            queue.extend((self._done(goal, event), event.local_date) for goal in self._reached(event))

    def _reached(self, event: RecordedEvent) -> list[Goal]:
        decided = {(fact.challenge_id, fact.period) for fact, _ in self.goals}
        found = reached(self.standing, event, self.rules, event.local_date)
        return [goal for goal in found if (goal.challenge_id, goal.period(event.local_date)) not in decided]

    def _done(self, goal: Goal, event: RecordedEvent) -> ChallengeCompleted:
        fact = completed(
            goal.challenge_id,
            learner_id=self.learner_id,
            completion_id=1000 + len(self.events) + len(self.goals),
            cadence=goal.cadence,
            period=goal.period(event.local_date),
            points=goal.points,
            co2e_grams=0,
            is_first=not self._holds(goal.challenge_id),
            is_goal=True,
        )
        self.goals.append((fact, event.local_date))
        return fact

    def _ended(self, event: RecordedEvent) -> list[tuple[Fact, date]]:
        ended: list[tuple[Fact, date]] = []
        for goal in lost(self.standing, event, self.rules, event.local_date):
            period = goal.period(event.local_date)
            mine = next(x for x in self.goals if (x[0].challenge_id, x[0].period) == (goal.challenge_id, period))
            self.goals.remove(mine)
            fact = revoked(mine[0], is_last=not self._holds(goal.challenge_id), reason=CRITERIA_NO_LONGER_MET)
            ended.append((fact, mine[1]))
        return ended

    def _holds(self, challenge_id: int) -> bool:
        return any(fact.challenge_id == challenge_id for fact, _ in self.goals)
