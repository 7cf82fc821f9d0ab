"""Timed challenges complete by themselves: the reaction to a learner's events, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final

from rebootcamp.core.json import dumps_text
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.journal import Dated, LearnerLine, Recorded, record
from rebootcamp.services.gamification.criteria import Situation, readings_of
from rebootcamp.services.gamification.engine import rules_of, standing_of
from rebootcamp.services.gamification.goals import Goal
from rebootcamp.services.gamification.progression import CRITERIA_NO_LONGER_MET, situation_of
from rebootcamp.services.gamification.pursuit import lost, reached
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import Statement, fetch_all

# The share lock makes an edit wait, and an edit that came first is noticed: nobody completes what is no more.
_COMPLETE: Final = """
    WITH wanted AS (
        SELECT c.id AS challenge_id, r.period, c.points, r.evidence
        FROM jsonb_to_recordset(%(goals)s::jsonb) AS r (
            challenge_id bigint, version integer, period text, evidence jsonb)
        JOIN challenges c ON c.id = r.challenge_id AND c.version = r.version
        WHERE c.is_published AND c.archived_at IS NULL FOR SHARE OF c
    )
    INSERT INTO challenge_completions AS made (
        user_id, challenge_id, period, status, points, co2e_grams, evidence, completed_at, local_date)
    SELECT %(user_id)s::bigint, challenge_id, period, 'validated', points, 0, evidence, %(at)s::timestamptz,
        %(local_date)s::date FROM wanted ORDER BY challenge_id
    ON CONFLICT DO NOTHING
    RETURNING made.id, made.challenge_id, made.period, NOT EXISTS (
        SELECT 1 FROM challenge_completions d WHERE d.user_id = made.user_id AND d.challenge_id = made.challenge_id
            AND d.status = 'validated' AND d.id <> made.id) AS is_first"""

_TAKE_BACK: Final = """
    UPDATE challenge_completions AS made SET status = 'revoked', review_reason = %(reason)s, reviewed_at = %(at)s
    FROM jsonb_to_recordset(%(goals)s::jsonb) AS r (challenge_id bigint, period text)
    WHERE made.user_id = %(user_id)s AND made.challenge_id = r.challenge_id AND made.period = r.period
        AND made.status = 'validated'
    RETURNING made.id, made.challenge_id, made.period, made.points, made.local_date, NOT EXISTS (
        SELECT 1 FROM challenge_completions d WHERE d.user_id = made.user_id AND d.challenge_id = made.challenge_id
            AND d.status = 'validated' AND d.id <> made.id) AS is_last"""


class Goals:
    """The reaction of timed challenges; it comes after the engine, which has counted the event."""

    def __init__(self, line: LearnerLine) -> None:
        self._line = line
        self._decided: set[int] = set()

    def on_event(self, event: RecordedEvent) -> Iterable[Fact | Dated]:
        """Return the completions that follow from an event, or the end of those that rested on it."""
        rules = rules_of(self._line)
        if not (rules.goals or rules.withdrawn_goals):
            return ()
        standing, today = standing_of(self._line), self._line.days.date_of(event.occurred_at)
        if missed := lost(standing, event, rules, today):
            return _take_back(self._line, missed, event.local_date, event.occurred_at)
        situation = situation_of(standing, event.local_date, rules.curve)
        evidence = {"event_id": str(event.event_id)}
        found = [goal for goal in reached(standing, event, rules, today) if goal.challenge_id not in self._decided]
        self._decided.update(goal.challenge_id for goal in found)
        return _complete(self._line, found, situation, event.occurred_at, evidence) if found else ()

    def writes(self) -> Iterable[Statement]:
        """Return nothing: completions need their ids at once."""
        return ()


def complete_goal(
    line: LearnerLine, goal: Goal, situation: Situation, at: datetime, evidence: Mapping[str, Any]
) -> Recorded | None:
    """Complete a goal outside any other deed, on the situation's date; None when it was edited or done meanwhile."""
    facts = _complete(line, [goal], situation, at, evidence)
    return record(facts[0], occurred_at=at, local_date=situation.day) if facts else None


def take_back_goal(line: LearnerLine, goal: Goal, day: date, at: datetime) -> Recorded | None:
    """End a completion of the period of a local date outside any other deed; None when there is none."""
    ended = _take_back(line, [goal], day, at)
    return record(ended[0].fact, occurred_at=at, local_date=ended[0].local_date) if ended else None


def _complete(
    line: LearnerLine, goals: Sequence[Goal], situation: Situation, at: datetime, evidence: Mapping[str, Any]
) -> list[Fact]:
    rows = [
        {
            "challenge_id": goal.challenge_id,
            "version": goal.version,
            "period": goal.period(situation.day),
            "evidence": {**evidence, "readings": [asdict(seen) for seen in readings_of(goal.rule, situation)]},
        }
        for goal in goals
    ]
    made = fetch_all(
        _COMPLETE,
        {"user_id": line.user_id, "goals": dumps_text(rows), "at": at, "local_date": situation.day},
    )
    by_id = {goal.challenge_id: goal for goal in goals}
    return [
        ChallengeCompleted(
            **_described(line, by_id[row["challenge_id"]], row),
            points=by_id[row["challenge_id"]].points,
            co2e_grams=0,
            is_first=row["is_first"],
        )
        for row in sorted(made, key=lambda row: int(row["id"]))
    ]


def _take_back(line: LearnerLine, goals: Sequence[Goal], day: date, at: datetime) -> list[Dated]:
    rows = [{"challenge_id": goal.challenge_id, "period": goal.period(day)} for goal in goals]
    taken = fetch_all(
        _TAKE_BACK,
        {"user_id": line.user_id, "goals": dumps_text(rows), "at": at, "reason": CRITERIA_NO_LONGER_MET},
    )
    by_id = {goal.challenge_id: goal for goal in goals}
    return [
        Dated(
            ChallengeRevoked(
                **_described(line, by_id[row["challenge_id"]], row),
                points=row["points"],
                co2e_grams=0,
                is_last=row["is_last"],
                reason=CRITERIA_NO_LONGER_MET,
            ),
            row["local_date"],
        )
        for row in sorted(taken, key=lambda row: int(row["id"]))
    ]


def _described(line: LearnerLine, goal: Goal, row: Row) -> dict[str, Any]:
    return {
        "learner_id": line.user_id,
        "completion_id": row["id"],
        "challenge_id": goal.challenge_id,
        "slug": goal.slug,
        "titles": dict(goal.titles),
        "category": goal.category,
        "difficulty": goal.difficulty,
        "cadence": goal.cadence,
        "period": row["period"],
        "is_goal": True,
        "reward_badge": goal.reward_badge,
    }
