"""What can go wrong, said once: a kind for the protocol, a code for programs, a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final, Self

from rebootcamp.core.languages import Text


class Kind(Enum):
    """Families of failure; `web` alone knows which HTTP status each one has."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"


class DomainError(Exception):
    """A broken rule. Subclasses declare `kind`, `code`, `title` and `detail`; `detail` says what to do next."""

    kind: ClassVar[Kind]
    code: ClassVar[str]
    title: ClassVar[Text]
    detail: ClassVar[Text]
    retry_after: int | None = None
    why: Mapping[str, object] | None = None

    def __init__(self, **values: object) -> None:
        super().__init__(self.code)
        self.values = values

    def because(self, **facts: object) -> Self:
        """Return the error with what it rests on: ids, instants and other JSON values for the answer's `why`."""
        self.why = facts
        return self

    def title_in(self, language: str) -> str:
        """Return the short, constant summary."""
        return self.title.resolve(language)

    def detail_in(self, language: str) -> str:
        """Return the sentence about this occurrence."""
        return self.detail.resolve(language, **self.values)


# What can be missing, and how a French sentence about it begins: its noun says whether it is ce, cet or cette.
THINGS: Final[Mapping[str, str]] = {
    "award": "Cette attribution de badge",
    "back-fill": "Ce rattrapage",
    "badge": "Ce badge",
    "challenge": "Ce défi",
    "comment": "Ce commentaire",
    "completion": "Cette réussite",
    "freeze": "Ce gel",
    "group": "Ce groupe",
    "leaderboard": "Ce classement",
    "period": "Cette période",
    "picture": "Cette image",
    "registration": "Cette inscription",
    "resource": "Cette ressource",
    "rest day": "Ce jour de repos",
    "share link": "Ce lien de partage",
    "snapshot": "Ce classement publié",
    "submission": "Cette soumission",
    "user": "Ce compte",
    "workshop": "Cet atelier",
}


class NotFound(DomainError):
    """The thing does not exist, or is not the caller's to see."""

    kind = Kind.NOT_FOUND
    code = "not_found"
    title = Text("Not found", "Introuvable")
    detail = Text(
        "There is no such {thing}, or it is not yours to see.", "{cela} n'existe pas ou ne vous est pas accessible."
    )

    def __init__(self, thing: str = "resource") -> None:
        super().__init__(thing=thing, cela=THINGS[thing])


class Forbidden(DomainError):
    """The caller is known and lacks the permission."""

    kind = Kind.FORBIDDEN
    code = "forbidden"
    title = Text("Not allowed", "Action non autorisée")
    detail = Text(
        "Your role does not allow this; ask an administrator.",
        "Votre rôle ne permet pas cette action ; adressez-vous à un administrateur.",
    )


class Unauthenticated(DomainError):
    """No usable proof of who is calling."""

    kind = Kind.UNAUTHENTICATED
    code = "unauthenticated"
    title = Text("Sign in first", "Connexion requise")
    detail = Text(
        "Send a valid access token in the Authorization header; POST /api/auth/login gives one.",
        "Envoyez un jeton d'accès valide dans l'en-tête Authorization ; POST /api/auth/login en délivre un.",
    )


class InvalidField(DomainError):
    """One value of the request breaks a rule that the schema alone cannot know."""

    kind = Kind.INVALID
    code = "validation_failed"
    title = Text("The request is not valid", "La requête n'est pas valide")
    detail = Text(
        "Correct the fields listed in errors and send the request again.",
        "Corrigez les champs indiqués dans errors puis renvoyez la requête.",
    )

    def __init__(self, pointer: str, message: Text, code: str = "invalid") -> None:
        super().__init__()
        self.pointer, self.message, self.field_code = pointer, message, code


class StaleEdit(DomainError):
    """Somebody changed the thing since the caller read it."""

    kind = Kind.PRECONDITION
    code = "stale_edit"
    title = Text("Changed meanwhile", "Modifié entre-temps")
    detail = Text(
        "The resource changed since you read it; read it again and redo your edit.",
        "La ressource a changé depuis votre lecture ; relisez-la puis refaites votre modification.",
    )


class RateLimited(DomainError):
    """A budget of `limit` in `window` seconds is spent; `policy` names it, after `retry_after` seconds it is whole."""

    kind = Kind.LIMITED

    def __init__(self, policy: str, limit: int, window: int, retry_after: int) -> None:
        super().__init__(limit=limit, minutes=window // 60, retry_after=retry_after)
        self.policy, self.limit, self.window, self.retry_after = policy, limit, window, retry_after


class Busy(DomainError):
    """A lock was not free in time; nothing was done."""

    kind = Kind.UNAVAILABLE
    code = "busy"
    title = Text("Too busy", "Service occupé")
    detail = Text(
        "Another request holds the same record; nothing was changed, try again shortly.",
        "Une autre requête utilise le même enregistrement ; rien n'a été modifié, réessayez dans un instant.",
    )
    retry_after = 1


class OutcomeUnknown(DomainError):
    """COMMIT was sent and its answer lost: the work may or may not be done."""

    kind = Kind.UNAVAILABLE
    code = "outcome_unknown"
    title = Text("Outcome unknown", "Résultat inconnu")
    detail = Text(
        "The connection broke while saving; send the same request with the same Idempotency-Key.",
        "La connexion s'est rompue pendant l'enregistrement ; renvoyez la même requête avec la même Idempotency-Key.",
    )
    retry_after = 1


class DatabaseUnavailable(DomainError):
    """PostgreSQL, which decides everything, cannot be reached."""

    kind = Kind.UNAVAILABLE
    code = "database_unavailable"
    title = Text("Database unavailable", "Base de données indisponible")
    detail = Text(
        "The database cannot be reached; nothing was changed, try again shortly.",
        "La base de données est injoignable ; rien n'a été modifié, réessayez dans un instant.",
    )
    retry_after = 5
