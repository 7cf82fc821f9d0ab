"""What one would write without any framework: one query, one find, orjson; and the naive double write.

Both applications run under gunicorn with the workers and threads of the service. They authenticate nobody.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import orjson
import psycopg2
from bson.codec_options import CodecOptions
from pymongo import MongoClient

Start = Callable[[str, list[tuple[str, str]]], object]

READ = """
    SELECT u.id, u.display_name, s.challenge_points, s.xp_total, s.daily_streak,
        c.challenge_id, c.points, c.completed_at
    FROM users u JOIN learner_states s ON s.user_id = u.id
    LEFT JOIN LATERAL (SELECT challenge_id, points, completed_at FROM challenge_completions
        WHERE user_id = u.id ORDER BY completed_at DESC LIMIT 20) c ON true
    WHERE u.id = %s"""
COMPLETE = """
    INSERT INTO challenge_completions
        (user_id, challenge_id, period, status, points, co2e_grams, evidence, completed_at, local_date)
    VALUES (%s, %s, 'once', 'validated', 20, 100, '{}', now(), current_date) ON CONFLICT DO NOTHING RETURNING id"""
STATE = """
    UPDATE learner_states SET challenge_points = challenge_points + 20, last_seq = last_seq + 1
    WHERE user_id = %s RETURNING last_seq, challenge_points"""
EVENT = """
    INSERT INTO activity_events
        (event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    VALUES (%s, %s, %s, 'challenge.completed', 1, '{}', 20, now(), current_date, 'UTC')"""

GUESTS = """
    SELECT w.id, w.translations, w.capacity, w.taken, w.waiting, w.starts_at, w.ends_at,
        r.id, r.status, r.registered_at, u.id, u.display_name, u.email
    FROM workshops w CROSS JOIN LATERAL (
        SELECT * FROM workshop_registrations WHERE workshop_id = w.id ORDER BY id LIMIT 20) r
    JOIN users u ON u.id = r.user_id WHERE w.id = %s ORDER BY r.id"""
SEAT = "UPDATE workshops SET taken = taken + 1 WHERE id = %s AND taken < capacity RETURNING taken"
REGISTER = """
    INSERT INTO workshop_registrations (workshop_id, user_id, status, registered_at, seated_at, first_seq, last_seq)
    VALUES (%s, %s, 'registered', now(), now(), 1, 1) ON CONFLICT DO NOTHING RETURNING id"""
LINE = "UPDATE learner_states SET last_seq = last_seq + 1 WHERE user_id = %s RETURNING last_seq"
REGISTERED = """
    INSERT INTO activity_events
        (event_id, user_id, seq, type, version, payload, points, occurred_at, local_date, timezone)
    VALUES (%s, %s, %s, 'workshop.registered', 1, '{}', 0, now(), current_date, 'UTC')"""

_local = threading.local()
_client: list[Any] = []


def connection() -> Any:
    """Return this thread's PostgreSQL connection."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
        _local.connection.autocommit = True
    return _local.connection


def documents() -> Any:
    """Return this process's MongoDB database; majority and journal, so that nothing acknowledged is lost."""
    if not _client:
        _client.append(MongoClient(os.environ["BENCH_MONGODB_URI"], w="majority", journal=True, tz_aware=True))
    return _client[0].get_database(os.environ["BENCH_MONGODB_DATABASE"], codec_options=CodecOptions(tz_aware=True))


def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Route by hand: GET /progress/<user>, POST /complete/<user>/<challenge>, and the same of workshops."""
    name, *numbers = environ["PATH_INFO"].split("/")[1:]
    data = orjson.dumps(ROUTES[name](*map(int, numbers)))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def read(user_id: int) -> dict[str, Any]:
    """Join the learner, twenty completions and the summary document."""
    with connection().cursor() as cursor:
        cursor.execute(READ, (user_id,))
        rows = cursor.fetchall()
    summary = documents()["progress"].find_one({"_id": user_id})
    _, name, points, xp, streak = rows[0][:5]
    return {
        "user": {"id": user_id, "display_name": name},
        "score": {"challenge_points": points, "badge_points": summary["totals"]["badge_points"]},
        "xp": xp,
        "streak": streak,
        "completions": [{"challenge_id": r[5], "points": r[6], "completed_at": r[7]} for r in rows],
        "badges": summary["badges"],
        "recent": summary["recent"],
    }


def write(user_id: int, challenge_id: int) -> dict[str, Any]:
    """Commit to PostgreSQL, then upsert two documents: a crash in between separates them for good."""
    event_id = uuid4()
    raw = connection()
    with raw.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(COMPLETE, (user_id, challenge_id))
        created = cursor.fetchone()
        cursor.execute(STATE, (user_id,))
        seq, points = cursor.fetchone()
        cursor.execute(EVENT, (str(event_id), user_id, seq))
        cursor.execute("COMMIT")
    entry = {"id": str(event_id), "seq": seq, "type": "challenge.completed", "data": {"challenge_id": challenge_id}}
    database = documents()
    database["naive_history"].update_one({"_id": str(event_id)}, {"$set": {"user_id": user_id, **entry}}, upsert=True)
    database["naive_progress"].update_one(
        {"_id": user_id},
        {"$set": {"seq": seq, "points": points}, "$push": {"recent": {"$each": [entry], "$slice": -20}}},
        upsert=True,
    )
    return {"id": created and created[0], "points": points}


def guests(workshop_id: int) -> dict[str, Any]:
    """Join a workshop, twenty registrations and their documents."""
    with connection().cursor() as cursor:
        cursor.execute(GUESTS, (workshop_id,))
        rows = cursor.fetchall()
    found = {d["_id"]: d for d in documents()["registrations"].find({"_id": {"$in": [row[7] for row in rows]}})}
    names = ("id", "texts", "capacity", "taken", "waiting", "starts_at", "ends_at")
    return {
        "workshop": dict(zip(names, rows[0], strict=False)),
        "items": [
            {
                "id": row[7],
                "status": row[8],
                "registered_at": row[9],
                "user": {"id": row[10], "display_name": row[11], "email": row[12]},
                "answers": found[row[7]]["answers"],
                "note": found[row[7]]["note"],
                "history": list(found[row[7]]["steps"].values()),
            }
            for row in rows
        ],
    }


def register(user_id: int, workshop_id: int) -> dict[str, Any]:
    """Commit a seat to PostgreSQL, then write two documents: a crash in between separates them for good."""
    event_id = uuid4()
    raw = connection()
    with raw.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(SEAT, (workshop_id,))
        cursor.fetchone()
        cursor.execute(REGISTER, (workshop_id, user_id))
        created = cursor.fetchone()
        cursor.execute(LINE, (user_id,))
        (seq,) = cursor.fetchone()
        cursor.execute(REGISTERED, (str(event_id), user_id, seq))
        cursor.execute("COMMIT")
    entry = {"id": str(event_id), "seq": seq, "type": "workshop.registered", "data": {"workshop_id": workshop_id}}
    database = documents()
    database["naive_history"].update_one({"_id": str(event_id)}, {"$set": {"user_id": user_id, **entry}}, upsert=True)
    database["naive_registrations"].update_one(
        {"_id": f"{workshop_id}:{user_id}"}, {"$set": {"status": "registered", "seq": seq}}, upsert=True
    )
    return {"id": created and created[0], "status": "registered"}


ROUTES: dict[str, Callable[..., dict[str, Any]]] = {
    "progress": read,
    "complete": write,
    "guests": guests,
    "register": register,
}
