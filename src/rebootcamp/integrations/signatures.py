"""Detached signatures (Ed25519): a backup says who made it."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from rebootcamp.integrations.encryption import UnusableKey


def make_key() -> tuple[bytes, bytes]:
    """Return a new private key and its public one, both as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(content: bytes, private_pem: bytes) -> bytes:
    """Return the signature as base64; raise `UnusableKey`."""
    try:
        key = load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey("it is no Ed25519 private key")
    return base64.b64encode(key.sign(content)) + b"\n"


def is_signed(content: bytes, signature: bytes, public_pem: bytes) -> bool:
    """Tell whether the signature fits; raise `UnusableKey`."""
    try:
        key = load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKey("it is no Ed25519 public key")
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), content)
    except (InvalidSignature, binascii.Error):
        return False
    return True
