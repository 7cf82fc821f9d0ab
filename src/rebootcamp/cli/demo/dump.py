"""Writing the demo data to files: the same stores give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

from rebootcamp.cli.failures import CouldNotRun
from rebootcamp.config import Settings
from rebootcamp.services.backups.plain import Identity, write_plain
from rebootcamp.services.integrity import check_cut
from rebootcamp.storage.cut import common_cut

# Files that come with the source name no real pair.
DEMO: Final = Identity(uuid5(NAMESPACE_DNS, "demo.rebootcamp.example.org"))
HEADER: Final = (
    "-- Demo data of RebootCamp: made by `flask demo generate`, written by `flask demo dump`. Do not edit.\n"
)


def dump_demo(directory: Path, settings: Settings) -> None:
    """Write both files; raise `CouldNotRun` unless both stores agree and nothing waits."""
    directory.mkdir(parents=True, exist_ok=True)
    with common_cut() as cut:
        report = check_cut(cut)
        if report.findings or report.pending:
            raise CouldNotRun(
                f"{len(report.findings)} findings, {report.pending} events pending: "
                "run `flask relay --once`, then `flask check`."
            )
        write_plain(cut, directory, DEMO, settings.database_url, HEADER)
