"""Trying a rule before it is published: who would gain or lose the badge, and nothing changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import Days
from rebootcamp.core.errors import NotFound
from rebootcamp.models.sql.accounts import DAY_COLUMNS, User
from rebootcamp.models.sql.badges import BadgeDefinition, RuleMeasure
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.badges.definitions import refuse_unknown_badges
from rebootcamp.services.gamification.backfill import Trial, Verdict
from rebootcamp.services.gamification.criteria import Criterion, measures_of
from rebootcamp.services.gamification.curves import load_curve
from rebootcamp.services.gamification.engine import NEVER, standing_of
from rebootcamp.services.gamification.histories import histories
from rebootcamp.services.gamification.rules import compile_rule, normalise
from rebootcamp.storage.sql import Row
from rebootcamp.storage.transactions import transaction

PAGE: Final = 500
SAMPLE: Final = 10
# Well inside what a web worker may take; a larger store is answered in part, and says so.
BUDGET_SECONDS: Final = 15.0


@dataclass
class Preview:
    """The outcome: `sample` holds up to ten who would gain and ten who would lose; counts cover `examined` learners."""

    learners: int
    examined: int = 0
    would_gain: int = 0
    would_lose: int = 0
    would_keep: int = 0
    is_complete: bool = True
    took_ms: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)

    def count(self, change: str | None, user_id: int, display_name: str, met_on: date | None) -> None:
        """Add one learner to the figures, and to the sample while there is room."""
        self.examined += 1
        if change is None:
            return
        setattr(self, f"would_{change}", getattr(self, f"would_{change}") + 1)
        is_full = sum(item["change"] == change for item in self.sample) >= SAMPLE
        if change != "keep" and not is_full:
            self.sample.append({"user_id": user_id, "display_name": display_name, "change": change, "met_on": met_on})


def preview_badge(
    actor: Actor, criteria: Mapping[str, Any], code: str | None, *, budget_seconds: float = BUDGET_SECONDS
) -> Preview:
    """Try criteria on everybody, as a change of badge `code` or as a new one.

    "Lose" is what a re-evaluation would take back; badges given by hand stay. Raises `InvalidField`, `NotFound`.
    """
    actor.require("badge:write")
    started, criteria = time.monotonic(), normalise(criteria)
    rule = compile_rule(criteria)
    with transaction() as session:
        refuse_unknown_badges(session, criteria, code)
        if code is not None and session.get(BadgeDefinition, code) is None:
            raise NotFound("badge")
        preview = Preview(learners=session.scalar(sa.select(sa.func.count()).select_from(LearnerState)) or 0)
        for row, verdict in _verdicts(session, rule, code or ""):
            met_on = verdict.met.day if verdict.met else None
            preview.count(verdict.change, row["user_id"], row["display_name"], met_on)
            if time.monotonic() - started >= budget_seconds:
                break
    preview.is_complete = preview.examined >= preview.learners
    preview.took_ms = round((time.monotonic() - started) * 1000)
    return preview


def _verdicts(session: Session, rule: Criterion, code: str) -> Iterator[tuple[Row, Verdict]]:
    since = {measure.key: measure.since for measure in session.scalars(sa.select(RuleMeasure))}
    needed = {m: since.get(m.key, NEVER) for m in measures_of(rule) if not m.is_standard}
    _, curve = load_curve()
    for page in _pages(session):
        measured = min(row["measured_version"] for row in page)
        trial = Trial(rule, frozenset(measure for measure, version in needed.items() if version > measured), curve)
        found = histories(session, trial, [row["user_id"] for row in page])
        for row, (deeds, undone) in zip(page, found, strict=True):
            today = Days.from_row(row).date_of(clock.now())
            yield row, trial.judge(code, standing_of(SimpleNamespace(**row)), deeds, undone, today)


def _pages(session: Session) -> Iterator[Sequence[Row]]:
    after = 0
    while True:
        statement = (
            sa.select(LearnerState.__table__, User.display_name, *(getattr(User, name) for name in DAY_COLUMNS))
            .join(User, User.id == LearnerState.user_id)
            .where(LearnerState.user_id > after)
            .order_by(LearnerState.user_id)
            .limit(PAGE)
        )
        rows = list(session.execute(statement).mappings())
        if not rows:
            return
        yield rows
        after = rows[-1]["user_id"]
