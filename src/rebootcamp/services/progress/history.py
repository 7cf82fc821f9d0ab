"""History and awards: MongoDB's documents, with the events that are still on their way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import NotFound
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.projector import AWARDS, history_document
from rebootcamp.events.store import fetch_journal, fetch_pending
from rebootcamp.models.mongo.badges import AwardDocument
from rebootcamp.models.mongo.progress import HistoryDocument
from rebootcamp.models.sql.operations import RULES_VERSION
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc, MongoUnavailable, reading
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one

HISTORY_ORDER, AWARD_ORDER = "history", "awards"

_LIST_VERSION: Final = f"""
    SELECT s.last_seq, {RULES_VERSION} AS rules_version
    FROM learner_states s CROSS JOIN app_meta m WHERE s.user_id = %(user_id)s"""  # noqa: S608

_GRANTS: Final = """
    SELECT g.user_id, g.badge_code AS badge, s.held_badges -> g.badge_code ->> 'tier' AS held_tier, d.tier, g.points,
        g.seq, g.origin, g.rule_version, g.evidence, g.event_id, g.awarded_at, g.expires_at, g.revoked_at,
        g.revoke_reason
    FROM badge_grants g JOIN badge_definitions d ON d.code = g.badge_code
    JOIN learner_states s ON s.user_id = g.user_id
    WHERE g.user_id = %(user_id)s"""


@dataclass(frozen=True)
class HistoryPage:
    """A page of documents; degraded when PostgreSQL had to stand in for MongoDB."""

    page: Page[Doc]
    is_degraded: bool


def get_list_version(actor: Actor, user_id: int) -> tuple[int, str]:
    """Return what a learner's lists depend on, the newest event and the names of badges; raise `NotFound`."""
    actor.require_self_or("progress:read_any", user_id)
    row = fetch_one(_LIST_VERSION, {"user_id": user_id})
    if row is None:
        raise NotFound("user")
    return row["last_seq"], row["rules_version"]


def list_history(actor: Actor, user_id: int, page: PageRequest, *, event_type: str | None) -> HistoryPage:
    """List a learner's events, newest first: `history` documents. Raises `NotFound`."""
    get_list_version(actor, user_id)
    key = page.key(HISTORY_ORDER, (int,))
    before = int(key[0]) if key else None
    wanted: dict[str, Any] = {"before": before, "event_type": event_type, "limit": page.limit + 1}
    # PostgreSQL first: an event that is no longer pending here is already in MongoDB when that is asked.
    pending = [history_document(event) for event in fetch_pending(user_id, **wanted)]
    documents, is_degraded = _stored_or_journal(user_id, wanted)
    merged = sorted(by_id([*pending, *documents]).values(), key=lambda document: -document["seq"])
    return HistoryPage(paginate(merged, page.limit, HISTORY_ORDER, lambda document: (document["seq"],)), is_degraded)


def list_awards(actor: Actor, user_id: int, page: PageRequest, *, state: str) -> HistoryPage:
    """List a learner's awards in one state (`held`, `revoked`), newest first: `awards` documents. Raises `NotFound`."""
    get_list_version(actor, user_id)
    pending = list(fetch_pending(user_id))
    try:
        with reading():
            awards = by_id(AwardDocument.list_of(user_id))
        is_degraded = False
        for award_id, changes in AWARDS.changes(reversed(pending)).items():
            if changes["seq"] >= awards.get(award_id, {}).get("seq", 0):
                awards[award_id] = awards.get(award_id, {"_id": award_id}) | changes
        # An award whose own event is a dead letter shows only its revocation: PostgreSQL knows the rest.
        if any("awarded_at" not in award for award in awards.values()):
            awards = _granted(user_id)
    except MongoUnavailable:
        awards, is_degraded = _granted(user_id), True
    key = page.key(AWARD_ORDER, (int,))
    chosen = [award for award in awards.values() if award["state"] == state and (not key or award["seq"] < key[0])]
    chosen.sort(key=lambda award: -award["seq"])
    chosen = chosen[: page.limit + 1]
    return HistoryPage(paginate(chosen, page.limit, AWARD_ORDER, lambda award: (award["seq"],)), is_degraded)


def _granted(user_id: int) -> dict[str, Doc]:
    return by_id(map(_award_of, fetch_all(_GRANTS, {"user_id": user_id})))


def get_award(user_id: int, code: str) -> Doc:
    """Return one award as PostgreSQL decided it, for the answer to an edit; raise `NotFound`."""
    for row in fetch_all(_GRANTS, {"user_id": user_id}):
        if row["badge"] == code:
            return _award_of(row)
    raise NotFound("award")


def _stored_or_journal(user_id: int, wanted: dict[str, Any]) -> tuple[Iterable[Doc], bool]:
    try:
        with reading():
            return HistoryDocument.list_newest(user_id, **wanted), False
    except MongoUnavailable:
        return map(history_document, fetch_journal(user_id, **wanted)), True


def _award_of(row: Row) -> Doc:
    award = {name: value for name, value in row.items() if name != "held_tier"}
    return award | {
        "_id": AwardDocument.identify(row["user_id"], row["badge"]),
        "tier": row["held_tier"] or row["tier"],
        "event_id": str(row["event_id"]),
        "state": "held" if row["revoked_at"] is None else "revoked",
    }
