"""The joined progress of a learner: one PostgreSQL statement and one MongoDB find, whatever the history's length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from rebootcamp.core import clock
from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.events.facts import UnreadableEvent
from rebootcamp.events.projector import fold_all, recent_entry
from rebootcamp.events.store import EVENT_JSON, readable, recorded_from_json
from rebootcamp.models.mongo.progress import ProgressDocument
from rebootcamp.services.gamification.levels import Level, level_of
from rebootcamp.services.gamification.progression import CATEGORY_POINTS, CHALLENGES, CO2E
from rebootcamp.services.gamification.rules import counter_key
from rebootcamp.services.gamification.streaks import Streak
from rebootcamp.storage.mongo import MongoUnavailable, reading
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one

# More pending events than this are not folded: PostgreSQL then tells the whole story at a fixed price.
MAX_GAP: Final = 100

_CATEGORY_KEYS: Final = [
    (name, counter_key(CHALLENGES, "category", name), counter_key(CATEGORY_POINTS, "category", name))
    for name in CATEGORIES
]

_OPEN: Final = """ch.is_published AND ch.archived_at IS NULL
    AND (ch.starts_at IS NULL OR ch.starts_at <= %(now)s) AND (ch.ends_at IS NULL OR ch.ends_at > %(now)s)"""

_VERSION_COLUMNS: Final = """
    c.role AS caller_role, c.token_version AS caller_token_version, c.is_active AS caller_is_active,
    c.timezone AS caller_timezone, m.token_epoch, m.rules_version, m.catalogue_version,
    u.id AS user_id, u.display_name, u.timezone, u.version AS user_version, s.last_seq,
    o.published, o.published_set"""

# Time alone may close one challenge and open another: the number of the open ones does not tell.
_SOURCES: Final = f"""
    FROM users c CROSS JOIN app_meta m
    CROSS JOIN (SELECT count(*) AS published, coalesce(sum(hashint8(ch.id)), 0) AS published_set
        FROM challenges ch WHERE {_OPEN}) o
    LEFT JOIN users u ON u.id = %(user_id)s LEFT JOIN learner_states s ON s.user_id = u.id
    WHERE c.id = %(caller_id)s"""  # noqa: S608

_VERSION: Final = f"SELECT {_VERSION_COLUMNS} {_SOURCES}"

_PROGRESS: Final = f"""
    SELECT {_VERSION_COLUMNS},
        s.challenge_points, s.badge_points, s.xp_total, s.daily_streak, s.longest_daily_streak,
        s.perfect_quiz_streak, s.last_active_on, s.freezes, s.counters,
        (SELECT count(*) FROM challenges ch WHERE {_OPEN} AND EXISTS (
            SELECT 1 FROM challenge_completions cc
            WHERE cc.user_id = u.id AND cc.challenge_id = ch.id AND cc.status = 'validated')) AS published_completed,
        (SELECT jsonb_agg({EVENT_JSON} ORDER BY e.seq) FROM (
            SELECT * FROM activity_events WHERE user_id = u.id AND seq > %(projected_seq)s
            ORDER BY seq LIMIT {MAX_GAP + 1}) e) AS gap,
        EXISTS (SELECT 1 FROM outbox o WHERE o.user_id = u.id AND o.dead_at IS NOT NULL) AS has_dead_letters
    {_SOURCES}"""  # noqa: S608

_LEDGER: Final = f"""
    SELECT
        (SELECT jsonb_agg(jsonb_build_object(
            'code', g.badge_code, 'tier', s.held_badges -> g.badge_code ->> 'tier', 'points', g.points,
            'awarded_at', g.awarded_at, 'event_id', g.event_id) ORDER BY g.seq)
         FROM badge_grants g WHERE g.user_id = s.user_id AND g.revoked_at IS NULL) AS badges,
        (SELECT jsonb_agg({EVENT_JSON} ORDER BY e.seq DESC) FROM (
            SELECT * FROM activity_events WHERE user_id = s.user_id ORDER BY seq DESC LIMIT 20) e) AS recent,
        s.last_seq, s.challenge_points, s.badge_points
    FROM learner_states s WHERE s.user_id = %(user_id)s"""  # noqa: S608


@dataclass(frozen=True)
class Progress:
    """A learner's progress: PostgreSQL's row and MongoDB's summary, brought up to the same event."""

    row: Row
    summary: ProgressDocument
    projected_seq: int
    is_degraded: bool

    @property
    def streak(self) -> Streak:
        """Return the daily streak as stored; `as_of` tells whether it still runs."""
        return Streak(self.row["daily_streak"], self.row["longest_daily_streak"], self.row["last_active_on"])

    @property
    def local_date(self) -> date:
        """Return today by the learner's calendar."""
        return local_date_of(self.row)

    @property
    def level(self) -> Level:
        """Return the level that the XP total reaches."""
        return level_of(self.row["xp_total"])

    @property
    def completed(self) -> int:
        """Return how many different challenges the learner ever completed validly."""
        return int(self.row["counters"].get(CHALLENGES, 0))

    @property
    def co2e_grams(self) -> int:
        """Return the grams of CO2e that all valid completions save."""
        return int(self.row["counters"].get(CO2E, 0))

    @property
    def by_category(self) -> list[tuple[str, int, int]]:
        """Return `(category, different challenges completed, points)` for each category with a completion."""
        counters = self.row["counters"]
        rows = (
            (category, counters.get(completed, 0), counters.get(points, 0))
            for category, completed, points in _CATEGORY_KEYS
        )
        return [row for row in rows if row[1]]


