"""Events to documents: pure functions, used alike by the relay, by reads that are ahead of it, and by rebuilds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Final

from rebootcamp.core import clock
from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.events.states import State
from rebootcamp.models.mongo.badges import AwardDocument
from rebootcamp.models.mongo.progress import ProgressDocument
from rebootcamp.storage.mongo import Doc

RECENT: Final = 20


def fold(progress: ProgressDocument, event: RecordedEvent) -> ProgressDocument:
    """Return the learner's summary after one more event; an event already contained changes nothing."""
    if event.seq <= progress.seq:
        return progress
    fact = event.fact
    totals, badges = dict(progress.totals), progress.badges
    if isinstance(fact, ChallengeCompleted | ChallengeRevoked):
        totals["challenge_points"] += fact.score_points
    elif isinstance(fact, BadgeAwarded | BadgeRevoked):
        totals["badge_points"] += fact.score_points
        badges = tuple(badge for badge in badges if badge["code"] != fact.badge)
        if isinstance(fact, BadgeAwarded):
            badges = (*badges, held_badge(event, fact))
    recent = (recent_entry(event), *progress.recent)[:RECENT]
    return replace(progress, seq=event.seq, totals=totals, badges=badges, recent=recent)


def fold_all(progress: ProgressDocument, events: Iterable[RecordedEvent]) -> ProgressDocument:
    """Fold events in order."""
    return reduce(fold, events, progress)


def held_badge(event: RecordedEvent, fact: BadgeAwarded) -> Doc:
    """Return how a summary shows a badge."""
    return {
        "code": fact.badge,
        "tier": fact.tier,
        "points": fact.points,
        "awarded_at": event.occurred_at,
        "event_id": str(event.event_id),
    }


def recent_entry(event: RecordedEvent) -> Doc:
    """Return how a summary shows an event."""
    return {
        "id": str(event.event_id),
        "seq": event.seq,
        "type": event.fact.type,
        "at": event.occurred_at,
        "data": event.fact.payload(),
    }


def history_document(event: RecordedEvent) -> Doc:
    """Return the document of one event."""
    return {
        "_id": str(event.event_id),
        "user_id": event.user_id,
        "seq": event.seq,
        "type": event.fact.type,
        "at": event.occurred_at,
        "local_date": event.local_date.isoformat(),
        "data": event.fact.payload(),
    }


def award_fields(event: RecordedEvent) -> Doc | None:
    """Return what one event says of an award."""
    fact = event.fact
    if not isinstance(fact, BadgeAwarded | BadgeRevoked):
        return None
    common = {
        "_id": AwardDocument.identify(event.user_id, fact.badge),
        "user_id": event.user_id,
        "badge": fact.badge,
        "tier": fact.tier,
        "points": fact.points,
        "seq": event.seq,
    }
    if isinstance(fact, BadgeRevoked):
        return {**common, "state": "revoked", "revoked_at": event.occurred_at, "revoke_reason": fact.reason}
    return {
        **common,
        "state": "held",
        "event_id": str(event.event_id),
        "origin": fact.origin,
        "rule_version": fact.rule_version,
        "evidence": fact.evidence,
        "awarded_at": event.occurred_at,
        "expires_at": None if fact.expires_at is None else clock.parse(fact.expires_at),
        "revoked_at": None,
        "revoke_reason": None,
    }


AWARDS: Final = State(AwardDocument, award_fields)
