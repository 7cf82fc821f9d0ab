"""One learner's things, and everybody who might ask for them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rebootcamp.core import clock
from rebootcamp.services.groups import get_group
from tests.architecture.authorisation.matrix import CALLERS
from tests.controllers.wire import Person, Wire
from tests.factories import complete, make_badge, make_challenge
from tests.factories import make_group as _make_group

BY_HAND = {"points": {"at_least": 100_000}}
REASON = {"reason": "For the tests."}
TEXTS = {"en": "S", "fr": "D"}


@dataclass
class World:
    """The callers by the names of the columns, and the places that the paths of requests name.

    The owner is the learner of the path, and a member of the instructor's group as the student is; the other student
    has to do with nothing. The suspended one was an administrator, whose token has not expired yet.
    """

    wire: Wire
    people: Mapping[str, Person | None]
    places: dict[str, Any] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def owner(self) -> Person:
        return self.person("owner")

    @property
    def admin(self) -> Person:
        return self.person("admin")

    def person(self, name: str) -> Person:
        """Return a caller who has an account."""
        found = self.people[name]
        assert found is not None
        return found

    def number(self) -> int:
        """Return a number that nobody had before."""
        return next(self._numbers)

    def make_group(self) -> int:
        """Make a group of the instructor with the owner and the student; return its id."""
        members = self.person("owner").actor, self.person("student").actor
        return _make_group(*members, owner=self.person("instructor").actor)

    def make_code(self) -> str:
        """Return the code of a new group without members."""
        instructor = self.person("instructor").actor
        return get_group(instructor, _make_group(owner=instructor)).group.join_code

    def make_completion(self, **fields: Any) -> int:
        """Let the owner complete something; return the id of that."""
        return complete(self.owner.actor, make_challenge(**fields)).completion.id

    def make_award(self) -> str:
        """Give the owner a badge by hand; return its code."""
        code = self.make_badge()
        self.do("POST", f"{self.owner.path}/badges", self.admin, {"code": code, **REASON})
        return code

    def make_badge(self) -> str:
        """Add a badge that nobody earns; return its code."""
        return make_badge(f"badge_{self.number()}", criteria=BY_HAND)

    def make_link(self) -> Any:
        """Return a share link of the owner that nobody will miss: the last one, unless it was revoked."""
        links = self.wire.items("/api/users/me/share-links", self.owner)
        found = next((link for link in links if link["label"] == "disposable"), None)
        return found or self.do("POST", "/api/users/me/share-links", self.owner, {"label": "disposable"})

    def make_rest_day(self) -> int:
        """Add rest days to come; return their id."""
        found: int = self.do("POST", "/api/calendar", self.admin, rest_day(self.number()))["id"]
        return found

    def do(self, method: str, path: str, who: Person, body: Any = None) -> Any:
        """Send a command that succeeds; return its answer."""
        answer = self.wire.open(method, path, who, json=body)
        assert answer.status_code < 300, (path, answer.text)
        return answer.get_json(silent=True)


def rest_day(number: int) -> dict[str, Any]:
    """Return the body of a rest day of its own."""
    day = str(clock.now().date() + timedelta(days=9 + number))
    return {"starts_on": day, "ends_on": day, "translations": TEXTS}


def make_world(wire: Wire) -> World:
    """Sign everybody in."""
    roles = {name: name.rpartition(" ")[2] for name in CALLERS} | {"owner": "student", "suspended": "admin"}
    people = {name: wire.join(role) for name, role in roles.items() if role not in ("anonymous", "admin")}
    world = World(wire, {**people, "anonymous": None, "admin": wire.admin(), "suspended": wire.join("admin")})
    world.do("PATCH", world.person("suspended").path, world.admin, {"is_active": False})
    return world
