"""Who acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rebootcamp.core.days import UTC_DAYS, Days
from rebootcamp.core.errors import Forbidden, NotFound
from rebootcamp.core.permissions import is_allowed


class Caller(Protocol):
    """Who calls, before the first statement of a command has read his row."""

    @property
    def user_id(self) -> int:
        """Return whom the caller says he is."""

    def confirmed(self, row: Mapping[Any, Any] | None) -> Actor:
        """Return the actor by his row (`CALLER_COLUMNS`); raise `Unauthenticated` or `Forbidden`."""


@dataclass(frozen=True)
class Actor:
    """The authenticated caller of a use case."""

    user_id: int
    role: str
    days: Days = UTC_DAYS

    def confirmed(self, row: Mapping[Any, Any] | None) -> Actor:
        """Return the actor himself: authenticated before."""
        return self

    def can(self, permission: str) -> bool:
        """Tell whether the caller's role holds the permission."""
        return is_allowed(self.role, permission)

    def require(self, permission: str) -> None:
        """Raise `Forbidden` unless the caller's role holds the permission."""
        if not self.can(permission):
            raise Forbidden

    def require_self_or(self, permission: str, user_id: int) -> None:
        """Raise `NotFound` when the data is somebody else's: a stranger must not learn that it exists."""
        if self.user_id != user_id and not self.can(permission):
            raise NotFound("user")
