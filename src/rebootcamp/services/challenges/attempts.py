"""How often a learner may guess: a few wrong answers for each challenge, then a pause."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from rebootcamp.core import clock
from rebootcamp.models.sql.challenges import AnswerAttempts
from rebootcamp.services.challenges.errors import TooManyAttempts
from rebootcamp.storage.batches import delete_in_batches
from rebootcamp.storage.statements import fetch_one, run_apart

LIMIT: Final = 5
WINDOW: Final = timedelta(minutes=10)
SECONDS: Final = int(WINDOW.total_seconds())

# Since when the learner has answered wrongly too often; no row while another try is free.
_EXHAUSTED: Final = f"""
    SELECT a.since FROM answer_attempts a
    WHERE a.user_id = %(user_id)s AND a.challenge_id = %(challenge_id)s AND a.wrong >= {LIMIT}
        AND a.since > %(begin)s"""  # noqa: S608

_COUNT: Final = """
    INSERT INTO answer_attempts AS a (user_id, challenge_id, wrong, since)
    VALUES (%(user_id)s, %(challenge_id)s, 1, %(now)s)
    ON CONFLICT (user_id, challenge_id) DO UPDATE SET
        wrong = CASE WHEN a.since > %(begin)s THEN a.wrong + 1 ELSE 1 END,
        since = CASE WHEN a.since > %(begin)s THEN a.since ELSE excluded.since END"""


def require_attempt(user_id: int, challenge_id: int, now: datetime) -> None:
    """Raise `TooManyAttempts` while the pause lasts, before a right answer could be told from a wrong one.

    Asked under the lock of the learner's line, and after it: what another guess was told meanwhile counts.
    """
    row = fetch_one(_EXHAUSTED, {"user_id": user_id, "challenge_id": challenge_id, "begin": now - WINDOW})
    if row is not None:
        left = math.ceil((row["since"] + WINDOW - now).total_seconds())
        raise TooManyAttempts("answers", LIMIT, SECONDS, left)


def forget_attempts(on_progress: Callable[[int], None]) -> int:
    """Drop what was counted before the present window, which asks for none of it; return how much that was."""
    return delete_in_batches(AnswerAttempts, AnswerAttempts.since <= clock.now() - WINDOW, on_progress)


def count_wrong(user_id: int, challenge_id: int, now: datetime) -> None:
    """Count a wrong answer for good: the refusal that follows undoes its command, not this."""
    run_apart(_COUNT, {"user_id": user_id, "challenge_id": challenge_id, "now": now, "begin": now - WINDOW})
