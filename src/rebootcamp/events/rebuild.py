"""Making everything that is derived anew, while the service runs: the tables in place, MongoDB beside the one in use.

The commit that names the new database is the switch. Before it the former pair stays in use, whatever happens; after
it every request and every batch follows. The former database is kept until `drop_former`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import uuid4

import pymongo
import sqlalchemy as sa
from pymongo.database import Database
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import OperationalError

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.events.catalogue import badge_fields
from rebootcamp.events.natives import META, NativeCopy
from rebootcamp.events.pair import require_pair
from rebootcamp.events.relay import revive
from rebootcamp.events.replay import Incomplete, Replay
from rebootcamp.events.tables import allow_minutes, mend_tables
from rebootcamp.models.mongo.badges import BadgeDocument
from rebootcamp.models.sql.badges import BadgeDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.storage import mongo
from rebootcamp.storage.locks import BARRIER, DDL, REBUILD, REPAIR, exclusive, hold
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import apply_schema, undeclared
from rebootcamp.storage.sql import db
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

# A name for one database of many: that of the first, and eight characters of an id. MongoDB accepts 63 bytes.
SUFFIX: Final = re.compile(r"_[0-9a-f]{8}$")
LONGEST_BASE: Final = 54
MONGO_SECONDS: Final = 60
# Below so few learners the rest is done while relays wait; each round before lets them go on.
FEW: Final = 50
ROUNDS: Final = 20

# Marks in `meta`, beside the identity. The first is there from the first write to the end of a rebuild.
IDENTITY, UNFINISHED, FORMER = "store", "rebuild", "former"

# The end of a process that has just gone may take a moment to reach PostgreSQL.
_SESSION: Final = """SET statement_timeout = 0; SET lock_timeout = '2s';
    SET idle_in_transaction_session_timeout = '10min'"""
_ACQUIRE: Final = sa.text("SELECT pg_advisory_lock(:lock)")
_SHARE: Final = sa.text("SELECT pg_advisory_lock_shared(:lock)")
# A number that a database keeps under every name, and that no copy of it has.
_PLACE: Final = """
    SELECT system_identifier || '/' || oid AS place
    FROM pg_control_system(), pg_database WHERE datname = current_database()
