"""A load generator that costs little: prepared request bytes, one thread, keep-alive connections."""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Result:
    """What one round saw."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    @property
    def median_ms(self) -> float:
        """Median latency in milliseconds."""
        return statistics.median(self.latencies) * 1000


class _Connection:
    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests = requests
        self.buffer = b""
        self.sent_at = 0.0

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(next(self.requests))

    def receive(self) -> int | None:
        """Return the status once the whole answer is here."""
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        if len(body) < _content_length(head):
            return None
        self.buffer = b""
        return int(head[9:12])


def _content_length(head: bytes) -> int:
    start = head.lower().find(b"content-length:")
    if start < 0:
        return 0
    return int(head[start + 15 : head.find(b"\r", start) if b"\r" in head[start:] else None])


def run(port: int, requests: Iterator[bytes], seconds: float, connections: int) -> Result:
    """Send requests over some connections for some seconds."""
    result = Result()
    selector = selectors.DefaultSelector()
    opened = [_Connection(port, requests) for _ in range(connections)]
    started = time.perf_counter()
    for connection in opened:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    while (now := time.perf_counter()) - started < seconds:
        for key, _ in selector.select(timeout=0.5):
            status = key.data.receive()
            if status is not None:
                result.latencies.append(time.perf_counter() - key.data.sent_at)
                result.statuses[status] = result.statuses.get(status, 0) + 1
                key.data.send()
    result.seconds = now - started
    for connection in opened:
        connection.socket.close()
    return result
