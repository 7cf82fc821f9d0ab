"""Levels: the curve, its edits and what they would change, and why a learner stands on a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any, Final

import sqlalchemy as sa

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField, NotFound, StaleEdit
from rebootcamp.core.languages import Text
from rebootcamp.models.sql.levels import CURVE_VERSION, LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.badges import get_reach
from rebootcamp.services.gamification.curves import curve_at, load_curve
from rebootcamp.services.gamification.levels import Curve, Level, Step, curve_of, first_fault, level_of, unreachable
from rebootcamp.services.gamification.reach import Reach
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one
from rebootcamp.storage.transactions import transaction, unsettle

SAMPLE: Final = 20

# One pass over the learners, whose memory is the number of kinds of move; each kind names its first and last learner.
_MOVES: Final = """
    WITH moves AS (
        SELECT greatest(1, width_bucket(s.xp_total, ARRAY(SELECT xp_floor FROM levels ORDER BY number))) AS before,
            greatest(1, width_bucket(s.xp_total, %(floors)s::integer[])) AS after,
            count(*) AS learners, ARRAY[min(s.user_id), max(s.user_id)] AS examples
        FROM learner_states s GROUP BY 1, 2
    )
    SELECT m.before, m.after, m.learners, CASE WHEN m.before <> m.after THEN (
        SELECT jsonb_agg(jsonb_build_object(
            'user_id', u.id, 'display_name', u.display_name, 'xp', s.xp_total, 'before', m.before, 'after', m.after)
            ORDER BY u.id)
        FROM users u JOIN learner_states s ON s.user_id = u.id WHERE u.id = ANY (m.examples)) END AS sample
    FROM moves m ORDER BY m.before, m.after"""

# The event that crossed the floor last: a revocation may have led below it in between.
_WHY: Final = f"""
    WITH ledger AS (
        SELECT id, event_id, reason, points, category, local_date, sum(points) OVER (ORDER BY id) AS xp
        FROM xp_entries WHERE user_id = %(user_id)s
    )
    SELECT s.xp_total, {CURVE_VERSION},
        (SELECT coalesce(jsonb_agg(r ORDER BY r.reason), '[]') FROM (
            SELECT reason, sum(points) AS xp, count(*) AS entries FROM ledger GROUP BY reason) r) AS reasons,
        (SELECT to_jsonb(l) FROM ledger l, (SELECT max(xp_floor) AS xp_floor FROM levels WHERE xp_floor <= s.xp_total) f
            WHERE l.xp >= f.xp_floor AND l.xp - l.points < f.xp_floor ORDER BY l.id DESC LIMIT 1) AS crossing
    FROM learner_states s CROSS JOIN app_meta m WHERE s.user_id = %(user_id)s"""  # noqa: S608


@dataclass(frozen=True)
class CurveView:
    """The curve in force; `unreachable` numbers are told to those who may edit it, None to others."""

    version: str
    curve: Curve
    unreachable: list[int] | None


@dataclass(frozen=True)
class Preview:
    """What a curve would change. `moves` count learners by level before and after; `reach`: the XP to be had."""

    moves: Sequence[Row]
    levels: int
    reach: Reach
    unreachable: list[int]
    took_ms: float

    @property
    def sample(self) -> list[dict[str, Any]]:
        """Return some learners who would move, two of each kind of move at most."""
        return list(islice((learner for move in self.moves for learner in move["sample"] or ()), SAMPLE))


@dataclass(frozen=True)
class LevelReasons:
    """Why a learner stands on a level: XP by reason, and the ledger entry that crossed the floor, if any did."""

    level: Level
    xp: int
    reasons: list[dict[str, Any]]
    crossing: dict[str, Any] | None


def get_curve(actor: Actor) -> CurveView:
    """Return the curve in force."""
    version, curve = load_curve()
    if not actor.can("level:write"):
        return CurveView(version, curve, None)
    reach = get_reach([level.xp_floor for level in curve])
    return CurveView(version, curve, unreachable(curve, reach.limit))


def replace_curve(actor: Actor, steps: Sequence[Step], version: str | None) -> CurveView:
    """Put a whole curve in force; every learner's level follows at once. Raises `StaleEdit`, `InvalidField`."""
    actor.require("level:write")
    _verify(steps)
    with transaction() as session:
        # The one row of `app_meta` is the lock: of two editors the second sees what the first did.
        meta = session.scalars(sa.select(AppMeta).with_for_update().execution_options(populate_existing=True)).one()
        if version is not None and version != f"{meta.store_id}.{meta.epoch}.{meta.levels_version}":
            raise StaleEdit
        unsettle()
        meta.levels_version += 1
        session.execute(sa.delete(LevelDefinition))
        session.add_all(
            LevelDefinition(number=number, xp_floor=step.xp_floor, translations=step.translations)
            for number, step in enumerate(steps, start=1)
        )
        session.flush()
        return get_curve(actor)


def preview_curve(actor: Actor, steps: Sequence[Step]) -> Preview:
    """Tell who would move if the curve were put in force; nothing changes. Raises `InvalidField`."""
    actor.require("level:write")
    _verify(steps)
    started = perf_counter()
    floors = [step.xp_floor for step in steps]
    moves, reach = fetch_all(_MOVES, {"floors": floors}), get_reach(floors)
    took_ms = round((perf_counter() - started) * 1000, 2)
    return Preview(moves, len(steps), reach, unreachable(curve_of(steps), reach.limit), took_ms)


def explain_level(actor: Actor, user_id: int) -> LevelReasons:
    """Return a learner's level with what led to it. Raises `NotFound`."""
    actor.require_self_or("progress:read_any", user_id)
    row = fetch_one(_WHY, {"user_id": user_id})
    if row is None:
        raise NotFound("user")
    level = level_of(row["xp_total"], curve_at(row["curve_version"]))
    return LevelReasons(level, row["xp_total"], row["reasons"], row["crossing"])


def _verify(steps: Sequence[Step]) -> None:
    index = first_fault([step.xp_floor for step in steps])
    if index == 0:
        message = Text("The first level begins at 0 XP.", "Le premier niveau commence à 0 XP.")
        raise InvalidField("/levels/0/xp_floor", message, "not_zero")
    if index is not None:
        message = Text("Each level begins above the one before.", "Chaque niveau commence plus haut que le précédent.")
        raise InvalidField(f"/levels/{index}/xp_floor", message, "not_ascending")
