"""Parts of addresses."""

from __future__ import annotations

from werkzeug.routing import BaseConverter

from rebootcamp.schemas.base import INT64_MAX


def _up_to(bound: str) -> str:
    """Return the pattern of the numbers from 1 to the bound."""
    shorter = f"[1-9][0-9]{{0,{len(bound) - 2}}}"
    smaller = [
        f"{bound[:place]}[{0 if place else 1}-{int(digit) - 1}][0-9]{{{len(bound) - place - 1}}}"
        for place, digit in enumerate(bound)
        if int(digit) > (0 if place else 1)
    ]
    return "|".join([shorter, *smaller, bound])


class IdConverter(BaseConverter):
    """`<id:user_id>`: 1 to 2⁶³-1; anything else is an address that does not exist."""

    # The bound is in the pattern: werkzeug answers 405, not 404, when a converter refuses what its pattern took.
    regex = _up_to(str(INT64_MAX))

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)
