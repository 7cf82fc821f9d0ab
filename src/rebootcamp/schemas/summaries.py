"""Events said as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rebootcamp.core.languages import Text, pick

# {badge code: {language: name}}
Names = Mapping[str, Mapping[str, str]]

SENTENCES: Final[Mapping[str, Text]] = {
    "account.registered": Text("Joined RebootCamp", "Inscription à RebootCamp"),
    "account.erased": Text("Account erased", "Compte effacé"),
    "account.days_changed": Text(
        "Days follow {timezone} from {holds_from} on", "Journées à l'heure de {timezone} à partir du {holds_from}"
    ),
    "streak.freeze_placed": Text("Placed a freeze on {on}", "Gel posé sur le {on}"),
    "streak.freeze_cancelled": Text("Cancelled the freeze of {on}", "Gel du {on} annulé"),
    "streak.repaired": Text("Repaired the streak on {on}", "Série réparée au {on}"),
    "quiz.completed": Text("Finished the quiz “{title}”: {percent} %", "Quiz « {title} » terminé : {percent} %"),
    "challenge.completed": Text("Completed “{title}” (+{points} points)", "Défi « {title} » réussi (+{points} points)"),
    "challenge.submitted": Text("Submitted “{title}” for approval", "Défi « {title} » soumis à validation"),
    "challenge.rejected": Text("“{title}” was not approved: {reason}", "Défi « {title} » non validé : {reason}"),
    "challenge.revoked": Text(
        "“{title}” was taken back (-{points} points): {reason}", "Défi « {title} » annulé (-{points} points) : {reason}"
    ),
    "challenge.joined": Text("Joined “{title}”", "Participation au défi « {title} »"),
    "challenge.left": Text("Left “{title}”", "Abandon du défi « {title} »"),
    "workshop.registered": Text("Registered for “{title}”", "Inscription à l'atelier « {title} »"),
    "workshop.waitlisted": Text("On the waiting list of “{title}”", "Sur la liste d'attente de « {title} »"),
    "workshop.offered": Text("Offered a seat in “{title}”", "Place proposée dans l'atelier « {title} »"),
    "workshop.promoted": Text("Got a seat in “{title}”", "Place obtenue dans l'atelier « {title} »"),
    "workshop.left": Text("No longer registered for “{title}”", "Inscription à « {title} » terminée"),
    "workshop.attended": Text("Took part in “{title}” (+{points} XP)", "Atelier « {title} » suivi (+{points} XP)"),
    "workshop.attendance_revoked": Text(
        "Attendance of “{title}” was taken back (-{points} XP)", "Présence à « {title} » annulée (-{points} XP)"
    ),
    "workshop.rated": Text("Gave feedback on “{title}”", "Avis donné sur l'atelier « {title} »"),
    "badge.awarded": Text("Earned the badge “{name}” (+{points} points)", "Badge « {name} » obtenu (+{points} points)"),
    "badge.revoked": Text(
        "Lost the badge “{name}” (-{points} points): {reason}", "Badge « {name} » retiré (-{points} points) : {reason}"
    ),
}

REASONS: Final[Mapping[str, Text]] = {
    "criteria_no_longer_met": Text("its criteria are no longer met", "ses critères ne sont plus remplis"),
    "rule_changed": Text("its rule was changed", "sa règle a changé"),
    "expired": Text("its time is over", "sa durée de validité est écoulée"),
}


def badge_name(code: str, names: Names, language: str) -> str:
    """Return the badge's name, or its code where no text is known."""
    return pick(names.get(code) or {language: code}, language)


def summarise(event_type: str, data: Mapping[str, Any], names: Names, language: str) -> str:
    """Return one sentence about an event; of a type that has none, the type itself."""
    sentence = SENTENCES.get(event_type)
    if sentence is None:
        return event_type
    plain = {name: data[name] for name in ("timezone", "holds_from", "on", "percent") if name in data}
    values = {"points": data.get("points", 0), **plain}
    if "titles" in data:
        values["title"] = pick(data["titles"], language)
    if "badge" in data:
        values["name"] = badge_name(data["badge"], names, language)
    if "reason" in data:
        known = REASONS.get(data["reason"])
        values["reason"] = known.resolve(language) if known else data["reason"]
    return sentence.resolve(language, **values)
