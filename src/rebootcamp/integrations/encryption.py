"""Encryption to public keys (age): who writes backups cannot read them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Protocol


class Readable(Protocol):
    """What is encrypted, or decrypted, piece by piece."""

    def read(self, size: int = -1, /) -> bytes: ...


class Writable(Protocol):
    """Where the result goes, piece by piece."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class UnusableKey(ValueError):
    """The text is no key of the kind that is needed."""


class Undecipherable(ValueError):
    """The key is not one of those, or the bytes were changed."""


def encrypt(source: Readable, target: Writable, recipients: Sequence[str]) -> None:
    """Encrypt a stream so that each recipient (`age1…`) can read it."""
    _age().encrypt_io(source, target, parse_recipients(recipients))


def decrypt(source: Readable, target: Writable, identity: str) -> None:
    """Decrypt a stream; raise `Undecipherable`, `UnusableKey`."""
    try:
        _age().decrypt_io(source, target, _parse_identities(identity))
    except _age().DecryptError as error:
        raise Undecipherable(str(error)) from error


def parse_recipients(recipients: Sequence[str]) -> list[object]:
    """Return the public keys; raise `UnusableKey`, naming the first that is none."""
    try:
        return [_age().x25519.Recipient.from_str(text) for text in recipients]
    except _age().RecipientError as error:
        raise UnusableKey(str(error)) from error


def make_identity() -> tuple[str, str]:
    """Return a new secret identity and its public recipient."""
    identity = _age().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def _parse_identities(text: str) -> list[object]:
    # The form of age-keygen: comments, then one identity a line.
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        return [_age().x25519.Identity.from_str(line) for line in lines]
    except _age().IdentityError as error:
        raise UnusableKey(str(error)) from error


@lru_cache(maxsize=1)
def _age() -> ModuleType:
    # Only backups need it: no web process loads it.
    return import_module("pyrage")
