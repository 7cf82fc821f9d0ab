"""The two stores as a pair: which MongoDB database belongs to which PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.events.pair import ForeignMongoDatabase, find_owner
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage.mongo import collection, follow, guarded
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
    mongo_database: str


def initialise_store(first_name: str) -> Store:
    """Make the pair known to both stores, once; raise `ForeignMongoDatabase`.

    `first_name` is the MongoDB database of a new pair; one that is known keeps its own.
    """
    with transaction() as session:
        meta = session.scalar(CURRENT) or _introduce(session, first_name)
        store = Store(meta.store_id, meta.epoch, meta.mongo_database)
    follow(store.mongo_database)
    owner = find_owner() or _claim(store)
    _require_owner(owner, str(store.store_id), store.mongo_database)
    return store


def has_users() -> bool:
    """Tell whether anybody has an account."""
    with transaction() as session:
        return session.scalar(sa.select(sa.exists(sa.select(User.id)))) is True


def _introduce(session: Session, mongo_database: str) -> AppMeta:
    follow(mongo_database)
    # Nothing is written for a refused pair: it must stay possible to choose another database.
    _require_owner(find_owner(), None, mongo_database)
    new = insert(AppMeta).values(id=1, store_id=uuid4(), mongo_database=mongo_database, **dict.fromkeys(VERSIONS, 1))
    session.execute(new.on_conflict_do_nothing())
    return session.scalars(CURRENT).one()


def _claim(store: Store) -> str | None:
    first = {"store_id": str(store.store_id), "epoch": store.epoch}
    with guarded():
        collection("meta").update_one({"_id": "store"}, {"$setOnInsert": first}, upsert=True)
    return find_owner()


def _require_owner(owner: str | None, expected: str | None, mongo_database: str) -> None:
    if owner is not None and owner != expected:
        raise ForeignMongoDatabase(name=mongo_database, owner=owner)
