"""Parts of addresses."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, ValidationError

from rebootcamp.schemas.base import INT64_MAX


class IdConverter(BaseConverter):
    """`<id:user_id>`: 1 to 2⁶³-1; anything else is an address that does not exist."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """Return the number, or let the route not match."""
        number = int(value)
        if number > INT64_MAX:
            raise ValidationError
        return number
