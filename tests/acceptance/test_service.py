"""What only a real server shows: bytes on a socket, several processes, commands."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from typing import Any

import requests

from tests.acceptance.service import Caller, Service, at_once, eventually


def raw(service: Service, request: bytes) -> bytes:
    """Send bytes as they are and return what comes back before the server closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


def head_of(who: Caller, path: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {who.token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_bodies_without_a_length_have_the_same_limits(service: Service) -> None:
    ada = service.join()
    path = f"/api/challenges/{service.make_challenge()}/complete"
    chunked = head_of(ada, path, "Content-Type: application/json", "Transfer-Encoding: chunked")
    large = b"%x\r\n" % (3 << 20) + b"x" * (3 << 20) + b"\r\n0\r\n\r\n"
    assert problem_of(raw(service, chunked + large)) == (413, "body_too_large")
    assert problem_of(raw(service, chunked + b"3\r\n[[[\r\n0\r\n\r\n")) == (400, "malformed_json")
    assert b" 201 " in raw(service, chunked + b"2\r\n{}\r\n0\r\n\r\n").split(b"\r\n")[0]


def test_a_large_body_is_refused_by_its_length_alone(service: Service) -> None:
    ada = service.join()
    declared = head_of(ada, "/api/challenges/1/complete", "Content-Type: application/json", "Content-Length: 10485760")
    assert problem_of(raw(service, declared)) == (413, "body_too_large")


def test_nonsense_on_the_wire_does_not_stop_the_service(service: Service) -> None:
    for request in (
        b"\x00" * 1000 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        first_line = raw(service, request).split(b"\r\n")[0]
        assert re.match(rb"HTTP/1\.[01] 4\d\d |^$", first_line), (request[:40], first_line)
    assert service.is_alive()


def test_a_connection_is_kept_for_the_next_request_even_after_a_refusal(service: Service) -> None:
    ada, connection = service.join(), http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    headers = {"Authorization": f"Bearer {ada.token}", "Content-Type": "application/json"}
    try:
        for status, body in ((400, b"{"), (422, b"[]"), (404, b"{}"), (415, None)):
            told = headers if body is not None else {**headers, "Content-Type": "text/plain"}
            connection.request("POST", "/api/challenges/999999/complete", body or b"{}", told)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["status"]) == (status, status)
        connection.request("GET", "/api/challenges", headers=headers)
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def test_figures_of_all_workers_are_added_up(service: Service) -> None:
    def count() -> float:
        text = service.send("GET", "/metrics").text
        pattern = r'rebootcamp_http_request_seconds_count\{method="GET",rule="/api/docs",status="2xx"\} ([0-9.]+)'
        found = re.search(pattern, text)
        return float(found.group(1)) if found else 0.0

    before = count()
    for _ in range(20):
        assert service.send("GET", "/api/docs").status_code == 200
    assert {count() for _ in range(5)} == {before + 20}


def test_a_story_from_joining_to_the_board(service: Service) -> None:
    ada, code = service.join(), service.make_badge(1, points=5)
    challenge = service.make_challenge(points=40)
    done = ada.complete(challenge, "first")
    assert done.status_code == 201
    assert code in [badge["code"] for badge in done.json()["rewards"]["badges"]]
    total = done.json()["score"]["total"]
    assert ada.read(f"{ada.path}/progress")["score"]["total"] == total
    assert ada.read("/api/leaderboards/global/me")["score"] == total
    service.assert_stores_agree()
    progress = ada.read(f"{ada.path}/progress")
    assert progress["consistency"]["seq"] == progress["consistency"]["projected_seq"]
    assert ada.read("/api/leaderboards/global/me")["score"] == total


def test_rebuilding_changes_nothing_that_is_read(service: Service) -> None:
    ada = service.join()
    for _ in range(3):
        assert ada.complete(service.make_challenge()).status_code == 201
    eventually(service.is_delivered)
    paths = [f"{ada.path}/progress", f"{ada.path}/history", f"{ada.path}/badges", "/api/leaderboards/global/me"]

    def read_all() -> list[Any]:
        # Where MongoDB takes too long, PostgreSQL tells the same alone, and says so.
        return [{name: value for name, value in ada.read(path).items() if name != "consistency"} for path in paths]

    before = read_all()
    seq = ada.read(paths[0])["consistency"]["seq"]
    stop, rounds = threading.Event(), list[list[Any]]()

    def read_on() -> None:
        while not stop.is_set():
            rounds.append(read_all())

    def rebuild() -> None:
        try:
            for arguments in ((), (), ("--drop-old",)):
                done = service.flask("rebuild", *arguments)
                assert done.returncode == 0, done.stdout + done.stderr
        finally:
            stop.set()

    at_once([read_on, rebuild])
    assert len(rounds) > 10
    assert [body for bodies in rounds for body, known in zip(bodies, before, strict=True) if body != known] == []
    # The same processes go on, in the new database.
    assert ada.complete(service.make_challenge()).status_code == 201
    eventually(service.is_delivered)
    after = ada.read(paths[0])["consistency"]
    assert after["projected_seq"] == after["seq"] > seq
    service.assert_stores_agree()


def test_answers_are_not_crossed_between_callers(service: Service) -> None:
    """Each of many threads on kept connections gets its own answers only."""
    learners = at_once([service.join] * 6)

    def ask(learner: Caller) -> bool:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {learner.token}"
            for number in range(30):
                given = f"{learner.id}-{number}"
                answer = session.get(
                    f"{service.url}{learner.path}/progress", headers={"X-Request-Id": given}, timeout=10
                )
                if answer.headers["X-Request-Id"] != given or answer.json()["user"]["id"] != learner.id:
                    return False
        return True

    assert all(at_once([lambda one=one: ask(one) for one in learners]))
