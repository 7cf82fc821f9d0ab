"""The one engine that applies the pure core to the stores, inside the command's transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from rebootcamp.core.json import dumps_text
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.journal import LearnerLine
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.progression import Badge, RuleBook, Standing, Step, advance
from rebootcamp.services.gamification.rest_days import calendar_of
from rebootcamp.services.gamification.rules import compile_rule
from rebootcamp.services.gamification.streaks import Streak
from rebootcamp.storage.statements import fetch_all

_RULES: Final = "SELECT code, tier, points, version, criteria FROM badge_definitions WHERE is_active"


class _RuleCache:
    """The compiled rules of one version; a command that meets another version loads them again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: int | None = None
        self._rules = RuleBook(())

    def get(self, version: int) -> RuleBook:
        with self._lock:
            if self._version == version:
                return self._rules
        rules = load_rules()
        with self._lock:
            self._version, self._rules = version, rules
        return rules


_cache = _RuleCache()


def load_rules() -> RuleBook:
    """Read and compile the active badge rules."""
    rows = fetch_all(_RULES, {})
    return RuleBook(
        Badge(row["code"], row["tier"], row["points"], row["version"], compile_rule(row["criteria"])) for row in rows
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
        user_id, badge_code, event_id, seq, points, origin, rule_version, evidence, awarded_at)
    SELECT %(user_id)s::bigint, badge, event_id, seq, points, origin, rule_version, evidence, awarded_at
    FROM jsonb_to_recordset(%(granted)s::jsonb) AS r (badge text, event_id uuid, seq bigint, points integer,
        origin text, rule_version integer, evidence jsonb, awarded_at timestamptz)
    ON CONFLICT (user_id, badge_code) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq,
        points = excluded.points, origin = excluded.origin, rule_version = excluded.rule_version,
        evidence = excluded.evidence, awarded_at = excluded.awarded_at, revoked_at = NULL, revoke_reason = NULL"""

_ACTIVE_DAYS: Final = """
    SELECT DISTINCT local_date FROM challenge_completions WHERE user_id = %(user_id)s AND status = 'validated'"""


def active_days(user_id: int) -> list[date]:
    """Return the local dates on which a learner's valid completions lie."""
    return [row["local_date"] for row in fetch_all(_ACTIVE_DAYS, {"user_id": user_id})]


class Engine:
    """The engine's reaction to the events of one deed: the pure core decides, one statement writes the ledgers."""

    def __init__(self, line: LearnerLine) -> None:
        self._line = line
        self._rules = _cache.get(line.rules_version)
        self._rest_days = calendar_of(line.calendar_version)
        self._standing = standing_of(line)
        self._ledgers: dict[str, list[dict[str, Any]]] = {"experience": [], "revoked": [], "granted": []}

    def on_event(self, event: RecordedEvent) -> Sequence[Fact]:
        """Apply one event to the learner's standing; return the facts that follow from it."""
        step = advance(self._standing, event, self._rules, self._active_days, self._rest_days)
        self._standing = step.standing
        _store(self._line, step.standing)
        self._note(event, step)
        return step.facts

    def save(self) -> None:
        """Write the experience and the badges that the events gave or took back."""
        if any(self._ledgers.values()):
            rows = {name: dumps_text(entries) for name, entries in self._ledgers.items()}
            fetch_all(_LEDGERS, {"user_id": self._line.user_id, **rows})

    def _active_days(self) -> Iterable[date]:
        return active_days(self._line.user_id)

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


def standing_of(state: LearnerState | LearnerLine) -> Standing:
    """Return the pure form of a stored or locked state."""
    return Standing(
        challenge_points=state.challenge_points,
        badge_points=state.badge_points,
        xp_total=state.xp_total,
        streak=Streak.from_row(vars(state)),
        counters=state.counters,
        held=state.held_badges,
    )


def _store(line: LearnerLine, standing: Standing) -> None:
    line.challenge_points = standing.challenge_points
    line.badge_points = standing.badge_points
    line.xp_total = standing.xp_total
    line.daily_streak = standing.streak.current
    line.longest_daily_streak = standing.streak.longest
    line.last_active_on = standing.streak.last_active_on
    line.freezes = standing.streak.freezes
    line.perfect_quiz_streak = standing.streak.perfect_quizzes
    line.protected_days = dict(standing.streak.protected)
    line.counters = dict(standing.counters)
    line.held_badges = dict(standing.held)
