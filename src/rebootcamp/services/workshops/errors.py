"""The broken rules of the domain."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text


class WorkshopSlugTaken(DomainError):
    """Two workshops cannot share a slug."""

    kind = Kind.CONFLICT
    code = "slug_taken"
    title = Text("Slug already used", "Identifiant déjà utilisé")
    detail = Text(
        "Another workshop has this slug; choose another one, or leave it out.",
        "Un autre atelier porte cet identifiant ; choisissez-en un autre, ou n'en donnez pas.",
    )


class WorkshopCancelled(DomainError):
    """A cancelled workshop stays cancelled."""

    kind = Kind.CONFLICT
    code = "workshop_cancelled"
    title = Text("Workshop cancelled", "Atelier annulé")
    detail = Text(
        "This workshop is cancelled and no longer changes; make another one.",
        "Cet atelier est annulé et ne change plus ; créez-en un autre.",
    )


class WorkshopArchived(DomainError):
    """An archived workshop stays as it is."""

    kind = Kind.CONFLICT
    code = "workshop_archived"
    title = Text("Workshop archived", "Atelier archivé")
    detail = Text("This workshop is archived and can no longer change.", "Cet atelier est archivé et ne change plus.")


class WorkshopOver(DomainError):
    """What has taken place cannot be cancelled."""

    kind = Kind.CONFLICT
    code = "workshop_over"
    title = Text("Workshop over", "Atelier terminé")
    detail = Text(
        "This workshop is over and can no longer be cancelled; archive it instead.",
        "Cet atelier est terminé et ne peut plus être annulé ; archivez-le plutôt.",
    )


class WorkshopAwaited(DomainError):
    """Whoever has a seat, or waits for one, must hear that a workshop is called off."""

    kind = Kind.CONFLICT
    code = "workshop_awaited"
    title = Text("People are registered", "Des personnes sont inscrites")
    detail = Text(
        "People have a seat or wait for one; cancel the workshop first, then they are told.",
        "Des personnes ont une place ou en attendent une ; annulez d'abord l'atelier, elles seront prévenues.",
    )


class StatusNotReachable(DomainError):
    """The life of a workshop has an order."""

    kind = Kind.CONFLICT
    code = "status_not_reachable"
    title = Text("Status not possible", "Statut impossible")
    detail = Text(
        "A workshop that is {now} cannot become {wanted}. A draft is published or archived; what was published is "
        "closed, opened again or cancelled.",
        "Un atelier « {now} » ne peut pas devenir « {wanted} ». Un brouillon se publie ou s'archive ; ce qui est "
        "publié se ferme, se rouvre ou s'annule.",
    )


class QuestionsInUse(DomainError):
    """Answers were given to these questions."""

    kind = Kind.CONFLICT
    code = "questions_in_use"
    title = Text("Questions already answered", "Questions déjà posées")
    detail = Text(
        "Somebody has registered: only the labels of the questions can still be corrected.",
        "Quelqu'un s'est inscrit : seuls les libellés des questions peuvent encore être corrigés.",
    )


class CapacityBelowTaken(DomainError):
    """Nobody loses a seat because a room is smaller."""

    kind = Kind.CONFLICT
    code = "capacity_below_taken"
    title = Text("Seats already taken", "Places déjà prises")
    detail = Text(
        "{taken} seats are taken; choose at least so many, or remove registrations first.",
        "{taken} places sont prises ; choisissez-en au moins autant, ou retirez d'abord des inscriptions.",
    )
