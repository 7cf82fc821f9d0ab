"""The two stores as a pair: MongoDB shows one PostgreSQL store, and says which."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.storage.mongo import collection, database_name, follow, guarded
from rebootcamp.storage.statements import fetch_one


class Unpaired(DomainError):
    """Both stores answer, and they do not belong together: somebody must correct the settings."""

    kind = Kind.UNAVAILABLE
    title = Text("Not a pair", "Bases non appariées")
    retry_after = 30


class ForeignMongoDatabase(Unpaired):
    """The MongoDB database shows the data of another PostgreSQL database."""

    code = "foreign_mongo_database"
    detail = Text(
        "MongoDB database {name} belongs to another store ({owner}): correct MONGODB_URI or DATABASE_URL, or, for a "
        "new store, set MONGODB_DATABASE to an empty database.",
        "La base MongoDB {name} appartient à un autre ensemble ({owner}) : corrigez MONGODB_URI ou DATABASE_URL ou, "
        "pour un nouvel ensemble, indiquez une base vide dans MONGODB_DATABASE.",
    )


class UnpreparedStores(Unpaired):
    """Nobody ever said that the two belong together, or MongoDB lost everything."""

    code = "unprepared_stores"
    detail = Text(
        "MongoDB database {name} belongs to no store yet: run flask prepare, then flask rebuild if there are accounts.",
        "La base MongoDB {name} n'appartient encore à aucun ensemble : lancez flask prepare, puis flask rebuild "
        "s'il existe des comptes.",
    )


def find_owner() -> str | None:
    """Return the id of the store that MongoDB says it shows. Raises `MongoUnavailable`."""
    with guarded():
        mark = collection("meta").find_one({"_id": "store"})
    return str(mark.get("store_id")) if mark else None


def require_pair() -> None:
    """Follow the database that PostgreSQL names now, and raise `Unpaired` where that shows another store.

    Whatever is there then is not ours to read or to change.
    """
    meta = fetch_one("SELECT store_id, mongo_database FROM app_meta", {})
    if meta is None:
        raise UnpreparedStores(name=database_name())
    follow(meta["mongo_database"])
    owner = find_owner()
    if owner is None:
        raise UnpreparedStores(name=meta["mongo_database"])
    if str(meta["store_id"]) != owner:
        raise ForeignMongoDatabase(name=meta["mongo_database"], owner=owner)
