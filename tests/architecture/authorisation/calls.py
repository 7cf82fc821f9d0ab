"""Requests: how each row of the matrix is asked for, and what its outcome is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import TestResponse

from tests.architecture.authorisation.world import World


@dataclass(frozen=True)
class Call:
    """What a request fills its path with, beside the world's own places, and what else it sends."""

    places: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


# Makes the request of a row, and what that is to change: each call has its own, so that no order matters.
Calls = Mapping[str, Callable[[World], Call]]


def ask(world: World, calls: Calls, label: str, caller: str) -> TestResponse:
    """Send the request of a row in the name of a caller."""
    method, path = label.partition(" [")[0].split(" ")
    call = calls[label](world) if label in calls else Call()
    places = {**world.places, **call.places}
    options = {} if call.body is None else {"json": call.body}
    return world.wire.open(method, path.format(**places), world.people[caller], query_string=call.query, **options)


def outcome(answer: TestResponse) -> str:
    """Return what a caller got: a conflict is a later rule's, so he was let in."""
    return "ok" if answer.status_code < 400 or answer.status_code == 409 else str(answer.status_code)
