"""Making the keys of backups: who writes them needs none that could read them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rebootcamp.integrations.encryption import make_identity
from rebootcamp.integrations.signatures import make_key
from rebootcamp.services.backups.errors import KeyUnusable


@dataclass(frozen=True)
class Keys:
    """Where the new keys are; the recipient is public."""

    recipient: str
    identity: Path
    signing_key: Path
    verify_key: Path


def make_keys(directory: Path) -> Keys:
    """Make a pair for encryption and one for signatures; raise `KeyUnusable` where there is a key already."""
    secret, recipient = make_identity()
    private, public = make_key()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys(recipient, directory / "identity.txt", directory / "signing.pem", directory / "verify.pem")
    # The form of age-keygen, so that `age --decrypt -i` reads it too.
    identity = f"# public key: {recipient}\n{secret}\n".encode()
    for path, content in ((keys.identity, identity), (keys.signing_key, private), (keys.verify_key, public)):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise KeyUnusable(name=path, reason="it exists, and a key is never overwritten") from error
        with open(handle, "wb") as file:
            file.write(content)
    return keys
