"""Why a score is what it is: each point with its event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rebootcamp.core.actors import Actor
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.facts import RecordedEvent
from rebootcamp.events.store import fetch_scoring
from rebootcamp.services.progress.history import get_list_version

ORDER: Final = "score"


@dataclass(frozen=True)
class ScoreItem:
    """Points that one event gave or took back; `source` is `challenge` or `badge`."""

    event: RecordedEvent
    points: int
    source: str


def list_score(actor: Actor, user_id: int, page: PageRequest) -> Page[ScoreItem]:
    """List what made the learner's score, newest first; over all pages the points sum to it. Raises `NotFound`."""
    get_list_version(actor, user_id)
    key = page.key(ORDER, (int,))
    events = fetch_scoring(user_id, before=int(key[0]) if key else None, limit=page.limit + 1)
    items = [ScoreItem(event, event.fact.score_points, event.fact.type.partition(".")[0]) for event in events]
    return paginate(items, page.limit, ORDER, lambda item: (item.event.seq,))
