"""Vocabulary of groups, and the codes with which one joins them."""

from __future__ import annotations

import secrets
from typing import Final

KINDS: Final = ("class", "team")
MAX_MEMBERS: Final = 500

# Crockford's base 32: no letter can be read as a digit, and what people type instead is understood.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH: Final = 10
_TYPED: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code() -> str:
    """Return a random code; 32^10 possible ones make guessing hopeless."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def canonical_code(text: str) -> str:
    """Return the stored spelling of a code as people type it."""
    return text.upper().translate(_TYPED)


def spaced_code(code: str) -> str:
    """Return the code as people read it: two halves."""
    half = CODE_LENGTH // 2
    return f"{code[:half]}-{code[half:]}"
