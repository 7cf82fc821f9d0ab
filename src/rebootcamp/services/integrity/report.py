"""What a check tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bson.errors import BSONError

# What reading a document raises when a field lacks, has another type, or holds no date that Python knows.
MALFORMED: Final = (BSONError, LookupError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Finding:
    """One disagreement: the invariant, where, and what was found against what was expected."""

    invariant: str
    subject: str
    detail: str


@dataclass
class Report:
    """What a check saw; it is clean without findings."""

    learners: int = 0
    events: int = 0
    pending: int = 0
    findings: list[Finding] = field(default_factory=list)

    def expect(self, invariant: str, subject: str, found: object, expected: object) -> None:
        """Note a finding unless both are equal."""
        if found != expected:
            self.findings.append(Finding(invariant, subject, f"found {found!r}, expected {expected!r}"[:500]))

    @contextmanager
    def examining(self, invariant: str, subject: str) -> Iterator[None]:
        """Note a finding where what is stored cannot even be understood, and go on with the rest."""
        try:
            yield
        except MALFORMED as error:
            self.findings.append(Finding(invariant, subject, f"malformed, {type(error).__name__}: {error}"[:500]))
