"""The deeds of one learner after another, as far as the trial of a rule must read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from sqlalchemy.orm import Session

from rebootcamp.events.store import stream_deeds
from rebootcamp.services.gamification.backfill import Deed, Trial
from rebootcamp.storage.sql import Row

Deeds = Iterable[Deed]


def histories(session: Session, trial: Trial, user_ids: Sequence[int]) -> Iterator[tuple[Deeds, Deeds]]:
    """Yield for each learner, in the order of ids, the deeds to read and those that take others back.

    The deeds are a stream: they must be read before the next learner's are asked for.
    """
    undone = {user_id: list(deeds) for user_id, deeds in _grouped(session, trial.undoing, user_ids)}
    found = _grouped(session, trial.types, user_ids)
    current = next(found, None)
    for user_id in user_ids:
        deeds: Deeds = ()
        if current is not None and current[0] == user_id:
            deeds = current[1]
        yield deeds, undone.get(user_id, ())
        if current is not None and current[0] == user_id:
            current = next(found, None)


def _grouped(session: Session, types: Collection[str], user_ids: Sequence[int]) -> Iterator[tuple[int, Iterator[Deed]]]:
    rows: Iterable[Row] = stream_deeds(session, user_ids, types) if types else ()
    for user_id, deeds in groupby(rows, key=lambda row: int(row["user_id"])):
        yield user_id, (Deed(row["type"], row["payload"], row["local_date"]) for row in deeds)
