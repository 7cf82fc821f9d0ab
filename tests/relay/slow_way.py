"""A way to PostgreSQL on which one message takes its time: what else happens in between has room to."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url


@contextmanager
def slow_way(database_url: str, message: bytes, seconds: float) -> Iterator[str]:
    """Yield another URL of the same database; what contains the message arrives so much later."""
    url = make_url(database_url)

    class Carrier(socketserver.BaseRequestHandler):
        """Carries one connection."""

        def handle(self) -> None:
            with socket.create_connection((url.host, url.port)) as server:
                ends = {self.request: server, server: self.request}
                while True:
                    for end in select.select(list(ends), [], [])[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        if message in data:
                            time.sleep(seconds)
                        ends[end].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carrier) as way:
        way.daemon_threads = True
        thread = threading.Thread(target=way.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield url.set(host="127.0.0.1", port=way.server_address[1]).render_as_string(hide_password=False)
        finally:
            way.shutdown()
            thread.join()