"""

Told = Callable[[str, int], None]


class RebuildRuns(DomainError):
    """Two at once would do everything twice."""

    kind = Kind.CONFLICT
    code = "rebuild_runs"
    title = Text("A rebuild runs", "Reconstruction en cours")
    detail = Text(
        "Another rebuild, a migration or a restore is under way; nothing was changed.",
        "Une autre reconstruction, une migration ou une restauration est en cours ; rien n'a été modifié.",
    )


@dataclass(frozen=True)
class Rebuilt:
    """What is in use now, what it shows, what it took the place of, and the dead letters that are tried again."""

    database: str
    former: str
    events: int
    learners: int
    revived: int


def rebuild(told: Told) -> Rebuilt:
    """Make all projections anew and switch to them; `told` hears the step and how far it is.

    Raises `RebuildRuns`, `Unpaired`, `Unreplayable`, `Incomplete`, `Busy`, `MongoUnavailable`: nothing was switched.
    """
    # A repair takes back what counts as delivered, of which a replay believes that it only ever grows.
    with _alone() as connection, exclusive(REPAIR):
        # Migrations wait: they may change what is read here.
        _require(connection, _SHARE, DDL)
        require_pair()
        sweep()
        former = mongo.database()
        mend_tables(lambda done: told("learners compared", done))
        fresh = _create(former)
        replay = Replay(connection, fresh, lambda done: told("events replayed", done))
        replay.run()
        natives = NativeCopy(former, fresh)
        natives.begin()
        failpoint("rebuild.natives_copied")
        for _ in range(ROUNDS):
            if replay.catch_up() <= FEW:
                break
        events, learners = _verify(replay, fresh)
        failpoint("rebuild.caught_up")
        revived = _switch(replay, natives, former, fresh)
        failpoint("rebuild.switched")
        mongo.follow(fresh.name)
        sweep()
        return Rebuilt(fresh.name, former.name, events, learners, revived)


def sweep() -> None:
    """Finish or remove what killed rebuilds left; nobody else may be at it."""
    current = mongo.database()
    with mongo.guarded():
        mark = current[META].find_one({"_id": UNFINISHED})
        if mark is not None:
            # Switched, and the marks do not say so yet.
            former = mongo.client()[mark["former"]]
            if _holds(former, _id=IDENTITY, store_id=mark["store_id"]):
                former[META].replace_one({"_id": FORMER}, _mark(FORMER, current), upsert=True)
            current[META].delete_one({"_id": UNFINISHED})
    # A restore may keep this store's former database, whose last rebuild never came to its end.
    _drop_marked(_id=UNFINISHED, place=_place())


def drop_former() -> list[str]:
    """Drop the databases that rebuilds have replaced; return their names. Raises `RebuildRuns`, `Busy`, `Unpaired`."""
    # A backup, which holds the shared side, may still read the one that was in use when it began.
    with _alone(), exclusive(DDL, wait="2s"):
        require_pair()
        sweep()
        return _drop_marked(_id=FORMER)


@contextmanager
def _alone() -> Iterator[sa.Connection]:
    """Yield a connection for the notes and the locks of the only rebuild: all end with the process."""
    with db.engine.connect() as connection:
        connection.detach()
        with connection.begin():
            connection.exec_driver_sql(_SESSION)
        _require(connection, _ACQUIRE, REBUILD)
        yield connection


def _require(connection: sa.Connection, statement: sa.TextClause, lock: int) -> None:
    try:
        with connection.begin():
            connection.execute(statement, {"lock": lock})
    except OperationalError as error:
        raise RebuildRuns from error


def _create(former: Database[Doc]) -> Database[Doc]:
    fresh = mongo.client()[f"{_base(former.name)}_{uuid4().hex[:8]}"]
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        # Marked by its first write: whatever a kill leaves is known for what it is.
        fresh[META].insert_one({**_mark(UNFINISHED, former), "former": former.name, "place": _place()})
        failpoint("rebuild.created")
        apply_schema(fresh)
    return fresh


def _verify(replay: Replay, fresh: Database[Doc]) -> tuple[int, int]:
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        if differing := undeclared(fresh):
            raise Incomplete(found=f"not as declared: {', '.join(differing)}")
    return replay.verify()


def _switch(replay: Replay, natives: NativeCopy, former: Database[Doc], fresh: Database[Doc]) -> int:
    """Let PostgreSQL name the new database; the barrier and the commit are of one transaction, so of one life."""
    with transaction() as session:
        allow_minutes(session)
        hold(session, BARRIER)
        replay.catch_up()
        replay.require_complete()
        badges = session.scalars(sa.select(BadgeDefinition)).all()
        documents = [{"_id": badge.code, "version": badge.version, **badge_fields(badge)} for badge in badges]
        with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
            if documents:
                fresh[BadgeDocument.collection_name].insert_many(documents)
            natives.finish()
            fresh[META].insert_one(_mark(IDENTITY, former))
        failpoint("rebuild.before_switch")
        # Tags of answers that showed what was broken must not live on, so the rules count as changed.
        named = sa.update(AppMeta).where(AppMeta.mongo_database == former.name)
        values = {"mongo_database": fresh.name, "rules_version": AppMeta.rules_version + 1}
        if cast(CursorResult[Any], session.execute(named.values(values))).rowcount != 1:
            raise RebuildRuns
        return revive(session)


def _base(name: str) -> str:
    return SUFFIX.sub("", name)[:LONGEST_BASE]


def _identity(database: Database[Doc]) -> Doc:
    with mongo.guarded():
        return database[META].find_one({"_id": IDENTITY}) or {}


def _mark(kind: str, of: Database[Doc]) -> Doc:
    return {**_identity(of), "_id": kind}


def _place() -> str:
    row = fetch_one(_PLACE, {})
    return str(row["place"]) if row else ""


def _holds(database: Database[Doc], **mark: str) -> bool:
    return database[META].find_one(mark) is not None


def _drop_marked(**mark: str) -> list[str]:
    """Drop this store's databases with a mark, never the one in use; return their names."""
    current = mongo.database()
    store_id = _identity(current)["store_id"]
    dropped = []
    with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
        for name in mongo.client().list_database_names():
            is_other = name != current.name and _base(name) == _base(current.name)
            if is_other and _holds(mongo.client()[name], **mark, store_id=store_id):
                mongo.client().drop_database(name)
                dropped.append(name)
    return dropped
