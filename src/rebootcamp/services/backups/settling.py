"""The last work on a restored pair before it may be used: forget who asked to be forgotten, deliver, agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.events.relay import Relay
from rebootcamp.services.backups.errors import Unacceptable
from rebootcamp.services.erasures import replay_erasures
from rebootcamp.services.integrity import Report, check_stores


class NotSound(DomainError):
    """The restored pair disagrees with itself more than the saved one did."""

    kind = Kind.CONFLICT
    code = "restored_pair_not_sound"
    title = Text("Restored pair not sound", "Bases restaurées incohérentes")
    detail = Text(
        "The restored pair has {found} findings, the saved one had {known}; the first: {first}.",
        "Les bases restaurées présentent {found} anomalies, la sauvegarde en avait {known} ; la première : {first}.",
    )


class NotSettled(DomainError):
    """The process that works on the restored pair gave up."""

    kind = Kind.CONFLICT
    code = "restored_pair_not_settled"
    title = Text("Restored pair not usable", "Bases restaurées inutilisables")
    detail = Text(
        "The restored pair cannot be used: {reason} The live pair is untouched.",
        "Les bases restaurées sont inutilisables : {reason} Les bases en service sont intactes.",
    )


class NewerBackup(Unacceptable):
    """The backup was taken by a version that this one does not know."""

    code = "newer_backup"
    title = Text("Backup of a newer version", "Sauvegarde d'une version plus récente")
    detail = Text(
        "The backup was taken by version {app} with schema {revision}, which is not known here: upgrade first.",
        "La sauvegarde a été faite par la version {app} avec le schéma {revision}, inconnu ici : "
        "mettez d'abord à jour.",
    )


@dataclass(frozen=True)
class Settled:
    """What was done to the restored pair, and what it holds."""

    erased: int
    delivered: int
    learners: int
    events: int
    pending: int
    findings: int


def settle(relay: Relay, known_findings: int, saved_at: datetime, erasure_log: Path) -> Settled:
    """Bring the pair that was saved at an instant, and is this process's own, to where it may be used.

    Raises `NotSound`.
    """
    report = check_stores(as_of=saved_at)
    _require_sound(report, known_findings)
    failpoint("restore.settling")
    erased = replay_erasures(erasure_log)
    delivered = relay.drain()
    if erased or delivered:
        report = check_stores(as_of=saved_at)
        _require_sound(report, known_findings)
    return Settled(erased, delivered, report.learners, report.events, report.pending, len(report.findings))


def _require_sound(report: Report, known: int) -> None:
    if len(report.findings) > known:
        first = report.findings[0]
        raise NotSound(found=len(report.findings), known=known, first=f"{first.invariant}, {first.subject}")
