"""What careless hands, bugs and broken disks do to both stores: one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rebootcamp.storage import mongo
from tests.relay.tools import execute

Corrupt = Callable[[int], object]


@dataclass(frozen=True)
class Corruption:
    """What is done to Ada's data, which invariant must speak, and whether a repair may mend it by itself."""

    name: str
    speaks: str
    corrupt: Corrupt
    is_mended: bool = True

    def __str__(self) -> str:
        return self.name


def by_sql(*statements: str) -> Corrupt:
    """Run statements, `:ada` being her id, with triggers and foreign keys switched off."""

    def corrupt(ada: int) -> None:
        for statement in statements:
            execute(statement, **({"ada": ada} if ":ada" in statement else {}))

    return corrupt


def change(collection: str, query: dict[str, Any], update: dict[str, Any]) -> None:
    """Change one document behind the validator's back."""
    result = mongo.database().command(
        "update", collection, updates=[{"q": query, "u": update}], bypassDocumentValidation=True
    )
    assert result["nModified"] == 1


def forge(collection: str, document: dict[str, Any]) -> None:
    """Add a document behind the validator's back."""
    mongo.database().command("insert", collection, documents=[document], bypassDocumentValidation=True)


def remove(collection: str, query: dict[str, Any]) -> None:
    """Delete documents; at least one."""
    assert mongo.collection(collection).delete_many(query).deleted_count
