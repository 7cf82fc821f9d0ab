"""Erasing people: an account becomes nobody's in both stores, and stays so when a backup from before is restored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.accounts import AccountErased
from rebootcamp.events.boards import relist
from rebootcamp.events.erasure import DASH, dash_line, dashed_evidence
from rebootcamp.events.journal import lock_line, record
from rebootcamp.integrations.erasure_log import Erasure, append_erasure, read_erasures
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.services.accounts import hold_account, hold_leaving_account
from rebootcamp.services.gamification.progression import AUTOMATIC, EXPIRED
from rebootcamp.services.workshops import has_upcoming, release_seats
from rebootcamp.storage.transactions import transaction

KEPT_REASONS: Final = (*AUTOMATIC, EXPIRED)

# Everything beside the account and the journal that tells of a person, or lets somebody act as one.
_FORGET: Final = (
    "DELETE FROM refresh_tokens WHERE user_id = :user_id",
    "DELETE FROM share_links WHERE user_id = :user_id",
    "DELETE FROM mails WHERE user_id = :user_id",
    "DELETE FROM answer_attempts WHERE user_id = :user_id",
    "DELETE FROM idempotency_keys WHERE scope = 'user:' || :user_id",
    """UPDATE challenge_completions SET evidence = evidence - 'text' - 'url',
            review_reason = CASE WHEN review_reason = ANY (:kept) THEN review_reason END
        WHERE user_id = :user_id""",
    f"""UPDATE badge_grants SET evidence = {dashed_evidence("evidence")},
            revoke_reason = CASE WHEN revoke_reason = ANY (:kept) THEN revoke_reason
                WHEN revoke_reason IS NOT NULL THEN '{DASH}' END
        WHERE user_id = :user_id""",  # noqa: S608
    # Their texts go with the event: the relay tries until MongoDB has let go of them.
    "UPDATE workshop_comments SET state = 'deleted', moderation_reason = NULL WHERE user_id = :user_id",
)


def erase_account(user_id: int, log: Path) -> bool:
    """Make an account anonymous for ever; return False where it was already.

    The log knows it before PostgreSQL does. MongoDB follows by the relay. Raises `NotFound`, `LastAdmin`,
    `ErasureLogUnusable`.
    """
    while (is_new := _try_to_erase(user_id, log)) is None:
        release_seats(user_id)
    return is_new


def _try_to_erase(user_id: int, log: Path) -> bool | None:
    """Do what `erase_account` promises; change nothing and return None while there are seats to give on.

    That locks workshops, which come before lines: so it is done outside, as often as somebody registers meanwhile.
    """
    with transaction() as session:
        lock_line(user_id)
        user = hold_leaving_account(user_id)
        if has_upcoming(user_id):
            return None
        is_new = user.erased_at is None
        erased_at = user.erased_at or clock.now()
        if is_new:
            _erase(session, user, erased_at)
        erasure = Erasure(user_id, _store_id(session), clock.to_milliseconds(user.created_at), erased_at)
        if is_new or erasure not in read_erasures(log):
            append_erasure(log, erasure)
        failpoint("erasure.logged")
    return is_new


def replay_erasures(log: Path) -> int:
    """Erase again whoever came back with a restored store; return how many did. Goes before the relay drains."""
    with transaction() as session:
        erased = _erased(read_erasures(log), _store_id(session))
        wanted = {user_id for user_id, _ in erased}
        came_back = sa.select(User.id, User.created_at).where(User.id.in_(wanted), User.erased_at.is_(None))
        rows = session.execute(came_back.order_by(User.id)).all()
    due = [key for row in rows if (key := (row.id, clock.to_milliseconds(row.created_at))) in erased]
    for key in due:
        release_seats(key[0])
        with transaction() as session:
            lock_line(key[0])
            _erase(session, hold_account(key[0]), erased[key])
    return len(due)


def _erased(erasures: Iterable[Erasure], store_id: UUID) -> dict[tuple[int, datetime], datetime]:
    """Return when whom: an id alone does not say who, for after a restore it may be given to somebody else."""
    return {(entry.user_id, entry.created_at): entry.erased_at for entry in erasures if entry.store_id == store_id}


def _store_id(session: Session) -> UUID:
    return session.scalars(sa.select(AppMeta.store_id)).one()


def _erase(session: Session, user: User, erased_at: datetime) -> None:
    """Erase a locked account whose line is locked, too."""
    # Nobody can have taken the address beforehand: this domain is refused to everybody.
    user.email = f"erased-{user.id}@erased.invalid"
    user.password_hash = ""
    user.first_name = user.last_name = user.display_name = DASH
    user.nickname = None
    user.is_active = user.is_listed = user.email_verified = False
    user.token_version += 1
    user.erased_at, user.updated_at = erased_at, clock.now()
    session.flush()
    relist(session, user.id)
    dash_line(session, user.id, KEPT_REASONS)
    for statement in _FORGET:
        session.execute(sa.text(statement), {"user_id": user.id, "kept": list(KEPT_REASONS)})
    record(AccountErased(learner_id=user.id))
