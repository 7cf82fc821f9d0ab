"""What can happen to documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bson import Int64
from bson.datetime_ms import DatetimeMS

from rebootcamp.storage import mongo
from tests.relay.tools import execute
from tests.services.corruptions import Corrupt, Corruption, change, forge, remove

NOBODY = 4711
HISTORY = {"type": "badge.awarded", "at": datetime(2026, 1, 1, tzinfo=UTC), "local_date": "2026-01-01", "data": {}}
AWARD = {"badge": "fake", "tier": "gold", "points": 0, "state": "held", "seq": 1}
REGISTRATION = {"workshop_id": 1, "status": "registered", "seq": 1, "steps": {"1": {"type": "registered"}}}
AGES_AGO = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = {"workshop_id": 1, "text": "x", "hash": "x", "allow_list": 1, "at": AGES_AGO}
SUMMARY = {"seq": 1, "badges": [], "recent": [], "totals": {"challenge_points": 0, "badge_points": 0}}


def event(update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("history", {"user_id": ada, "seq": 2}, update)


def award(update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("awards", {"_id": f"{ada}:gift"}, update)


def summary(update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("progress", {"_id": ada}, update)


def badge(update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("badges", {"_id": "gift"}, update)


def registration(update: dict[str, Any]) -> Corrupt:
    """Change the document of the workshop that Ada took part in."""
    return lambda ada: change("registrations", {"user_id": ada, "status": "attended"}, update)


def step(ada: int, change_of: Callable[[str], dict[str, Any]]) -> None:
    """Change the last step of that document."""
    found = mongo.collection("registrations").find_one({"user_id": ada, "status": "attended"})
    assert found is not None
    change("registrations", {"_id": found["_id"]}, change_of(f"steps.{found['seq']}"))


def forge_registration(**fields: Any) -> Corrupt:
    return lambda ada: forge("registrations", {"_id": Int64(999), "user_id": ada, **REGISTRATION, **fields})


def text(version: int, update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("comments", {"user_id": ada, "version": version}, update)


def forge_text(**fields: Any) -> Corrupt:
    return lambda ada: forge("comments", {"user_id": ada, **TEXT, **fields})


def keep_removed_text(ada: int) -> None:
    """Let a comment's row say that its texts are gone, while one of them is still there."""
    change("comments", {"user_id": ada, "version": 1}, {"$set": {"at": AGES_AGO}})
    execute("UPDATE workshop_comments SET state = 'deleted', text_hash = '' WHERE user_id = :ada", ada=ada)


def mark(update: dict[str, Any]) -> Corrupt:
    return lambda ada: change("meta", {"_id": "store"}, update)


def forge_event(**fields: Any) -> Corrupt:
    return lambda ada: forge("history", {"_id": str(uuid4()), "user_id": ada, "seq": Int64(999), **HISTORY, **fields})


def swap_events(ada: int) -> None:
    """Let two events of Ada change places."""
    for seq, place in ((2, 1002), (3, 2), (1002, 3)):
        change("history", {"user_id": ada, "seq": seq}, {"$set": {"seq": Int64(place)}})


def lose_index(_: int) -> None:
    mongo.collection("history").drop_index("line")


def lose_everything(_: int) -> None:
    for name in ("history", "awards", "progress", "registrations", "badges"):
        remove(name, {})


