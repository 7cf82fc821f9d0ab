"""The invariants: what a repair does about each, and what is left to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# What a repair mends: the learner's documents and caches as a whole, or one thing of the whole platform.
LEARNER, CATALOGUE, OUTBOX, COUNTS, FIGURES, MEMBERS, SEATS, SCHEMA = (
    "learner",
    "catalogue",
    "outbox",
    "counts",
    "figures",
    "members",
    "seats",
    "schema",
)


@dataclass(frozen=True)
class Invariant:
    """`number` is the one of the reliability notes; `mended` says by which part of a repair, None: by a person only."""

    number: str
    mended: str | None
    advice: str = ""


_LEDGER: Final = (
    "a ledger and the journal disagree, and either may be right: compare both with a backup, correct the wrong one by "
    "hand; until then nothing of this learner is repaired"
)
INVARIANTS: Final[Mapping[str, Invariant]] = {
    "history": Invariant("I1, I2", LEARNER),
    "awards": Invariant("I3", LEARNER),
    "registrations": Invariant("I2", LEARNER),
    "progress": Invariant("I2, I8", LEARNER),
    "validator": Invariant("I10", LEARNER),
    "badges": Invariant("I1", CATALOGUE),
    "state": Invariant("I5", LEARNER, "events without a state are repaired; rows without events ask for a backup"),
    "replay": Invariant("streaks, counters, totals", LEARNER),
    "score from events": Invariant("I8", LEARNER),
    "challenge points": Invariant("I8", LEARNER),
    "badge points": Invariant("I8", LEARNER),
    "held badges": Invariant("I3", LEARNER),
    "experience": Invariant("XP", LEARNER),
    "leaderboard": Invariant("boards", LEARNER),
    "eco contribution": Invariant("savings", LEARNER),
    "team contribution": Invariant("teams", LEARNER),
    "rank counts": Invariant("boards", COUNTS),
    "eco total": Invariant("savings", FIGURES),
    "group members": Invariant("I6", MEMBERS),
    "seats": Invariant("I6", SEATS),
    "outbox": Invariant("I2", OUTBOX),
    "dead letter": Invariant("I12", OUTBOX, "if it dies again, its reason must be removed first: read it here"),
    "outbox age": Invariant("I12", None, "start a relay: flask relay"),
    "schema": Invariant("I10", SCHEMA),
    "sequence": Invariant("I5", LEARNER, "a state behind its journal is repaired; a gap asks for a backup"),
    "events": Invariant("I5", None, "the event cannot be read: correct its payload from a backup"),
    "event ids": Invariant("I5", None, _LEDGER),
    "event points": Invariant("I8", None, _LEDGER),
    "completions": Invariant("I4", None, _LEDGER),
    "co2e of completions": Invariant("I4", None, _LEDGER),
    "participation": Invariant("I4", None, _LEDGER),
    "grants": Invariant("I3", None, _LEDGER),
    "registration rows": Invariant("I4", None, _LEDGER),
    "experience ledger": Invariant("XP", None, _LEDGER),
    "badge rules": Invariant(
        "I7", None, "award or revoke it by hand, or have the rule applied to the past: holders=reevaluate"
    ),
    "rules version": Invariant(
        "rules", None, "raise app_meta.rules_version above all of them, then judge the past: flask rules backfill"
    ),
    "levels": Invariant("levels", None, "put a whole curve in force: PUT /api/levels"),
    "published board": Invariant("boards", None, "published places are for ever: bring them back from a backup"),
    "overbooked": Invariant(
        "I6", None, "raise the capacity, or take registrations back: nobody is sent away by itself"
    ),
    "queue": Invariant("I6", None, "start a relay, which gives free seats to who waits: flask relay"),
    "comments": Invariant("I9", None, "texts are in MongoDB alone: bring them back from a backup"),
    "comments left behind": Invariant("I9", None, "a killed command left them: the nightly job removes them"),
    "store": Invariant("I13", None, "nothing is repaired in stores that are no pair: correct the settings, or restore"),
}
# Where one of these speaks, the journal is no witness against anything else that is stored of the learner.
DOUBTS: Final = frozenset({"events", *(name for name, known in INVARIANTS.items() if known.advice == _LEDGER)})
