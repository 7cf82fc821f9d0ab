"""Trying a rule before it is published: who would gain or lose the badge, and nothing changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import Days
from rebootcamp.core.errors import NotFound
from rebootcamp.events.store import stream_deeds
from rebootcamp.models.sql.accounts import DAY_COLUMNS, User
from rebootcamp.models.sql.badges import BadgeDefinition, RuleMeasure
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.badges.definitions import refuse_unknown_badges
from rebootcamp.services.gamification.backfill import Deed, Trial
from rebootcamp.services.gamification.criteria import measures_of
from rebootcamp.services.gamification.curves import load_curve
from rebootcamp.services.gamification.engine import standing_of
from rebootcamp.services.gamification.progression import may_earn
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

    def count(self, change: str, user_id: int, display_name: str, met_on: object) -> None:
        """Add one learner to the figures, and to the sample while there is room."""
        setattr(self, f"would_{change}", getattr(self, f"would_{change}") + 1)
        is_full = sum(item["change"] == change for item in self.sample) >= SAMPLE
        if change != "keep" and not is_full:
            self.sample.append({"user_id": user_id, "display_name": display_name, "change": change, "met_on": met_on})


def preview_badge(actor: Actor, criteria: Mapping[str, Any], code: str | None) -> Preview:
    """Try criteria on everybody, as a change of badge `code` or as a new one.

    "Lose" is what a re-evaluation would take back; badges given by hand stay. Raises `InvalidField`, `NotFound`.
    """
    actor.require("badge:write")
    started, rule = time.monotonic(), compile_rule(normalise(criteria))
    with transaction() as session:
        refuse_unknown_badges(session, rule, code)
        if code is not None and session.get(BadgeDefinition, code) is None:
            raise NotFound("badge")
        known = set(session.scalars(sa.select(RuleMeasure.key)))
        measures = frozenset(measures_of(rule))
        _, curve = load_curve()
        trials = Trial(rule, curve), Trial(rule, curve, frozenset(m for m in measures if not m.is_standard))
        is_new_counter = any(not m.is_standard and m.key not in known for m in measures)
        preview = Preview(learners=session.scalar(sa.select(sa.func.count()).select_from(LearnerState)) or 0)
        for page in _pages(session):
            if time.monotonic() - started > BUDGET_SECONDS:
                preview.is_complete = False
                break
            _try_page(session, preview, trials[1] if is_new_counter else trials[0], page, code)
    preview.took_ms = round((time.monotonic() - started) * 1000)
    return preview


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


def _try_page(session: Session, preview: Preview, trial: Trial, page: Sequence[Row], code: str | None) -> None:
    stream = stream_deeds(session, [row["user_id"] for row in page], trial.types) if trial.types else iter(())
    by_learner = groupby(stream, key=lambda deed: deed["user_id"])
    current = next(by_learner, None)
    for row in page:
        deeds: Iterator[Deed] = iter(())
        is_current = current is not None and current[0] == row["user_id"]
        if current is not None and is_current:
            deeds = (Deed(deed["type"], deed["payload"], deed["local_date"]) for deed in current[1])
        _try_one(preview, trial, row, deeds, code)
        if is_current:
            current = next(by_learner, None)


def _try_one(preview: Preview, trial: Trial, row: Row, deeds: Iterator[Deed], code: str | None) -> None:
    standing = standing_of(SimpleNamespace(**row))
    today = Days.from_row(row).date_of(clock.now())
    _, met_on = trial.run(standing, deeds, today)
    preview.examined += 1
    held = standing.held.get(code) if code else None
    if held is None:
        change = "gain" if met_on and (code is None or may_earn(standing, code)) else None
    else:
        change = "lose" if met_on is None and held["origin"] == "rule" else "keep"
    if change:
        preview.count(change, row["user_id"], row["display_name"], met_on)
