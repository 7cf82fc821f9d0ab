"""The two stores as a pair: MongoDB shows one PostgreSQL store, and says which."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.storage.mongo import collection, database, guarded
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
        "MongoDB database {name} belongs to another store ({owner}): set MONGODB_DATABASE to an empty database, "
        "or DATABASE_URL to the PostgreSQL database it belongs to.",
        "La base MongoDB {name} appartient à un autre ensemble ({owner}) : indiquez une base vide dans "
        "MONGODB_DATABASE, ou dans DATABASE_URL la base PostgreSQL correspondante.",
    )


class OtherMongoDatabase(Unpaired):
    """The settings name another MongoDB database than the one this store is shown in."""

    code = "other_mongo_database"
    detail = Text(
        "This store is shown in MongoDB database {expected}, not in {name}: set MONGODB_DATABASE={expected}.",
        "Ces données sont projetées dans la base MongoDB {expected}, non dans {name} : "
        "indiquez MONGODB_DATABASE={expected}.",
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
    """Raise `Unpaired` where MongoDB shows another store: whatever is there is not ours to read or to change."""
    owner, name = find_owner(), database().name
    meta = fetch_one("SELECT store_id, mongo_database FROM app_meta", {})
    if meta is None or owner is None:
        raise UnpreparedStores(name=name)
    if meta["mongo_database"] != name:
        raise OtherMongoDatabase(name=name, expected=meta["mongo_database"])
    if str(meta["store_id"]) != owner:
        raise ForeignMongoDatabase(name=name, owner=owner)
