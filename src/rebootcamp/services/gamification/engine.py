"""The one engine that applies the pure core to the stores, inside the command's transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, Final

from rebootcamp.core.json import dumps_text
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.journal import LearnerLine
from rebootcamp.events.store import fetch_active_days
from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.criteria import measures_of
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.goals import goal_of
from rebootcamp.services.gamification.levels import Curve
from rebootcamp.services.gamification.measures import MeasureIndex, packed
from rebootcamp.services.gamification.progression import Standing, Step, advance
from rebootcamp.services.gamification.rest_days import calendar_of
from rebootcamp.services.gamification.rulebook import Badge, RuleBook
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.services.gamification.streaks import Streak
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import Statement, fetch_all, is_settled

# The rules in force, and those of the past on which somebody's badge still rests.
_RULES: Final = """
    SELECT d.code, d.tier, d.points, d.is_revocable, d.valid_days, r.version, r.criteria,
        d.is_active AND r.version = d.rule_version AS is_current
    FROM badge_rules r JOIN badge_definitions d ON d.code = r.badge_code
    WHERE d.is_active AND r.version = d.rule_version OR EXISTS (
        SELECT 1 FROM badge_grants g WHERE g.badge_code = r.badge_code AND g.rule_version = r.version
            AND g.origin <> 'manual' AND g.revoked_at IS NULL)"""
# Timed challenges of teams are known for ever: what was given to them can be counted again. Others that are withdrawn
# matter once somebody completed them: a completion cannot come any more, so the answer is the same for a whole version.
_GOALS: Final = """
    SELECT id, version, slug, translations, category, difficulty, cadence, points, criteria, opens_on, closes_on,
        requires_joining, team_target, reward_badge, is_published AND archived_at IS NULL AS is_current
    FROM challenges
    WHERE criteria IS NOT NULL AND (team_target IS NOT NULL OR is_published AND archived_at IS NULL OR EXISTS (
        SELECT 1 FROM challenge_completions d WHERE d.challenge_id = challenges.id AND d.co2e_grams = 0)) ORDER BY id"""
_HOLD_RULES: Final = "SELECT rules_version FROM app_meta FOR SHARE"
_MEASURES: Final = "SELECT key, since FROM rule_measures"
Fetch = Callable[[str], Iterable[Row]]
# A counter that nobody announced yet is complete for no learner.
NEVER: Final = 2**31 - 1


class _RuleCache:
    """The compiled rules of one version; a command that meets another version loads them again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: tuple[int, str] | None = None
        self._rules = RuleBook()

    def get(self, version: int, curve_version: str) -> RuleBook:
        with self._lock:
            if self._versions == (version, curve_version):
                return self._rules
        rules = load_rules(version, curve_at(curve_version))
        if is_settled():
            with self._lock:
                self._versions, self._rules = (version, curve_version), rules
        return rules


_cache = _RuleCache()


def rules_of(line: LearnerLine) -> RuleBook:
    """Return the rules for a locked learner: never older than those by which the learner is measured."""
    return rules_at(max(line.rules_number, line.measured_version), line.curve_version)


def rules_at(version: int, curve_version: str) -> RuleBook:
    """Return the rules of versions that a statement has just read."""
    return _cache.get(version, curve_version)


def current_rules() -> RuleBook:
    """Return the rules as they are now."""
    row = fetch_all(f"SELECT m.rules_version, {CURVE_VERSION} FROM app_meta m", {})[0]  # noqa: S608
    return rules_at(row["rules_version"], row["curve_version"])


def load_rules(version: int, curve: Curve, fetch: Fetch = lambda statement: fetch_all(statement, {})) -> RuleBook:
    """Read and compile the rules, as they are now or as `fetch` sees them.

    Raises `InvalidField` when a stored one cannot be understood.
    """
    badges = [(row["is_current"], _badge(row)) for row in fetch(_RULES)]
    since = {row["key"]: row["since"] for row in fetch(_MEASURES)}
    goals = [(row["is_current"], goal_of(SimpleNamespace(**row))) for row in fetch(_GOALS)]
    needed = {measure for _, badge in badges for measure in measures_of(badge.rule)}
    in_force = {goal.challenge_id: goal for is_current, goal in goals if is_current}
    # Withdrawn ones are known as long as their counters are kept (`touch_rules`).
    withdrawn = [goal for is_current, goal in goals if not is_current and since.keys() >= goal.kept_keys]
    needed |= {measure for goal in (*in_force.values(), *withdrawn) for measure in goal.measures}
    return RuleBook(
        badges={badge.code: badge for is_current, badge in badges if is_current},
        measures=MeasureIndex({measure: since.get(measure.key, NEVER) for measure in needed}),
        past_rules={(badge.code, badge.version): badge for is_current, badge in badges if not is_current},
        version=version,
        curve=curve,
        goals=in_force,
        withdrawn_goals=withdrawn,
        team_goals=[goal for _, goal in goals if goal.team_target is not None],
    )


