"""The broken rules of freezes and repairs."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text


class NoFreezeLeft(DomainError):
    """The bank is empty."""

    kind = Kind.CONFLICT
    code = "no_freeze_left"
    title = Text("No freeze left", "Plus de gel disponible")
    detail = Text(
        "You have no freeze to place; seven days of streak in a row earn one.",
        "Vous n'avez plus de gel à poser ; sept jours de série d'affilée en donnent un.",
    )


class AlreadyProtected(DomainError):
    """The day needs no freeze."""

    kind = Kind.CONFLICT
    code = "already_protected"
    title = Text("Already protected", "Jour déjà protégé")
    detail = Text(
        "This day is frozen already, or rests by the calendar; your streak cannot break on it.",
        "Ce jour est déjà gelé ou chômé ; votre série ne peut pas s'y interrompre.",
    )


class DayAlreadyCounted(DomainError):
    """Activity has already kept the day."""

    kind = Kind.CONFLICT
    code = "day_already_counted"
    title = Text("Day already counted", "Jour déjà compté")
    detail = Text(
        "You were active today; choose a later day.", "Vous avez été actif aujourd'hui ; choisissez un autre jour."
    )


class TooLateToCancel(DomainError):
    """A freeze is spent with its day."""

    kind = Kind.CONFLICT
    code = "too_late_to_cancel"
    title = Text("Too late to cancel", "Trop tard pour annuler")
    detail = Text("A freeze can be cancelled until the day before.", "Un gel s'annule jusqu'à la veille.")


class DayNotMissed(DomainError):
    """Only a missed day can be repaired."""

    kind = Kind.CONFLICT
    code = "day_not_missed"
    title = Text("Day not missed", "Jour non manqué")
    detail = Text(
        "This day is not over, was counted or was protected; there is nothing to repair.",
        "Ce jour n'est pas terminé, a été compté ou était protégé ; il n'y a rien à réparer.",
    )


class TooLateToRepair(DomainError):
    """The window of repairs is over."""

    kind = Kind.CONFLICT
    code = "too_late_to_repair"
    title = Text("Too late to repair", "Trop tard pour réparer")
    detail = Text(
        "A missed day can be repaired during the {days} days after it.",
        "Un jour manqué se répare pendant les {days} jours qui suivent.",
    )


class RepairUsed(DomainError):
    """Repairs are rare."""

    kind = Kind.CONFLICT
    code = "repair_used"
    title = Text("Repair already used", "Réparation déjà utilisée")
    detail = Text(
        "One repair is possible in {days} days; see repair_from for the next one.",
        "Une réparation est possible tous les {days} jours ; repair_from indique la prochaine.",
    )


class StreakNotMended(DomainError):
    """The repair would change nothing."""

    kind = Kind.CONFLICT
    code = "streak_not_mended"
    title = Text("Streak not mended", "Série non réparée")
    detail = Text(
        "Repairing this day would not make your current streak longer; nothing was spent.",
        "Réparer ce jour n'allongerait pas votre série en cours ; rien n'a été dépensé.",
    )
