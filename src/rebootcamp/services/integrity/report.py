"""What a check tells."""

from __future__ import annotations

from dataclasses import dataclass, field


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
