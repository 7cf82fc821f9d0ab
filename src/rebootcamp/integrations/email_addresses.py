"""The syntax of e-mail addresses."""

from __future__ import annotations

import unicodedata

from email_validator import validate_email


def normalise_email(text: str) -> str:
    """Return the one spelling under which an address is stored; raise `ValueError` when it is none."""
    # `.test` is reserved for trials like ours; whether mail arrives is what verification by e-mail is for.
    checked = validate_email(text, check_deliverability=False, test_environment=True, strict=True)
    return unicodedata.normalize("NFC", checked.normalized.lower())
