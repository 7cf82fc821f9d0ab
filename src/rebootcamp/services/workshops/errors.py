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


class AlreadyRegistered(DomainError):
    """One has a seat in a workshop, or a place in its queue, once; `why` tells what one has."""

    kind = Kind.CONFLICT
    code = "already_registered"
    title = Text("Already registered", "Inscription déjà faite")
    detail = Text(
        "You are registered for this workshop already, or wait for a seat; see why.",
        "Vous êtes déjà inscrit à cet atelier, ou en attente d'une place ; voyez why.",
    )


class NotRegistered(DomainError):
    """Only who is registered, or waits, can do this."""

    kind = Kind.CONFLICT
    code = "not_registered"
    title = Text("Not registered", "Pas d'inscription")
    detail = Text("You are not registered for this workshop.", "Vous n'êtes pas inscrit à cet atelier.")


class RegistrationClosed(DomainError):
    """Nobody can enter, or leave, the workshop now; `why.reason` tells what stands against it."""

    kind = Kind.CONFLICT
    code = "registration_closed"
    title = Text("Registration closed", "Inscriptions fermées")
    detail = Text(
        "Registrations for this workshop cannot change now; see why.",
        "Les inscriptions à cet atelier ne peuvent pas changer pour l'instant ; voyez why.",
    )


class OwnWorkshop(DomainError):
    """A trainer takes nobody's seat."""

    kind = Kind.CONFLICT
    code = "own_workshop"
    title = Text("Your own workshop", "Votre propre atelier")
    detail = Text(
        "You lead this workshop, so you need no seat in it.",
        "Vous animez cet atelier : vous n'avez pas besoin d'y prendre une place.",
    )


class OverlappingWorkshop(DomainError):
    """Nobody can be at two places; `why` names the other workshop."""

    kind = Kind.CONFLICT
    code = "overlapping_workshop"
    title = Text("At the same time", "En même temps")
    detail = Text(
        "You are registered for another workshop at that time, or wait for a seat in it; leave it first.",
        "Vous êtes inscrit à un autre atelier à ce moment-là, ou en attente d'une place ; quittez-le d'abord.",
    )


class TooManyRegistrations(DomainError):
    """Seats are few: nobody holds on to all of them."""

    kind = Kind.CONFLICT
    code = "too_many_registrations"
    title = Text("Too many registrations", "Trop d'inscriptions")
    detail = Text(
        "You are registered for {at_most} coming workshops, which is the limit; leave one first.",
        "Vous êtes inscrit à {at_most} ateliers à venir, ce qui est la limite ; quittez-en un d'abord.",
    )


class NoOffer(DomainError):
    """Only an offered seat can be accepted, as long as it is kept."""

    kind = Kind.CONFLICT
    code = "no_offer"
    title = Text("No offer", "Aucune proposition")
    detail = Text(
        "No seat of this workshop is kept for you now.",
        "Aucune place de cet atelier ne vous est réservée pour l'instant.",
    )


class CapacityBelowTaken(DomainError):
    """Nobody loses a seat because a room became smaller."""

    kind = Kind.CONFLICT
    code = "capacity_below_taken"
    title = Text("Too few seats", "Trop peu de places")
    detail = Text(
        "{taken} seats are taken or offered; remove registrations first, or keep at least as many seats.",
        "{taken} places sont prises ou proposées ; retirez d'abord des inscriptions, ou gardez au moins autant de "
        "places.",
    )


class AlreadyAttended(DomainError):
    """Who took part stays in the list."""

    kind = Kind.CONFLICT
    code = "already_attended"
    title = Text("Attendance recorded", "Présence enregistrée")
    detail = Text(
        "The attendance is recorded; it must be taken back before the registration can end.",
        "La présence est enregistrée ; elle doit être annulée avant que l'inscription puisse prendre fin.",
    )


class NotAttended(DomainError):
    """Only who took part can tell how it was, or lose the attendance."""

    kind = Kind.CONFLICT
    code = "not_attended"
    title = Text("No attendance", "Aucune présence")
    detail = Text(
        "No attendance of this workshop is recorded.",
        "Aucune présence à cet atelier n'est enregistrée.",
    )


class AlreadyRated(DomainError):
    """One gives feedback once."""

    kind = Kind.CONFLICT
    code = "already_rated"
    title = Text("Feedback already given", "Avis déjà donné")
    detail = Text(
        "You gave your feedback on this workshop already.", "Vous avez déjà donné votre avis sur cet atelier."
    )
