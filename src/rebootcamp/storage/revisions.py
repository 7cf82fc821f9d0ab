"""The schema that this version of the code knows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

MIGRATIONS: Final = Path(__file__).resolve().parents[3] / "migrations"


def newest_revision() -> str | None:
    """Return the revision to which `flask prepare` brings a database."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()