IN_MONGODB = [
    Corruption("history document missing", "history", lambda ada: remove("history", {"user_id": ada, "seq": 2})),
    Corruption("history of a learner missing", "history", lambda ada: remove("history", {"user_id": ada})),
    Corruption("history document of no event", "history", forge_event()),
    Corruption("history document of nobody", "history", forge_event(user_id=NOBODY)),
    Corruption("history data changed", "history", event({"$set": {"data.points": 21}})),
    Corruption("history data lost", "history", event({"$unset": {"data": 1}})),
    Corruption("history type changed", "history", event({"$set": {"type": "challenge.revoked"}})),
    Corruption("history field added", "history", event({"$set": {"extra": 1}})),
    Corruption("history moved", "history", event({"$set": {"seq": Int64(77)}})),
    Corruption("history given to somebody else", "history", event({"$set": {"user_id": NOBODY}})),
    Corruption("history swapped", "history", swap_events),
    Corruption("history date shifted", "history", event({"$set": {"local_date": "2020-02-02"}})),
    Corruption("history date beyond reason", "history", event({"$set": {"at": DatetimeMS(10**15)}})),
    Corruption("history without owner", "history", event({"$unset": {"user_id": 1}})),
    Corruption("history of a text", "history", event({"$set": {"user_id": "1"}})),
    Corruption("history of a list", "validator", event({"$set": {"user_id": [1, 2]}})),
    Corruption("history of a fraction", "validator", event({"$set": {"user_id": 1.5}})),
    Corruption("history with a float for its place", "validator", event({"$set": {"seq": 2.0}})),
    Corruption("award missing", "awards", lambda ada: remove("awards", {"_id": f"{ada}:gift"})),
    Corruption("awards of a learner missing", "awards", lambda ada: remove("awards", {"user_id": ada})),
    Corruption("revoked award missing", "awards", lambda ada: remove("awards", {"state": "revoked"})),
    Corruption("award state changed", "awards", award({"$set": {"state": "revoked"}})),
    Corruption("award points changed", "awards", award({"$set": {"points": 11}})),
    Corruption("award seq ahead", "awards", award({"$inc": {"seq": 1}})),
    Corruption("award evidence lost", "awards", award({"$unset": {"evidence": 1}})),
    Corruption("award field added", "awards", award({"$set": {"extra": 1}})),
    Corruption(
        "award nobody gave", "awards", lambda ada: forge("awards", {"_id": f"{ada}:fake", "user_id": ada, **AWARD})
    ),
    Corruption("award of nobody", "awards", lambda ada: forge("awards", {"_id": "4711:x", "user_id": NOBODY, **AWARD})),
    Corruption("award without owner", "awards", award({"$unset": {"user_id": 1}})),
    Corruption("award of an object", "awards", award({"$set": {"user_id": {"id": 1}}})),
    Corruption("award with a text for points", "validator", award({"$set": {"points": "10"}})),
    Corruption("registration missing", "registrations", lambda ada: remove("registrations", {"user_id": ada})),
    Corruption("registrations lost", "registrations", lambda ada: remove("registrations", {})),
    Corruption("registration status", "registrations", registration({"$set": {"status": "cancelled"}})),
    Corruption("registration behind", "registrations", registration({"$inc": {"seq": -1}})),
    Corruption("registration ahead", "registrations", registration({"$inc": {"seq": 100}})),
    Corruption("registration answers", "registrations", registration({"$set": {"answers.why": "For fun."}})),
    Corruption("registration note lost", "registrations", registration({"$unset": {"note": 1}})),
    Corruption("registration rating", "registrations", registration({"$set": {"rating": 1}})),
    Corruption("registration feedback", "registrations", registration({"$set": {"feedback": "Bad."}})),
    Corruption("registration elsewhere", "registrations", registration({"$set": {"workshop_id": Int64(77)}})),
    Corruption("registration of nobody", "registrations", forge_registration(user_id=NOBODY)),
    Corruption("registration nobody made", "registrations", forge_registration()),
    Corruption("registration without owner", "registrations", registration({"$unset": {"user_id": 1}})),
    Corruption("registration field added", "registrations", registration({"$set": {"extra": 1}})),
    Corruption("registration with a float", "validator", registration({"$set": {"rating": 5.0}})),
    Corruption("registration with a text for steps", "registrations", registration({"$set": {"steps": "none"}})),
    Corruption("step lost", "registrations", lambda ada: step(ada, lambda path: {"$unset": {path: 1}})),
    Corruption("step changed", "registrations", lambda ada: step(ada, lambda path: {"$set": {f"{path}.rating": 1}})),
    Corruption("step added", "registrations", registration({"$set": {"steps.999": {"type": "left"}}})),
    Corruption("text missing", "comments", lambda ada: remove("comments", {"user_id": ada}), is_mended=False),
    Corruption("version missing", "comments", lambda _: remove("comments", {"version": 1}), is_mended=False),
    Corruption("text changed", "comments", text(1, {"$set": {"text": "Third."}}), is_mended=False),
    Corruption("hash of a text", "comments", text(2, {"$set": {"hash": "0" * 64}}), is_mended=False),
    Corruption("text of another author", "comments", text(1, {"$set": {"user_id": NOBODY}}), is_mended=False),
    Corruption("text about another workshop", "comments", text(2, {"$set": {"workshop_id": 77}}), is_mended=False),
    Corruption("text of another day", "comments", text(2, {"$set": {"at": AGES_AGO}}), is_mended=False),
    Corruption("text that was removed", "comments left behind", keep_removed_text, is_mended=False),
    Corruption("text without hash", "comments", text(2, {"$unset": {"hash": 1}}), is_mended=False),
    Corruption(
        "text of no comment",
        "comments left behind",
        forge_text(_id="99:1", comment_id=99, version=1),
        is_mended=False,
    ),
    Corruption(
        "version that no row names",
        "comments left behind",
        forge_text(_id="1:3", comment_id=1, version=3),
        is_mended=False,
    ),
    Corruption("progress missing", "progress", lambda ada: remove("progress", {"_id": ada})),
    Corruption("progress behind", "progress", summary({"$inc": {"seq": -1}})),
    Corruption("progress ahead", "progress", summary({"$inc": {"seq": 100}})),
    Corruption("progress totals", "progress", summary({"$inc": {"totals.challenge_points": 1}})),
    Corruption("progress badge lost", "progress", summary({"$pop": {"badges": 1}})),
    Corruption("progress recent lost", "progress", summary({"$pop": {"recent": -1}})),
    Corruption("progress of nobody", "progress", lambda ada: forge("progress", {"_id": NOBODY, **SUMMARY})),
    Corruption("progress without badges", "progress", summary({"$unset": {"badges": 1}})),
    Corruption("progress without totals", "progress", summary({"$unset": {"totals": 1}})),
    Corruption("progress with a text for seq", "progress", summary({"$set": {"seq": "2"}})),
    Corruption("progress with a number for recent", "progress", summary({"$set": {"recent": 2}})),
    Corruption("progress field added", "progress", summary({"$set": {"extra": 1}})),
    Corruption("progress of a text", "validator", lambda ada: forge("progress", {"_id": "ada"})),
    Corruption("badge missing", "badges", lambda ada: remove("badges", {"_id": "gift"})),
    Corruption("badge changed", "badges", badge({"$set": {"texts.fr.name": "Cadeau"}})),
    Corruption("badge of an older version", "badges", badge({"$inc": {"version": -1}})),
    Corruption("badge of a version to come", "badges", badge({"$inc": {"version": 9}})),
    Corruption("badge nobody defined", "badges", lambda ada: forge("badges", {"_id": "fake"})),
    Corruption("everything lost", "history", lose_everything),
    Corruption("index lost", "schema", lose_index),
    Corruption("validator lost", "schema", lambda ada: mongo.database().command("collMod", "awards", validator={})),
    Corruption("other store", "store", mark({"$set": {"store_id": str(uuid4())}}), is_mended=False),
    Corruption("other epoch", "store", mark({"$inc": {"epoch": 1}}), is_mended=False),
    Corruption("mark without store", "store", mark({"$unset": {"store_id": 1}}), is_mended=False),
    Corruption("mark without epoch", "store", mark({"$unset": {"epoch": 1}}), is_mended=False),
    Corruption("no mark", "store", lambda ada: remove("meta", {"_id": "store"}), is_mended=False),
]
