"""Guessing over HTTP: wrong answers are counted for each learner and challenge, whatever became of their requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine

from rebootcamp.core import clock
from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import make_challenge

LIMIT = 5


@pytest.fixture
def path() -> str:
    return make_riddle()


def make_riddle() -> str:
    return f"/api/challenges/{make_challenge(validation='answer', answers=['sun']).id}/complete"


def guess(wire: Wire, who: Person, path: str, times: int = LIMIT) -> None:
    for _ in range(times):
        assert_problem(wire.post(path, who, json={"answer": "moon"}), 422, "wrong_answer")


def test_after_five_wrong_answers_even_the_right_one_must_wait(wire: Wire, ada: Person, path: str) -> None:
    guess(wire, ada, path)
    for answer in ("moon", "sun"):
        refused = wire.post(path, ada, json={"answer": answer}, headers={"Accept-Language": "fr"})
        assert_problem(refused, 429, "too_many_attempts")
        wait = int(refused.headers["Retry-After"])
        assert 590 <= wait <= 600
        assert refused.headers["RateLimit-Policy"] == '"answers";q=5;w=600'
        assert refused.headers["RateLimit"] == f'"answers";r=0;t={wait}'
        assert f"dans {wait} secondes" in refused.json["detail"]
    assert wire.read(f"{ada.path}/progress", ada)["score"]["total"] == 0


def test_the_pause_ends_and_the_count_begins_anew(wire: Wire) -> None:
    start = clock.now()
    with time_machine.travel(start, tick=False):
        ada, path = wire.join(), make_riddle()
        guess(wire, ada, path)
        answer = wire.post(path, ada, json={"answer": "sun"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "600")
    with time_machine.travel(start + timedelta(seconds=599), tick=False):
        answer = wire.post(path, ada, json={"answer": "sun"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    with time_machine.travel(start + timedelta(seconds=600), tick=False):
        ada = Person(ada.actor, ada.email, wire.token(ada.email))
        guess(wire, ada, path, LIMIT - 1)
        assert wire.post(path, ada, json={"answer": "sun"}).status_code == 201


def test_others_and_other_challenges_are_not_concerned(wire: Wire, ada: Person, path: str) -> None:
    guess(wire, ada, path)
    assert wire.post(make_riddle(), ada, json={"answer": "sun"}).status_code == 201
    assert wire.post(path, wire.join(), json={"answer": "sun"}).status_code == 201


def test_what_is_no_answer_is_no_attempt(wire: Wire, ada: Person, path: str) -> None:
    for _ in range(LIMIT + 1):
        assert_problem(wire.post(path, ada, json={}), 422, "validation_failed")
    assert wire.post(path, ada, json={"answer": "sun"}).status_code == 201


def test_a_replay_is_no_attempt_and_a_pause_is_no_answer_to_keep(wire: Wire, ada: Person, path: str) -> None:
    def send(key: str) -> tuple[int, str | None]:
        answer = wire.post(path, ada, json={"answer": "moon"}, headers={"Idempotency-Key": key})
        return answer.status_code, answer.headers.get("Idempotent-Replayed")

    assert [send("one") for _ in range(7)] == [(422, None)] + [(422, "true")] * 6
    assert [send(str(number)) for number in range(4)] == [(422, None)] * 4
    assert send("late") == (429, None)
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        ada = Person(ada.actor, ada.email, wire.token(ada.email))
        assert send("late") == (422, None)


def test_attempts_at_once_are_all_counted(wire: Wire, ada: Person, path: str) -> None:
    def attempt(_: int) -> str:
        code: str = wire.post(path, ada, json={"answer": "moon"}).json["code"]
        return code

    with ThreadPoolExecutor(6) as threads:
        codes = list(threads.map(attempt, range(18)))
    # `busy`: the lock was not free within two seconds, which a loaded machine may cause.
    assert codes.count("wrong_answer") == LIMIT
    assert set(codes) <= {"wrong_answer", "too_many_attempts", "busy"}
