"""Writing natives: what MongoDB alone holds, and PostgreSQL counts (docs/adr/0014-native-documents.md)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rebootcamp.events.pair import require_pair
from rebootcamp.storage.locks import BARRIER, share


def join_pair(session: Session) -> None:
    """Let no cut and no switch come between the documents and the rows that this transaction writes or removes.

    It comes before the locks of rows: other writers of natives may wait for those while a cut waits for them.
    Raises `Unpaired`, `MongoUnavailable`; who waits too long for a cut gets `Busy`.
    """
    share(session, BARRIER)
    # A switch may have come since the caller's name was read.
    require_pair()
