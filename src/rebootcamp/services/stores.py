"""The two stores as a pair: which MongoDB database belongs to which PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from rebootcamp.events.pair import ForeignMongoDatabase, OtherMongoDatabase, find_owner
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage.mongo import collection, guarded
from rebootcamp.storage.transactions import transaction

VERSIONS: Final = (
    "epoch",
    "token_epoch",
    "rules_version",
    "catalogue_version",
    "levels_version",
    "calendar_version",
)
CURRENT: Final = sa.select(AppMeta).execution_options(populate_existing=True)


@dataclass(frozen=True)
class Store:
    """The identity that both stores carry."""

    store_id: UUID
    epoch: int


def initialise_store(mongo_database: str) -> Store:
    """Make the pair known to both stores, once; raise `ForeignMongoDatabase`, `OtherMongoDatabase`."""
    owner = find_owner()
    with transaction() as session:
        meta = session.scalar(CURRENT)
        if meta is None:
            # Nothing is written for a refused pair: it must stay possible to choose another database.
            _require_owner(owner, None, mongo_database)
            new = insert(AppMeta).values(
                id=1, store_id=uuid4(), mongo_database=mongo_database, **dict.fromkeys(VERSIONS, 1)
            )
            session.execute(new.on_conflict_do_nothing())
            meta = session.scalars(CURRENT).one()
        if meta.mongo_database != mongo_database:
            raise OtherMongoDatabase(name=mongo_database, expected=meta.mongo_database)
        store = Store(meta.store_id, meta.epoch)
    if owner is None:
        owner = _claim(store)
    _require_owner(owner, str(store.store_id), mongo_database)
    return store


def has_users() -> bool:
    """Tell whether anybody has an account."""
    with transaction() as session:
        return session.scalar(sa.select(sa.exists(sa.select(User.id)))) is True


def _claim(store: Store) -> str | None:
    first = {"store_id": str(store.store_id), "epoch": store.epoch}
    with guarded():
        collection("meta").update_one({"_id": "store"}, {"$setOnInsert": first}, upsert=True)
    return find_owner()


def _require_owner(owner: str | None, expected: str | None, mongo_database: str) -> None:
    if owner is not None and owner != expected:
        raise ForeignMongoDatabase(name=mongo_database, owner=owner)
