"""What badges refuse."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text


class CodeTaken(DomainError):
    """Two badges cannot share a code."""

    kind = Kind.CONFLICT
    code = "code_taken"
    title = Text("Code already used", "Code déjà utilisé")
    detail = Text(
        "Another badge has this code; choose another one.", "Un autre badge porte ce code ; choisissez-en un autre."
    )


class AlreadyHeld(DomainError):
    """A badge is held once."""

    kind = Kind.CONFLICT
    code = "already_held"
    title = Text("Already held", "Badge déjà obtenu")
    detail = Text("This learner already holds this badge.", "Cette personne détient déjà ce badge.")


class NotHeld(DomainError):
    """Only a held badge can be revoked."""

    kind = Kind.CONFLICT
    code = "not_held"
    title = Text("Not held", "Badge non détenu")
    detail = Text("This learner does not hold this badge.", "Cette personne ne détient pas ce badge.")
