"""What a check tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bson.errors import BSONError

from rebootcamp.core import clock

# What reading a document raises when a field lacks, has another type, or holds no date that Python knows.
MALFORMED: Final = (BSONError, LookupError, TypeError, ValueError, AttributeError, OverflowError)
LONGEST_DETAIL: Final = 500


@dataclass(frozen=True)
class Finding:
    """One disagreement: the invariant, where (and about which learner), what was found against what was expected."""

    invariant: str
    subject: str
    detail: str
    user_id: int | None = None


@dataclass
class Report:
    """What a check saw; it is clean without findings. `overdue`: events that wait though they were due long ago.

    `as_of`: when the stores were as they are, if they come from a backup: nothing of it grew old on a shelf.
    """

    as_of: datetime | None = None
    learners: int = 0
    events: int = 0
    pending: int = 0
    overdue: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """Return the instant at which the stores are judged."""
        return self.as_of or clock.now()

    def add(self, invariant: str, subject: str, detail: str, user_id: int | None = None) -> None:
        """Note a finding."""
        self.findings.append(Finding(invariant, subject, detail[:LONGEST_DETAIL], user_id))

    def expect(self, invariant: str, subject: str, found: object, expected: object, user_id: int | None = None) -> None:
        """Note a finding unless both are equal."""
        if found != expected:
            self.add(invariant, subject, difference(found, expected), user_id)

    @contextmanager
    def examining(self, invariant: str, subject: str, user_id: int | None = None) -> Iterator[None]:
        """Note a finding where what is stored cannot even be understood, and go on with the rest."""
        try:
            yield
        except MALFORMED as error:
            self.add(invariant, subject, f"malformed, {type(error).__name__}: {error}", user_id)


@dataclass(frozen=True)
class Notes:
    """The part of a report that is about one learner."""

    report: Report
    user_id: int

    def add(self, invariant: str, detail: str, where: str = "") -> None:
        """Note a finding; `where` says more than the learner."""
        self.report.add(invariant, self._subject(where), detail, self.user_id)

    def expect(self, invariant: str, found: object, expected: object, where: str = "") -> None:
        """Note a finding unless both are equal."""
        if found != expected:
            self.add(invariant, difference(found, expected), where)

    @contextmanager
    def examining(self, invariant: str) -> Iterator[None]:
        """Note a finding where what is stored cannot even be understood, and go on with the rest."""
        with self.report.examining(invariant, self._subject(""), self.user_id):
            yield

    def _subject(self, where: str) -> str:
        return f"user {self.user_id} {where}".rstrip()


def difference(found: object, expected: object) -> str:
    """Say what was found against what was expected."""
    return f"found {found!r}, expected {expected!r}"
