"""The client of MongoDB, before anything is connected."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rebootcamp.config import Settings
from rebootcamp.storage import mongo

THREADS = 16


@pytest.fixture
def impatient() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient")
def test_first_requests_at_once_share_one_client() -> None:
    mongo.configure(Settings("test", "", "", "mongodb://127.0.0.1:1/?replicaSet=rs0"))
    together = threading.Barrier(THREADS)

    def first_request(_: int) -> int:
        together.wait()
        return id(mongo.client())

    try:
        with ThreadPoolExecutor(THREADS) as threads:
            assert len(set(threads.map(first_request, range(THREADS)))) == 1
    finally:
        mongo.close()
