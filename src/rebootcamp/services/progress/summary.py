"""The joined progress of a learner: one PostgreSQL statement and one MongoDB find, whatever the history's length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.core.days import Days
from rebootcamp.events.facts import UnreadableEvent
from rebootcamp.events.projector import RECENT, fold_all, recent_entry
from rebootcamp.events.store import first_events, has_dead_letters, newest_events, readable, recorded_from_json
from rebootcamp.models.mongo.progress import ProgressDocument
from rebootcamp.models.sql.accounts import day_columns
from rebootcamp.models.sql.calendar import CALENDAR_VERSION
from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.models.sql.operations import RULES_VERSION
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.levels import Level, level_of
from rebootcamp.services.gamification.measures import counter_key
from rebootcamp.services.gamification.progression import CATEGORY_POINTS, CHALLENGES, CO2E
from rebootcamp.services.progress.streaks import Diary
from rebootcamp.storage import mongo
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

_VERSION_COLUMNS: Final = f"""
    c.role AS caller_role, c.token_version AS caller_token_version, c.is_active AS caller_is_active,
    m.token_epoch, m.mongo_database, {RULES_VERSION} AS rules_version, m.catalogue_version, {CURVE_VERSION},
    {CALENDAR_VERSION}, u.id AS user_id, u.display_name, u.nickname, u.version AS user_version, s.last_seq,
    {day_columns("u")}, o.published, o.published_set"""

# Time alone may close one challenge and open another: the number of the open ones does not tell.
_JOINS: Final = f"""
    FROM users c CROSS JOIN app_meta m
    CROSS JOIN (SELECT count(*) AS published, coalesce(sum(hashint8(ch.id)), 0) AS published_set
        FROM challenges ch WHERE {_OPEN}) o
    LEFT JOIN users u ON u.id = %(user_id)s LEFT JOIN learner_states s ON s.user_id = u.id"""  # noqa: S608

# Pictures add the condition that a shared key opens them.
VERSION: Final = f"SELECT {_VERSION_COLUMNS} {_JOINS} WHERE c.id = %(caller_id)s"

_PROGRESS: Final = f"""
    SELECT {_VERSION_COLUMNS},
        s.challenge_points, s.badge_points, s.xp_total, s.daily_streak, s.longest_daily_streak,
        s.perfect_quiz_streak, s.last_active_on, s.freezes, s.protected_days, s.counters,
        (SELECT count(*) FROM challenges ch WHERE {_OPEN} AND EXISTS (
            SELECT 1 FROM challenge_completions cc
            WHERE cc.user_id = u.id AND cc.challenge_id = ch.id AND cc.status = 'validated')) AS published_completed,
        {first_events("u.id", "%(projected_seq)s", MAX_GAP)} AS gap,
        tells_all,
        CASE WHEN tells_all THEN (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'code', g.badge_code, 'tier', s.held_badges -> g.badge_code ->> 'tier', 'points', g.points,
                'awarded_at', g.awarded_at, 'event_id', g.event_id) ORDER BY g.seq), '[]')
            FROM badge_grants g WHERE g.user_id = u.id AND g.revoked_at IS NULL) END AS held,
        CASE WHEN tells_all THEN {newest_events("u.id", RECENT)} END AS newest
    {_JOINS}
    CROSS JOIN LATERAL (
        SELECT %(tells_all)s::boolean OR s.last_seq > %(projected_seq)s::bigint + {MAX_GAP}
            OR {has_dead_letters("u.id")} AS tells_all) t
    WHERE c.id = %(caller_id)s"""  # noqa: S608


@dataclass(frozen=True)
class Progress:
    """A learner's progress: PostgreSQL's row and MongoDB's summary, brought up to the same event."""

    row: Row
    summary: ProgressDocument
    projected_seq: int
    is_degraded: bool

    @property
    def diary(self) -> Diary:
        """Return the streaks as they stand today."""
        return Diary.from_row(self.row)

    @property
    def level(self) -> Level:
        """Return the level that the XP total reaches."""
        return level_of(self.row["xp_total"], curve_at(self.row["curve_version"]))

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
    return Days.from_row(row).date_of(clock.now())


def versions_of(row: Row) -> tuple[int | str, ...]:
    """Return what changes whenever the learner's figures or the texts about them do, of a progress row."""
    return tuple(
        row[name]
        for name in (
            "last_seq",
            "user_version",
            "rules_version",
            "catalogue_version",
            "curve_version",
            "calendar_version",
        )
    )


def get_progress_version(caller_id: int, user_id: int) -> Row | None:
    """Return what the representation depends on, with the caller's row, in one statement; None: unknown caller."""
    return fetch_one(VERSION, {"caller_id": caller_id, "user_id": user_id, "now": clock.now()})


def get_progress(caller_id: int, user_id: int) -> Progress | None:
    """Return the learner's progress with the caller's row; None for an unknown caller.

    `row["user_id"]` is None for an unknown learner. MongoDB is read first: what PostgreSQL then tells is never
    older, and the events in between are folded in, so the answer is never behind a write.
    """
    mongo.presume()
    found = _joined(caller_id, user_id)
    # The pair was switched: the former database lacks what was delivered since.
    while found is not None and found.row["mongo_database"] != mongo.database_name():
        mongo.follow(found.row["mongo_database"])
        found = _joined(caller_id, user_id)
    return found


def _joined(caller_id: int, user_id: int) -> Progress | None:
    stored, is_degraded = _stored_summary(user_id)
    parameters = {"caller_id": caller_id, "user_id": user_id, "now": clock.now(), "projected_seq": stored.seq}
    row = fetch_one(_PROGRESS, {**parameters, "tells_all": False})
    if row is None or row["last_seq"] is None:
        return Progress(row, stored, 0, is_degraded) if row else None
    try:
        summary = _caught_up(row, stored)
    except UnreadableEvent:
        # Written by a newer version of the service, and not a dead letter yet: PostgreSQL knows what it led to.
        row = fetch_one(_PROGRESS, {**parameters, "tells_all": True}) or row
        summary = _from_ledger(row, user_id)
    return Progress(row, summary, stored.seq, is_degraded)


def _stored_summary(user_id: int) -> tuple[ProgressDocument, bool]:
    """Return MongoDB's summary, an empty one where there is none, and whether MongoDB was away."""
    try:
        with reading():
            document = ProgressDocument.find(user_id)
            return ProgressDocument.from_bson(document) if document else ProgressDocument(user_id), False
    except MongoUnavailable:
        return ProgressDocument(user_id), True
    except KeyError:
        return ProgressDocument(user_id), False


def _caught_up(row: Row, stored: ProgressDocument) -> ProgressDocument:
    """Return the stored summary with what it lacks; raise `UnreadableEvent`."""
    if row["tells_all"]:
        return _from_ledger(row, stored.user_id)
    return fold_all(stored, map(recorded_from_json, row["gap"] or ()))


def _from_ledger(row: Row, user_id: int) -> ProgressDocument:
    """Make the summary from PostgreSQL alone, at a price that does not grow with the history."""
    badges = [badge | {"awarded_at": clock.parse(badge["awarded_at"])} for badge in row["held"]]
    events = readable(row["newest"] or (), recorded_from_json)
    return ProgressDocument(
        user_id=user_id,
        seq=row["last_seq"],
        badges=tuple(badges),
        totals={"challenge_points": row["challenge_points"], "badge_points": row["badge_points"]},
        recent=tuple(map(recent_entry, events)),
    )
