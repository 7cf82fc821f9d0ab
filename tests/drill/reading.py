"""Every read address of the service with every id that it can take, asked of both servers and held side by side."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from werkzeug.routing import Rule

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core.leaderboards import BOARDS, GROUP
from tests.drill.sites import Site

# They tell about the process that answers, not about the data.
OF_THE_PROCESS = {"/metrics", "/readyz"}
# What differs between two answers to the same question asked of the same server.
VOLATILE = [re.compile(rb'"request_id":"[^"]*"')]
CURSOR = re.compile(rb'"next_cursor":"([^"]+)"')
# One answer may fall before midnight and the other one after it.
ATTEMPTS = 3


@dataclass
class Compared:
    """What became of one route."""

    asked: int = 0
    equal: int = 0
    statuses: set[int] = field(default_factory=set)
    differing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """An account that is signed in on both servers; a token for each."""

    old: str
    new: str


def read_rules() -> list[Rule]:
    """Return the routes that read."""
    address = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "MONGODB_URI": "mongodb://127.0.0.1:1"}
    app = create_app(Settings.from_env({**address, "SECRET_KEY": "x" * 32, "APP_ENV": "test"}))
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    return sorted(rules, key=lambda rule: rule.rule)


def ids_of(site: Site, token: str) -> dict[str, list[str]]:
    """Return what each variable of an address can be, as an administrator sees it."""

    def every(path: str, name: str = "id") -> list[str]:
        found, cursor = [], ""
        while True:
            answer = site.send("GET", f"{path}{'&' if '?' in path else '?'}limit=100{cursor}", token)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return found
            assert answer.ok, answer.text
            page = answer.json()
            found += [str(item[name]) for item in page["items"]]
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"

    groups = every("/api/groups")
    # Without a beginning, only those are told that are not over; drafts only when asked for.
    workshops = [*every("/api/workshops?from=2000-01-01"), *every("/api/workshops?from=2000-01-01&status=draft")]
    boards = [*BOARDS, *(f"{GROUP}{group}" for group in groups)]
    return {
        "user_id": every("/api/users"),
        "code": every("/api/badges", "code"),
        "challenge_id": every("/api/challenges"),
        "group_id": groups,
        "rest_id": every("/api/calendar"),
        "workshop_id": workshops,
        "comment_id": list(itertools.chain(*(every(f"/api/workshops/{number}/comments") for number in workshops))),
        "board": boards,
        "snapshot_id": list(itertools.chain(*(every(f"/api/leaderboards/{board}/snapshots") for board in boards))),
        "name": ["swagger-ui.css"],
    }


def addresses(rule: Rule, ids: dict[str, list[str]]) -> Iterator[str]:
    """Yield the addresses of a route, one for each combination of ids, or of one unknown id."""
    values = [ids[name] or ["0"] for name in sorted(rule.arguments)]
    for combination in itertools.product(*values):
        path = rule.rule
        for name, value in zip(sorted(rule.arguments), combination, strict=True):
            path = re.sub(rf"<(?:\w+:)?{name}>", value, path)
        yield path


def compare(old: Site, new: Site, readers: dict[str, Reader], extra: list[str]) -> dict[str, Compared]:
    """Ask both servers for every address as each reader; return what became of each route."""
    ids = ids_of(old, readers["administrator"].old)
    table: dict[str, Compared] = defaultdict(Compared)
    for rule in read_rules():
        if rule.rule not in OF_THE_PROCESS:
            for path in addresses(rule, ids):
                for name, reader in readers.items():
                    _hold(table[rule.rule], old, new, path, name, reader)
    for path in extra:
        _hold(table[path.partition("?")[0] + "?key=…"], old, new, path, "nobody", Reader("", ""))
    return table


def _hold(row: Compared, old: Site, new: Site, path: str, name: str, reader: Reader) -> None:
    """Ask for an address and, where it is a list, for all its pages."""
    page: str | None = path
    while page is not None:
        for _ in range(ATTEMPTS):
            left, right = _ask(old, page, reader.old), _ask(new, page, reader.new)
            if left == right:
                break
        row.asked += 1
        row.statuses.add(left[0])
        row.equal += left == right
        if left != right:
            row.differing.append(f"{name} {page}: {_difference(left, right)}")
        cursor = CURSOR.search(left[2])
        page = f"{path}?cursor={cursor[1].decode()}" if cursor and left[0] == 200 else None


def _ask(site: Site, path: str, token: str) -> tuple[int, str, bytes]:
    answer: Any = site.send("GET", path, token or None)
    body: bytes = answer.content
    for pattern in VOLATILE:
        body = pattern.sub(b"", body)
    return answer.status_code, answer.headers.get("Content-Type", ""), body


def _difference(left: tuple[int, str, bytes], right: tuple[int, str, bytes]) -> str:
    if left[:2] != right[:2]:
        return f"{left[:2]} and {right[:2]}"
    pairs = enumerate(zip(left[2], right[2], strict=False))
    at = next((place for place, (one, other) in pairs if one != other), min(len(left[2]), len(right[2])))
    near = slice(max(0, at - 60), at + 60)
    return f"{left[2][near]!r} and {right[2][near]!r}"
