"""Facts about accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class AccountRegistered(Fact):
    """A learner joined; always the first event of a line."""

    type: ClassVar[str] = "account.registered"


@dataclass(frozen=True, kw_only=True)
class DaysChanged(Fact):
    """A learner chose another zone or day start; `bridged` lists the dates that it cuts short or skips.

    It replaces what an earlier change on the same date had bridged.
    """

    type: ClassVar[str] = "account.days_changed"

    timezone: str
    day_start_hour: int
    holds_from: str
    bridged: list[str]


@dataclass(frozen=True, kw_only=True)
class AccountErased(Fact):
    """A learner became nobody: what earlier events said in people's own words is now a dash, in the journal too."""

    type: ClassVar[str] = "account.erased"
