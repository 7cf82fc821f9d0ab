"""What holds for every learner at a cut: the rules, the calendar, and how far rules were applied to the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from rebootcamp.models.sql.badges import BackfillJob, BadgeDefinition
from rebootcamp.models.sql.calendar import RestDay
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.gamification.engine import load_rules
from rebootcamp.services.gamification.levels import ONE_LEVEL
from rebootcamp.services.gamification.rest_days import Calendar, rest_of
from rebootcamp.services.gamification.rulebook import RuleBook
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.sql import Row


@dataclass(frozen=True)
class World:
    """The rules in force, the calendar, when each badge was last edited, the badges by which all were judged, and the
    team challenges that a back-fill still counts.
    """

    rules: RuleBook
    calendar: Calendar
    edited_at: Mapping[str, datetime]
    judged: frozenset[str]
    counting: frozenset[int]
    now: datetime


def read_world(cut: Cut, now: datetime) -> World:
    """Read it as of an instant. Raises `InvalidField` when a stored rule cannot be understood."""

    def fetch(statement: str) -> Iterable[Row]:
        return cut.sql.connection().exec_driver_sql(statement).mappings().all()

    version = cut.sql.scalar(sa.select(AppMeta.rules_version)) or 0
    edited = sa.select(BadgeDefinition.code, BadgeDefinition.updated_at)
    return World(
        rules=load_rules(version, ONE_LEVEL, fetch),
        calendar=Calendar(map(rest_of, cut.sql.execute(sa.select(RestDay.__table__)).mappings())),
        edited_at={row.code: row.updated_at for row in cut.sql.execute(edited)},
        judged=frozenset(cut.sql.scalars(_JUDGED)),
        counting=frozenset(cut.sql.scalars(_COUNTING)),
        now=now,
    )


# Those whose newest back-fill, by the rule in force, came to its end.
_JUDGED: Final = sa.text("""
    SELECT d.code FROM badge_definitions d CROSS JOIN LATERAL (
        SELECT state, rule_version FROM backfill_jobs WHERE badge_code = d.code ORDER BY id DESC LIMIT 1) AS newest
    WHERE d.is_active AND newest.state = 'done' AND newest.rule_version = d.rule_version""")
_COUNTING: Final = sa.select(BackfillJob.challenge_id).where(
    BackfillJob.state == "waiting", BackfillJob.challenge_id.is_not(None)
)
