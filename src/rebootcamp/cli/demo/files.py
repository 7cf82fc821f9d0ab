"""Where the demo data lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rebootcamp.core import json
from rebootcamp.services.backups.plain import MONGO_FILE, SQL_FILE

DATA: Final = Path(__file__).resolve().parents[4] / "data"
SQL_DUMP: Final = DATA / SQL_FILE
MONGO_DUMP: Final = DATA / MONGO_FILE


def catalogue(name: str) -> list[dict[str, Any]]:
    """Return one of the hand-written lists: `challenges`, `goals`, `badges`, `learners` or `workshops`."""
    found: list[dict[str, Any]] = json.loads((DATA / "catalogue" / f"{name}.json").read_bytes())
    return found
