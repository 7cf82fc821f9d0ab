"""What is written to the log of a failure, and what never is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import structlog
from flask import Flask

from rebootcamp.core.errors import DatabaseUnavailable
from rebootcamp.storage.mongo import MongoUnavailable
from rebootcamp.web import logs
from rebootcamp.web.policies import public

Read = Callable[[], str]
# Made here, so that no line of source that a traceback quotes holds it.
SECRET = "hunter" * 2


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[Read]:
    """Read what was written since; the log is quiet again afterwards."""
    yield lambda: capsys.readouterr().err
    logs.configure("WARNING", "json")


def sign_in(password: str) -> None:
    quoted = f'null value in column "x"\nDETAIL:  Failing row contains ({password}).\nLINE 1: SELECT {password!r}'
    raise RuntimeError("no such account") from ValueError(quoted)


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_values(told: Read, style: str) -> None:
    logs.configure("WARNING", style)
    try:
        sign_in(SECRET)
    except RuntimeError:
        structlog.get_logger("test").exception("unexpected error")
    lines = told()
    assert "no such account" in lines
    assert "null value in column" in lines
    assert "sign_in" in lines
    assert SECRET not in lines


FAILURES: dict[str, Callable[[], Exception]] = {
    "database_unavailable": DatabaseUnavailable,
    "store_unavailable": lambda: MongoUnavailable("circuit open"),
}


@pytest.mark.parametrize("code", FAILURES)
def test_every_503_says_its_cause_once(edge: Flask, told: Read, code: str) -> None:
    @edge.get("/away")
    @public
    def away() -> None:
        failure = FAILURES[code]()
        raise failure from ConnectionError(f"connection refused\nDETAIL: {SECRET}")

    logs.configure("WARNING", "json")
    answer = edge.test_client().get("/away")
    assert (answer.status_code, answer.get_json()["code"]) == (503, code)
    (line,) = told().splitlines()
    record = json.loads(line)
    assert (record["level"], record["event"], record["code"]) == ("warning", "unavailable", code)
    assert record["request_id"] == answer.headers["X-Request-Id"]
    assert record["causes"][-1] == "ConnectionError: connection refused"
    assert len(record["causes"]) == (2 if code == "database_unavailable" else 3)
