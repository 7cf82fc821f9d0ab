"""Taking people's own words out of a learner's journal; what happened, when and to which id stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

DASH: Final = "–"
# In the evidence of an award made by hand.
FREE_TEXTS: Final = ("reason", "text", "url")


def dashed_evidence(column: str) -> str:
    """Return the SQL of some evidence whose free texts are dashes; `column` is SQL of a JSON object itself."""
    names = ", ".join(f"'{name}'" for name in FREE_TEXTS)
    return f"""{column} || (SELECT coalesce(jsonb_object_agg(name, '{DASH}'), '{{}}')
        FROM unnest(ARRAY[{names}]) AS name WHERE jsonb_exists({column}, name))"""  # noqa: S608


# What the engine itself says is no free text: replays read it.
_DASH: Final = sa.text(f"""
    UPDATE activity_events SET payload = payload
        || CASE WHEN payload ->> 'reason' <> ALL (:kept) THEN jsonb_build_object('reason', '{DASH}') ELSE '{{}}' END
        || CASE WHEN jsonb_exists(payload, 'evidence')
            THEN jsonb_build_object('evidence', {dashed_evidence("(payload -> 'evidence')")}) ELSE '{{}}' END
        || CASE WHEN jsonb_exists(payload, 'words') THEN jsonb_build_object('words', '{DASH}') ELSE '{{}}' END
    WHERE user_id = :user_id AND jsonb_exists_any(payload, ARRAY['reason', 'evidence', 'words'])""")  # noqa: S608
# A refusal may quote the document that was refused.
_UNQUOTE: Final = sa.text("UPDATE outbox SET last_error = NULL WHERE user_id = :user_id AND last_error IS NOT NULL")


def dash_line(session: Session, user_id: int, kept: Sequence[str]) -> None:
    """Put a dash in the place of each free text in a locked learner's events, reasons of `kept` aside."""
    session.execute(_DASH, {"user_id": user_id, "kept": list(kept)})
    session.execute(_UNQUOTE, {"user_id": user_id})
