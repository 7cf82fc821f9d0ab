"""What can happen to tables."""

from __future__ import annotations

from tests.services.corruptions import Corruption, by_sql

VALID = "(SELECT min(id) FROM challenge_completions WHERE user_id = :ada AND status = 'validated')"
SECOND = "user_id = :ada AND seq = 2"
EVENT = f"(SELECT event_id FROM activity_events WHERE {SECOND})"
GIFT = "user_id = :ada AND badge_code = 'gift'"
LAST = "e.user_id = :ada AND e.user_id = s.user_id AND e.seq = s.last_seq"
FORGE_EVENT = """
    INSERT INTO activity_events
    SELECT gen_random_uuid(), user_id, last_seq + 1, 'account.registered', 1, '{}', 0, now(), current_date, 'UTC'
    FROM learner_states WHERE user_id = :ada"""
FORGE_COMPLETION = """
    INSERT INTO challenge_completions (user_id, challenge_id, period, status, points, co2e_grams, evidence,
        completed_at, local_date)
    SELECT :ada, 1, 'forged', 'validated', 0, 0, '{}', now(), current_date"""
CANCELLED = "status = 'cancelled', attended_on = NULL, ended_at = now()"
ATTENDED = "user_id = :ada AND status = 'attended'"
FORGE_REGISTRATION = """
    INSERT INTO workshop_registrations (workshop_id, user_id, status, registered_at, first_seq, last_seq)
    SELECT 77, :ada, 'registered', now(), 999, 999"""
FORGE_XP = "INSERT INTO xp_entries (user_id, event_id, reason, points, local_date)"
FORGE_WAITING = "INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at, dead_at, last_error)"
# Everything that follows from a badge that no rule gives: the journal itself is consistent.
FORGE_BADGE = """
    UPDATE badge_rules SET criteria = '{"count": {"event": "challenge.completed", "at_least": 50}}'
    WHERE badge_code = 'first_step'"""


def state(change: str) -> str:
    return f"UPDATE learner_states SET {change} WHERE user_id = :ada"


def registered(change: str) -> str:
    return f"UPDATE workshop_registrations SET {change} WHERE {ATTENDED}"


def waiting(change: str) -> str:
    return f"UPDATE workshop_registrations SET {change} WHERE user_id = :ada AND status = 'waitlisted'"


def person(name: str, speaks: str, *statements: str) -> Corruption:
    """Something that only a person may mend."""
    return Corruption(name, speaks, by_sql(*statements), is_mended=False)


def mended(name: str, speaks: str, *statements: str) -> Corruption:
    return Corruption(name, speaks, by_sql(*statements))


