"""Facts about accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class AccountRegistered(Fact):
    """A learner joined; always the first event of a line."""

    type: ClassVar[str] = "account.registered"