def _badge(row: Row) -> Badge:
    return Badge(
        code=row["code"],
        tier=row["tier"],
        points=row["points"],
        version=row["version"],
        rule=compile_rule(row["criteria"]),
        is_revocable=row["is_revocable"],
        valid_days=row["valid_days"],
    )


_LEDGERS: Final = """
    WITH experience AS (
        INSERT INTO xp_entries (user_id, event_id, reason, points, category, local_date)
        SELECT %(user_id)s::bigint, event_id, reason, points, category, local_date
        FROM jsonb_to_recordset(%(experience)s::jsonb) AS r (
            event_id uuid, reason text, points integer, category text, local_date date)
    ), revoked AS (
        UPDATE badge_grants g SET revoked_at = r.revoked_at, revoke_reason = r.reason
        FROM jsonb_to_recordset(%(revoked)s::jsonb) AS r (badge text, revoked_at timestamptz, reason text)
        WHERE g.user_id = %(user_id)s::bigint AND g.badge_code = r.badge
    )
    INSERT INTO badge_grants AS g (
        user_id, badge_code, event_id, seq, points, origin, rule_version, evidence, awarded_at, expires_at)
    SELECT %(user_id)s::bigint, badge, event_id, seq, points, origin, rule_version, evidence, awarded_at, expires_at
    FROM jsonb_to_recordset(%(granted)s::jsonb) AS r (badge text, event_id uuid, seq bigint, points integer,
        origin text, rule_version integer, evidence jsonb, awarded_at timestamptz, expires_at timestamptz)
    ON CONFLICT (user_id, badge_code) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq,
        points = excluded.points, origin = excluded.origin, rule_version = excluded.rule_version,
        evidence = excluded.evidence, awarded_at = excluded.awarded_at, expires_at = excluded.expires_at,
        revoked_at = NULL, revoke_reason = NULL"""


class Engine:
    """The engine's reaction to the events of one deed: the pure core decides, one statement writes the ledgers."""

    def __init__(self, line: LearnerLine) -> None:
        self._line = line
        if line.last_seq == 0:
            # Held until the commit: a rule that is published meanwhile waits, and its back-fill sees this learner.
            line.rules_number = fetch_all(_HOLD_RULES, {})[0]["rules_version"]
        self._rules = rules_of(line)
        self._rest_days = calendar_of(line.calendar_version)
        self._standing = standing_of(line)
        if line.last_seq == 0:
            # Nothing happened yet, so every counter is complete.
            self._standing = replace(self._standing, measured=self._rules.version)
        self._ledgers: dict[str, list[dict[str, Any]]] = {"experience": [], "revoked": [], "granted": []}
        self._unsaved: list[RecordedEvent] = []

    def on_event(self, event: RecordedEvent) -> Sequence[Fact]:
        """Apply one event to the learner's standing; return the facts that follow from it."""
        self._unsaved.append(event)
        step = advance(self._standing, event, self._rules, self._active_days, self._rest_days)
        self._standing = step.standing
        store_standing(self._line, step.standing)
        self._note(event, step)
        return step.facts

    def writes(self) -> Iterable[Statement]:
        """Yield what writes the experience and the badges that the events gave or took back."""
        if any(self._ledgers.values()):
            rows = {name: dumps_text(entries) for name, entries in self._ledgers.items()}
            yield _LEDGERS, {"user_id": self._line.user_id, **rows}

    def _active_days(self) -> Iterable[date]:
        return fetch_active_days(self._line.user_id, self._unsaved)

    def _note(self, event: RecordedEvent, step: Step) -> None:
        event_id, fact = str(event.event_id), event.fact
        self._ledgers["experience"] += [
            {**vars(grant), "event_id": event_id, "local_date": event.local_date} for grant in step.xp
        ]
        if isinstance(fact, BadgeAwarded):
            self._ledgers["granted"].append(
                {**fact.payload(), "event_id": event_id, "seq": event.seq, "awarded_at": event.occurred_at}
            )
        elif isinstance(fact, BadgeRevoked):
            self._ledgers["revoked"].append(
                {"badge": fact.badge, "revoked_at": event.occurred_at, "reason": fact.reason}
            )


def standing_of(state: LearnerState | LearnerLine | SimpleNamespace) -> Standing:
    """Return the pure form of a stored or locked state."""
    return Standing(
        challenge_points=state.challenge_points,
        badge_points=state.badge_points,
        xp_total=state.xp_total,
        streak=Streak.from_row(vars(state)),
        counters=state.counters,
        held=state.held_badges,
        measured=state.measured_version,
    )


def store_standing(line: LearnerLine | LearnerState, standing: Standing) -> None:
    """Write a standing into a locked state."""
    line.challenge_points = standing.challenge_points
    line.badge_points = standing.badge_points
    line.xp_total = standing.xp_total
    line.daily_streak = standing.streak.current
    line.longest_daily_streak = standing.streak.longest
    line.last_active_on = standing.streak.last_active_on
    line.freezes = standing.streak.freezes
    line.perfect_quiz_streak = standing.streak.perfect_quizzes
    line.protected_days = dict(standing.streak.protected)
    line.counters = packed(standing.counters)
    line.held_badges = dict(standing.held)
    line.measured_version = standing.measured
