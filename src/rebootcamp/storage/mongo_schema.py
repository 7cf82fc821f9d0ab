"""Collections, validators and indexes as declared in `mongo_init/`, applied as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pymongo.database import Database

from rebootcamp.storage.mongo import Doc

# A collection that is there only while a restore fills or switches the database: a mark, and no content.
RESTORING: Final = "restoring"
FRESH: Final = ".fresh"
MONGO_INIT: Final = Path(__file__).resolve().parents[3] / "mongo_init"


def declarations(directory: Path = MONGO_INIT) -> list[dict[str, Any]]:
    """Return the declared collections: `{collection, validator, indexes: [{name, keys, …options}]}`."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob("*.json"))]


def apply_schema(database: Database[Doc]) -> list[str]:
    """Create or correct every declared collection; return their names."""
    existing = set(database.list_collection_names())
    for declared in declarations():
        name = declared["collection"]
        if name in existing:
            database.command("collMod", name, **_options(declared))
        else:
            database.create_collection(name, **_options(declared))
        _apply_indexes(database, name, declared["indexes"])
    return [declared["collection"] for declared in declarations()]


def empty_collection(database: Database[Doc], declared: dict[str, Any]) -> None:
    """Put an empty collection in the place of a declared one, in one step: at no moment it lacks its rules."""
    fresh = f"{declared['collection']}{FRESH}"
    database.drop_collection(fresh)
    database.create_collection(fresh, **_options(declared))
    _apply_indexes(database, fresh, declared["indexes"])
    database[fresh].rename(declared["collection"], dropTarget=True)


def is_passing(name: str) -> bool:
    """Tell whether a collection is the server's own, or half of something that was under way."""
    return name == RESTORING or name.startswith("system.") or name.endswith(FRESH)


def _options(declared: dict[str, Any]) -> dict[str, Any]:
    return {"validator": declared["validator"], "validationLevel": "strict", "validationAction": "error"}


def undeclared(database: Database[Doc]) -> list[str]:
    """Return the declared collections whose validator or indexes are not as declared."""
    options = {found["name"]: found.get("options", {}) for found in database.list_collections()}
    return [
        declared["collection"]
        for declared in declarations()
        if not _options(declared).items() <= options.get(declared["collection"], {}).items()
        or _indexes(database, declared["collection"]) != _declared_indexes(declared["indexes"])
    ]


def _indexes(database: Database[Doc], collection: str) -> dict[str, Doc]:
    information = database[collection].index_information()
    return {name: _form(list(index["key"]), index) for name, index in information.items() if name != "_id_"}


def _declared_indexes(indexes: list[dict[str, Any]]) -> dict[str, Doc]:
    return {index["name"]: _form(list(index["keys"].items()), index) for index in indexes}


def _form(keys: list[tuple[str, int]], options: Mapping[str, Any]) -> Doc:
    return {"keys": keys, "unique": bool(options.get("unique")), "partial": options.get("partialFilterExpression")}


def _apply_indexes(database: Database[Doc], collection: str, indexes: list[dict[str, Any]]) -> None:
    declared = _declared_indexes(indexes)
    for name, form in _indexes(database, collection).items():
        if form != declared.get(name):
            database[collection].drop_index(name)
    for index in indexes:
        options = {key: value for key, value in index.items() if key != "keys"}
        database[collection].create_index(list(index["keys"].items()), **options)