def local_date_of(row: Row) -> date:
    """Return today by the calendar of the learner in a progress row."""
    return clock.local_date(clock.now(), row["timezone"] or "UTC")


def get_progress_version(caller_id: int, user_id: int) -> Row | None:
    """Return what the representation depends on, with the caller's row, in one statement; None: unknown caller."""
    return fetch_one(_VERSION, {"caller_id": caller_id, "user_id": user_id, "now": clock.now()})


def get_progress(caller_id: int, user_id: int) -> Progress | None:
    """Return the learner's progress with the caller's row; None for an unknown caller.

    `row["user_id"]` is None for an unknown learner. MongoDB is read first: what PostgreSQL then tells is never
    older, and the events in between are folded in, so the answer is never behind a write.
    """
    stored, is_degraded = _stored_summary(user_id)
    projected_seq = stored["seq"] if stored else 0
    parameters = {"caller_id": caller_id, "user_id": user_id, "now": clock.now(), "projected_seq": projected_seq}
    row = fetch_one(_PROGRESS, parameters)
    if row is None:
        return None
    if row["last_seq"] is None:
        return Progress(row, ProgressDocument(user_id), 0, is_degraded)
    summary = _caught_up(row, stored, user_id) or _summary_from_ledger(user_id)
    return Progress(row, summary, projected_seq, is_degraded)


def _stored_summary(user_id: int) -> tuple[dict[str, Any] | None, bool]:
    try:
        with reading():
            return ProgressDocument.find(user_id), False
    except MongoUnavailable:
        return None, True


def _caught_up(row: Row, stored: dict[str, Any] | None, user_id: int) -> ProgressDocument | None:
    """Return the stored summary with what it lacks, or None when PostgreSQL should tell it all."""
    gap = row["gap"] or ()
    if row["has_dead_letters"] or len(gap) > MAX_GAP:
        return None
    try:
        summary = ProgressDocument.from_bson(stored) if stored else ProgressDocument(user_id)
        return fold_all(summary, map(recorded_from_json, gap))
    except (UnreadableEvent, KeyError):
        return None


def _summary_from_ledger(user_id: int) -> ProgressDocument:
    """Make the summary from PostgreSQL alone."""
    row = fetch_one(_LEDGER, {"user_id": user_id})
    if row is None:
        return ProgressDocument(user_id)
    badges = [badge | {"awarded_at": clock.parse(badge["awarded_at"])} for badge in row["badges"] or ()]
    events = readable(row["recent"] or (), recorded_from_json)
    return ProgressDocument(
        user_id=user_id,
        seq=row["last_seq"],
        badges=tuple(badges),
        totals={"challenge_points": row["challenge_points"], "badge_points": row["badge_points"]},
        recent=tuple(map(recent_entry, events)),
    )