JOURNAL = [
    person("event missing", "sequence", f"DELETE FROM activity_events WHERE {SECOND}"),
    person("last event missing", "sequence", f"DELETE FROM activity_events e USING learner_states s WHERE {LAST}"),
    person("whole journal missing", "state", "DELETE FROM activity_events WHERE user_id = :ada"),
    person("event points changed", "event points", f"UPDATE activity_events SET points = 21 WHERE {SECOND}"),
    person(
        "event payload changed",
        "experience ledger",
        f"UPDATE activity_events SET points = 21, payload = payload || '{{\"points\": 21}}' WHERE {SECOND}",
    ),
    person(
        "event day changed",
        "experience ledger",
        "UPDATE activity_events SET local_date = local_date - 3 WHERE user_id = :ada AND seq > 1",
    ),
    person(
        "event with a text for points",
        "events",
        f'UPDATE activity_events SET payload = payload || \'{{"points": "x"}}\' WHERE {SECOND}',
    ),
    person(
        "event of another id", "event ids", f"UPDATE activity_events SET event_id = gen_random_uuid() WHERE {SECOND}"
    ),
    person("event nobody recorded", "event ids", FORGE_EVENT),
    person("event of a type to come", "history", f"UPDATE activity_events SET type = 'from.tomorrow' WHERE {SECOND}"),
]
LEDGERS = [
    person("experience missing", "experience ledger", f"DELETE FROM xp_entries WHERE event_id = {EVENT}"),
    person("experience changed", "experience ledger", f"UPDATE xp_entries SET points = 0 WHERE event_id = {EVENT}"),
    person(
        "experience swapped",
        "experience ledger",
        """UPDATE xp_entries SET points = CASE id WHEN (SELECT min(id) FROM xp_entries WHERE user_id = :ada)
               THEN points + 5 ELSE points - 5 END
           WHERE user_id = :ada AND id IN (SELECT id FROM xp_entries WHERE user_id = :ada ORDER BY id LIMIT 2)""",
    ),
    person("experience of nobody", "state", f"{FORGE_XP} SELECT 4711, event_id, 'x', 5, current_date FROM {EVENT} e"),
    person("completion missing", "completions", f"DELETE FROM challenge_completions WHERE id = {VALID}"),
    person(
        "completion revoked in silence",
        "completions",
        f"UPDATE challenge_completions SET status = 'revoked' WHERE id = {VALID}",
    ),
    person(
        "completion worth more", "challenge points", f"UPDATE challenge_completions SET points = 99 WHERE id = {VALID}"
    ),
    person(
        "completion elsewhere", "completions", f"UPDATE challenge_completions SET challenge_id = 9 WHERE id = {VALID}"
    ),
    person("completion without event", "completions", FORGE_COMPLETION),
    person("waiting completion missing", "completions", "DELETE FROM challenge_completions WHERE status = 'pending'"),
    person(
        "savings of completions",
        "co2e of completions",
        f"UPDATE challenge_completions SET co2e_grams = 1 WHERE id = {VALID}",
    ),
    person("grant missing", "grants", f"DELETE FROM badge_grants WHERE {GIFT}"),
    person("grant worth more", "badge points", f"UPDATE badge_grants SET points = 11 WHERE {GIFT}"),
    person("grant of another event", "grants", f"UPDATE badge_grants SET event_id = {EVENT} WHERE {GIFT}"),
    person("grant seq", "grants", f"UPDATE badge_grants SET seq = seq + 1 WHERE {GIFT}"),
    person("grant origin", "grants", f"UPDATE badge_grants SET origin = 'rule' WHERE {GIFT}"),
    person(
        "revocation forgotten", "held badges", "UPDATE badge_grants SET revoked_at = NULL WHERE revoked_at IS NOT NULL"
    ),
    person("joining forgotten", "participation", "DELETE FROM challenge_participations"),
    person("leaving nobody told", "participation", "UPDATE challenge_participations SET left_at = joined_at"),
    person("registration row missing", "registration rows", f"DELETE FROM workshop_registrations WHERE {ATTENDED}"),
    person("registration row status", "registration rows", registered("status = 'registered', attended_on = NULL")),
    person("registration ended in silence", "registration rows", registered(CANCELLED)),
    person("attendance of another day", "registration rows", registered("attended_on = attended_on - 1")),
    person("rating changed", "registration rows", registered("rating = 1")),
    person("registration behind its events", "registration rows", registered("last_seq = last_seq - 1")),
    person("registration begun later", "registration rows", registered("first_seq = first_seq + 1")),
    person("registered earlier", "registration rows", registered("registered_at = registered_at - interval '1 day'")),
    person("seated at no moment", "registration rows", registered("seated_at = NULL")),
    person(
        "ended earlier", "registration rows", "UPDATE workshop_registrations SET ended_at = ended_at - interval '1s'"
    ),
    person("registration row elsewhere", "registration rows", registered("workshop_id = 77")),
    person("offer nobody made", "registration rows", waiting("offered_until = now() + interval '1 day'")),
    person("registration without event", "registration rows", FORGE_REGISTRATION),
    person(
        "registration row of nobody",
        "state",
        FORGE_REGISTRATION,
        "UPDATE workshop_registrations SET user_id = 4711 WHERE first_seq = 999",
    ),
    person(
        "seat taken twice",
        "overbooked",
        FORGE_REGISTRATION,
        "UPDATE workshop_registrations SET workshop_id = 2, user_id = 4711 WHERE first_seq = 999",
    ),
    person("capacity lowered in silence", "overbooked", "UPDATE workshops SET capacity = 1, taken = 1 WHERE taken = 2"),
    person(
        "free seat while somebody waits",
        "queue",
        """UPDATE workshops SET capacity = 9, updated_at = updated_at - interval '1 hour'""",
        """UPDATE workshop_registrations SET registered_at = registered_at - interval '1 hour',
               ended_at = ended_at - interval '1 hour'""",
        "UPDATE users SET updated_at = updated_at - interval '1 hour' WHERE id = :ada",
    ),
    person("hash of a comment", "comments", "UPDATE workshop_comments SET text_hash = 'x'"),
    person("comment of another author", "comments", "UPDATE workshop_comments SET user_id = 4711 WHERE user_id = :ada"),
    person("comment elsewhere", "comments", "UPDATE workshop_comments SET workshop_id = 77"),
    person(
        "comment of another day", "comments", "UPDATE workshop_comments SET created_at = created_at - interval '1 day'"
    ),
    person("comment edited at no moment", "comments", "UPDATE workshop_comments SET edited_at = NULL"),
    person("comment of another version", "comments", "UPDATE workshop_comments SET version = version + 1"),
    person("badge that its rule does not give", "badge rules", FORGE_BADGE),
    person(
        "badge that its rule gives to all",
        "badge rules",
        """UPDATE badge_rules SET criteria = '{"count": {"event": "challenge.completed", "at_least": 1}}'
           WHERE badge_code = 'far'""",
    ),
    person(
        "badge that another badge gives",
        "badge rules",
        """UPDATE badge_rules SET criteria = '{"badge": "gift"}' WHERE badge_code = 'far'""",
    ),
    person("level missing", "levels", "DELETE FROM levels WHERE number = 3"),
    person("levels lost", "levels", "DELETE FROM levels"),
    person("level out of order", "levels", "UPDATE levels SET xp_floor = 50 WHERE number = 3"),
    person("published place changed", "published board", "UPDATE leaderboard_places SET score = score + 1"),
    person("published hash changed", "published board", "UPDATE leaderboard_snapshots SET sha256 = 'x'"),
    person("identity of the store lost", "store", "DELETE FROM app_meta"),
    person("learner of rules to come", "rules version", "UPDATE learner_states SET measured_version = 9999"),
    person("counter of rules to come", "rules version", "INSERT INTO rule_measures VALUES ('x', 9999)"),
    person("other identity", "store", "UPDATE app_meta SET store_id = gen_random_uuid()"),
    person("other partner", "store", "UPDATE app_meta SET mongo_database = 'elsewhere'"),
]
STATES = [
    mended("state missing", "state", "DELETE FROM learner_states WHERE user_id = :ada"),
    mended("state behind its journal", "sequence", state("last_seq = last_seq - 1")),
    person("state ahead of its journal", "sequence", state("last_seq = last_seq + 1")),
    mended("state challenge points", "challenge points", state("challenge_points = challenge_points + 1")),
    mended("state badge points", "badge points", state("badge_points = badge_points + 1")),
    mended("state experience", "experience", state("xp_total = xp_total + 1")),
    mended("state streak", "replay", state("daily_streak = daily_streak + 1")),
    mended("state longest streak", "replay", state("longest_daily_streak = 99")),
    mended("state day", "replay", state("last_active_on = last_active_on - 1")),
    mended("state freezes", "replay", state("freezes = freezes + 1")),
    mended("state counters", "replay", state("counters = counters || '{\"challenge.completed\": 9}'")),
    mended("state counters lost", "replay", state("counters = '{}'")),
    mended("state badge forgotten", "held badges", state("held_badges = held_badges - 'gift'")),
    mended("state badge invented", "held badges", state("held_badges = held_badges || '{\"far\": {}}'")),
]
CACHES = [
    mended("board score", "leaderboard", "UPDATE leaderboard_entries SET score = score + 1 WHERE user_id = :ada"),
    mended("board entry missing", "leaderboard", "DELETE FROM leaderboard_entries WHERE user_id = :ada"),
    mended(
        "board moment",
        "leaderboard",
        "UPDATE leaderboard_entries SET reached_at = reached_at + interval '1 second' WHERE user_id = :ada",
    ),
    mended(
        "board hides somebody", "leaderboard", "UPDATE leaderboard_entries SET is_listed = false WHERE user_id = :ada"
    ),
    mended(
        "board entry of nobody",
        "leaderboard",
        """INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at)
           VALUES ('global', 'all', 4711, 5, now())""",
    ),
    mended(
        "board of another time",
        "leaderboard",
        "UPDATE leaderboard_entries SET period = '19' || substr(period, 3) WHERE user_id = :ada AND board = 'weekly'",
    ),
    mended("boards lost", "leaderboard", "DELETE FROM leaderboard_entries", "DELETE FROM leaderboard_counts"),
    mended("rank count", "rank counts", "UPDATE leaderboard_counts SET learners = learners + 1 WHERE board = 'weekly'"),
    mended("rank count missing", "rank counts", "DELETE FROM leaderboard_counts WHERE level = 2"),
    mended("rank counts lost", "rank counts", "DELETE FROM leaderboard_counts"),
    mended(
        "rank count of no place",
        "rank counts",
        "INSERT INTO leaderboard_counts VALUES ('global', 'all', 3, 90, 1, 1, false)",
    ),
    mended("eco figure", "eco total", "UPDATE eco_totals SET value = value + 1 WHERE name = 'learners'"),
    mended("eco figures lost", "eco total", "DELETE FROM eco_totals"),
    mended("eco figure of no category", "eco total", "INSERT INTO eco_totals VALUES ('co2e_grams:none', 5)"),
    mended("savings changed", "eco contribution", "UPDATE eco_contributions SET co2e_grams = co2e_grams + 1"),
    mended("savings lost", "eco contribution", "DELETE FROM eco_contributions"),
    mended("savings of nobody", "eco contribution", "INSERT INTO eco_contributions VALUES (4711, 5)"),
    mended("share of a team changed", "team contribution", "UPDATE team_contributions SET value = value + 1"),
    mended("share of a team lost", "team contribution", "DELETE FROM team_contributions WHERE user_id = :ada"),
    mended("share of another period", "team contribution", "UPDATE team_contributions SET period = 'never'"),
    mended("members counted wrong", "group members", "UPDATE groups SET members = members + 1"),
    mended("seats counted wrong", "seats", "UPDATE workshops SET taken = taken - 1 WHERE taken > 0"),
    mended("queue counted wrong", "seats", "UPDATE workshops SET waiting = waiting + 1"),
    mended("seats and queues lost", "seats", "UPDATE workshops SET taken = 0, waiting = 0"),
    mended("member gone in silence", "group members", "DELETE FROM group_memberships WHERE left_at IS NULL"),
]
OUTBOX = [
    mended(
        "dead letter",
        "dead letter",
        f"{FORGE_WAITING} SELECT event_id, :ada, 2, 8, now(), now(), 'forged' FROM {EVENT} e",
        "DELETE FROM eco_contributions",
        "DELETE FROM team_contributions",
    ),
    mended(
        "outbox row of another place",
        "outbox",
        f"{FORGE_WAITING} SELECT event_id, :ada, 99, 0, now(), NULL, NULL FROM {EVENT} e",
        "DELETE FROM eco_contributions",
        "DELETE FROM team_contributions",
    ),
    mended(
        "outbox row of somebody else",
        "outbox",
        f"{FORGE_WAITING} SELECT event_id, 4711, 2, 0, now(), NULL, NULL FROM {EVENT} e",
        "DELETE FROM eco_contributions",
        "DELETE FROM team_contributions",
    ),
    mended(
        "outbox row of no event",
        "outbox",
        f"{FORGE_WAITING} SELECT gen_random_uuid(), :ada, 99, 0, now(), NULL, NULL FROM {EVENT} e",
    ),
]
IN_POSTGRESQL = [*JOURNAL, *LEDGERS, *STATES, *CACHES, *OUTBOX]
