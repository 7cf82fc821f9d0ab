"""The words in which the engine says why it took something; whoever takes by hand uses others."""

from __future__ import annotations

from typing import Final

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.languages import Text
from rebootcamp.services.gamification.progression import AUTOMATIC, EXPIRED

RESERVED: Final = (*AUTOMATIC, EXPIRED)


def refuse_reserved(reason: str) -> None:
    """Raise `InvalidField` for a word which would say that the thing may be earned again by what was done before."""
    if reason in RESERVED:
        message = Text("Say it in your own words.", "Dites-le avec vos propres mots.")
        raise InvalidField("/reason", message, "reserved")
