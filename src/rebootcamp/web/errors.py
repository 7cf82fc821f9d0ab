"""What goes wrong at the HTTP edge itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rebootcamp.core.errors import DomainError, InvalidField, Kind
from rebootcamp.core.languages import Text


class EdgeError(DomainError):
    """A refusal whose HTTP status its kind alone does not tell."""

    kind = Kind.INVALID
    status: ClassVar[int]


class MalformedJson(EdgeError):
    """The body is not JSON."""

    status = 400
    code = "malformed_json"
    title = Text("Not valid JSON", "JSON non valide")
    detail = Text(
        "The body is not valid JSON (RFC 8259, UTF-8); correct it and send it again.",
        "Le corps n'est pas du JSON valide (RFC 8259, UTF-8) ; corrigez-le puis renvoyez-le.",
    )


class UnsupportedMediaType(EdgeError):
    """The body is not announced as JSON."""

    status = 415
    code = "unsupported_media_type"
    title = Text("Unsupported media type", "Type de contenu non pris en charge")
    detail = Text(
        "Send the body as JSON with Content-Type: application/json.",
        "Envoyez le corps en JSON avec Content-Type: application/json.",
    )


@dataclass(frozen=True)
class FieldError:
    """One wrong value; `message` is English that `translations` knows, or both languages."""

    pointer: str
    message: str


class InvalidRequest(DomainError):
    """The body or the query does not fit its schema."""

    kind = Kind.INVALID
    code = InvalidField.code
    title = InvalidField.title
    detail = InvalidField.detail

    def __init__(self, errors: Sequence[FieldError] = ()) -> None:
        super().__init__()
        self.errors = errors


class Unstorable(DomainError):
    """The last fence: a value passed the schemas and a store refused it."""

    kind = Kind.INVALID
    code = InvalidField.code
    title = InvalidField.title
    detail = Text(
        "A value of the request cannot be stored: too long, out of range or not text.",
        "Une valeur de la requête ne peut pas être enregistrée : trop longue, hors limites ou non textuelle.",
    )


class Conflicting(DomainError):
    """The last fence: a constraint refused the write and no rule of the domain claimed it."""

    kind = Kind.CONFLICT
    code = "conflict"
    title = Text("Conflict", "Conflit")
    detail = Text(
        "The request conflicts with the present state; read it again and retry.",
        "La requête est en conflit avec l'état actuel ; relisez-le puis réessayez.",
    )


class StoreUnavailable(DomainError):
    """MongoDB cannot be used and nothing can stand in for it."""

    kind = Kind.UNAVAILABLE
    code = "store_unavailable"
    title = Text("Store unavailable", "Stockage indisponible")
    detail = Text(
        "The document store cannot be reached; try again shortly.",
        "Le stockage de documents est injoignable ; réessayez dans un instant.",
    )
    retry_after = 5


class InternalError(EdgeError):
    """A defect of ours; the log knows more, the caller gets the request id only."""

    status = 500
    kind = Kind.UNAVAILABLE
    code = "internal_error"
    title = Text("Internal error", "Erreur interne")
    detail = Text(
        "Something failed on our side; quote the request id when you report it.",
        "Une erreur est survenue de notre côté ; indiquez l'identifiant de requête en la signalant.",
    )


@dataclass(frozen=True)
class StatusText:
    """How a bare HTTP error of the framework is told."""

    code: str
    title: Text
    detail: Text


STATUS_TEXTS: Final = {
    400: StatusText(
        "bad_request",
        Text("Bad request", "Requête incorrecte"),
        Text("The request cannot be understood; correct it.", "La requête n'est pas compréhensible ; corrigez-la."),
    ),
    401: StatusText(
        "unauthenticated",
        Text("Sign in first", "Connexion requise"),
        Text("Send a valid access token.", "Envoyez un jeton d'accès valide."),
    ),
    403: StatusText(
        "forbidden",
        Text("Not allowed", "Action non autorisée"),
        Text("You may not do this.", "Vous ne pouvez pas faire cela."),
    ),
    404: StatusText(
        "not_found",
        Text("Not found", "Introuvable"),
        Text("There is nothing at this address.", "Il n'y a rien à cette adresse."),
    ),
    405: StatusText(
        "method_not_allowed",
        Text("Method not allowed", "Méthode non autorisée"),
        Text(
            "This address exists, not for this method; see the Allow header.",
            "Cette adresse existe, mais pas pour cette méthode ; voyez l'en-tête Allow.",
        ),
    ),
    406: StatusText(
        "not_acceptable",
        Text("Not acceptable", "Format non disponible"),
        Text("Answers are JSON only.", "Les réponses sont uniquement en JSON."),
    ),
    408: StatusText(
        "request_timeout",
        Text("Request timeout", "Délai dépassé"),
        Text("The request took too long to arrive.", "La requête a mis trop de temps à arriver."),
    ),
    413: StatusText(
        "body_too_large",
        Text("Body too large", "Corps trop volumineux"),
        Text("Send less at once.", "Envoyez moins de données à la fois."),
    ),
    414: StatusText(
        "uri_too_long",
        Text("Address too long", "Adresse trop longue"),
        Text("Shorten the address.", "Raccourcissez l'adresse."),
    ),
    415: StatusText(UnsupportedMediaType.code, UnsupportedMediaType.title, UnsupportedMediaType.detail),
    429: StatusText(
        "too_many_requests",
        Text("Too many requests", "Trop de requêtes"),
        Text("Wait as long as Retry-After says.", "Attendez la durée indiquée par Retry-After."),
    ),
    503: StatusText(
        "unavailable",
        Text("Unavailable", "Indisponible"),
        Text("The service cannot answer now; try again shortly.", "Le service ne peut répondre ; réessayez bientôt."),
    ),
}
OTHER_STATUS: Final = StatusText(
    "refused",
    Text("Request refused", "Requête refusée"),
    Text("The request cannot be carried out.", "La requête ne peut pas être exécutée."),
)
