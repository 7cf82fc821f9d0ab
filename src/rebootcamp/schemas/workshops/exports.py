"""Registrations as CSV (RFC 4180), in UTF-8 with the mark by which spreadsheets know it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rebootcamp.core.clock import iso
from rebootcamp.core.languages import Text, pick

MARK: Final = "\ufeff"
HEADINGS: Final = (
    Text("Status", "Statut"),
    Text("Position", "Position"),
    Text("Name", "Nom"),
    Text("E-mail", "E-mail"),
    Text("Registered at", "Inscription"),
    Text("Seat since", "Place depuis"),
    Text("Offered until", "Offre jusqu'au"),
    Text("Ended at", "Fin"),
    Text("Attended on", "Présence"),
    Text("Rating", "Note donnée"),
    Text("Remark", "Remarque"),
)
# A spreadsheet takes a cell that begins so for a formula, and runs it.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """A file of one line: writing to it returns what was written."""

    def write(self, line: str) -> str:
        return line


def render_csv(export: Any, language: str) -> Iterator[str]:
    """Yield the lines of a `services.workshops.Export`; one column a question, after those that all workshops have."""
    questions = export.workshop.questions
    writer = csv.writer(_Line())
    labels = [pick(question["labels"], language) for question in questions]
    yield MARK + writer.writerow(_harmless([*(heading.resolve(language) for heading in HEADINGS), *labels]))
    for entry in export.entries:
        answers = [entry.answers.get(question["key"]) for question in questions]
        yield writer.writerow(_harmless([*_facts(entry), *answers]))


def _facts(entry: Any) -> list[Any]:
    row = entry.registration
    instants = (row.registered_at, row.seated_at, row.offered_until, row.ended_at)
    people = (row.status, entry.position, entry.display_name, entry.email)
    return [*people, *map(_instant, instants), row.attended_on, row.rating, entry.note]


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else iso(instant)


def _harmless(cells: Sequence[Any]) -> list[str]:
    """Return the cells as text; an apostrophe before a formula makes it one."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    return [f"'{text}" if text.startswith(FORMULA) else text for text in texts]
