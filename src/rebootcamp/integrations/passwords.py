"""Password hashing with argon2id."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from rebootcamp.core.errors import Busy

# Each hash holds a core and 19 MiB: without a limit a burst of logins starves every other request.
MAX_PARALLEL_HASHES = 2
# Seconds; whoever waits for a slot holds a thread that others need.
LONGEST_WAIT = 2.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
_slots = BoundedSemaphore(MAX_PARALLEL_HASHES)


def hash_password(plain: str) -> str:
    """Return a salted argon2id hash."""
    with _slot():
        return _hasher.hash(_canonical(plain))


def verify_password(stored: str | None, plain: str) -> bool:
    """Tell whether the password fits; an unknown account (None) costs as much time as a wrong password."""
    if stored is None:
        _matches(_decoy(), plain)
        return False
    return _matches(stored, plain)


def needs_rehash(stored: str) -> bool:
    """Tell whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _matches(stored: str, plain: str) -> bool:
    with _slot():
        try:
            return _hasher.verify(stored, _canonical(plain))
        except (VerificationError, InvalidHashError):
            return False


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=LONGEST_WAIT):
        raise Busy
    try:
        yield
    finally:
        _slots.release()


def _canonical(plain: str) -> str:
    # The same `é` is one code point on one keyboard and two on another.
    return unicodedata.normalize("NFKC", plain)


@lru_cache(maxsize=1)
def _decoy() -> str:
    return hash_password("nobody has this password")
