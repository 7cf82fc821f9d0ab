"""French for the messages that marshmallow writes in English, translated where they leave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rebootcamp.schemas.base import Message


@dataclass(frozen=True)
class Translation:
    """A message as marshmallow says it, in French, with a code for programs."""

    en: str
    fr: str
    code: str = "invalid"


_TABLE: Final = (
    Translation("Missing data for required field.", "Ce champ est obligatoire.", "required"),
    Translation("Field may not be null.", "Ce champ ne peut pas être nul.", "null"),
    Translation("Unknown field.", "Champ inconnu.", "unknown_field"),
    Translation("Invalid value.", "Valeur non valide."),
    Translation("Invalid input.", "Valeur non valide."),
    Translation("Invalid type.", "Type non valide.", "wrong_type"),
    Translation("Invalid input type.", "Type non valide : un objet est attendu.", "wrong_type"),
    Translation("Not a valid list.", "Ce n'est pas une liste valide.", "wrong_type"),
    Translation("Not a valid tuple.", "Ce n'est pas un n-uplet valide.", "wrong_type"),
    Translation("Not a valid string.", "Ce n'est pas un texte valide.", "wrong_type"),
    Translation("Not a valid utf-8 string.", "Ce n'est pas un texte UTF-8 valide."),
    Translation("Not a valid UUID.", "Ce n'est pas un UUID valide."),
    Translation("Not a valid number.", "Ce n'est pas un nombre valide.", "wrong_type"),
    Translation("Number too large.", "Le nombre est trop grand.", "out_of_range"),
    Translation("Not a valid integer.", "Ce n'est pas un nombre entier valide.", "wrong_type"),
    Translation(
        "Special numeric values (nan or infinity) are not permitted.",
        "Les valeurs numériques spéciales (NaN ou infini) ne sont pas permises.",
        "out_of_range",
    ),
    Translation("Not a valid boolean.", "Ce n'est pas un booléen valide.", "wrong_type"),
    Translation("Not a valid datetime.", "Ce n'est pas un instant valide (ISO 8601)."),
    Translation("Not a valid aware datetime.", "L'instant doit indiquer son décalage, par exemple Z.", "no_offset"),
    Translation("Not a valid naive datetime.", "L'instant ne doit pas indiquer de décalage."),
    Translation("Not a valid date.", "Ce n'est pas une date valide (AAAA-MM-JJ)."),
    Translation("Not a valid time.", "Ce n'est pas une heure valide."),
    Translation("Not a valid period of time.", "Ce n'est pas une durée valide."),
    Translation("Not a valid mapping type.", "Ce n'est pas un objet valide.", "wrong_type"),
    Translation("Not a valid URL.", "Ce n'est pas une URL valide."),
    Translation("Not a valid email address.", "Ce n'est pas une adresse e-mail valide."),
    Translation("Not a valid IP address.", "Ce n'est pas une adresse IP valide."),
    Translation("Not a valid IPv4 address.", "Ce n'est pas une adresse IPv4 valide."),
    Translation("Not a valid IPv6 address.", "Ce n'est pas une adresse IPv6 valide."),
    Translation("Not a valid IP interface.", "Ce n'est pas une interface IP valide."),
    Translation("Not a valid IPv4 interface.", "Ce n'est pas une interface IPv4 valide."),
    Translation("Not a valid IPv6 interface.", "Ce n'est pas une interface IPv6 valide."),
    Translation("String does not match expected pattern.", "Le texte n'a pas la forme attendue."),
    Translation("Must be one of: {choices}.", "Valeurs possibles : {choices}.", "not_a_choice"),
    Translation("Must be equal to {other}.", "Doit être égal à {other}.", "not_equal"),
    Translation("Shorter than minimum length {min}.", "Longueur inférieure au minimum de {min}.", "too_short"),
    Translation("Longer than maximum length {max}.", "Longueur supérieure au maximum de {max}.", "too_long"),
    Translation(
        "Length must be between {min} and {max}.",
        "La longueur doit être comprise entre {min} et {max}.",
        "wrong_length",
    ),
    Translation("Length must be {equal}.", "La longueur doit être {equal}.", "wrong_length"),
    Translation(
        "Must be greater than or equal to {min} and less than or equal to {max}.",
        "Doit être compris entre {min} et {max}.",
        "out_of_range",
    ),
    Translation(
        "Must be greater than or equal to {min} and less than {max}.",
        "Doit être supérieur ou égal à {min} et inférieur à {max}.",
        "out_of_range",
    ),
    Translation(
        "Must be greater than {min} and less than or equal to {max}.",
        "Doit être supérieur à {min} et inférieur ou égal à {max}.",
        "out_of_range",
    ),
    Translation(
        "Must be greater than {min} and less than {max}.",
        "Doit être supérieur à {min} et inférieur à {max}.",
        "out_of_range",
    ),
    Translation("Must be greater than or equal to {min}.", "Doit être supérieur ou égal à {min}.", "out_of_range"),
    Translation("Must be less than or equal to {max}.", "Doit être inférieur ou égal à {max}.", "out_of_range"),
    Translation("Must be greater than {min}.", "Doit être supérieur à {min}.", "out_of_range"),
    Translation("Must be less than {max}.", "Doit être inférieur à {max}.", "out_of_range"),
    Translation(
        "One or more of the choices you made was not in: {choices}.",
        "Un des choix ne fait pas partie de : {choices}.",
        "not_a_choice",
    ),
    Translation(
        "One or more of the choices you made was in: {values}.",
        "Un des choix fait partie des valeurs interdites : {values}.",
        "not_a_choice",
    ),
)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    texts, names = parts[::2], parts[1::2]
    groups = [f"(?P<{name}>.+?)" for name in names] + [""]
    return re.compile("".join(re.escape(text) + group for text, group in zip(texts, groups, strict=True)), re.DOTALL)


_EXACT: Final = {entry.en: entry for entry in _TABLE if "{" not in entry.en}
_TEMPLATES: Final = tuple((_pattern(entry.en), entry) for entry in _TABLE if "{" in entry.en)


def bilingual(message: str) -> Message | None:
    """Return the message in both languages with its code, or None when there is no French for it."""
    if isinstance(message, Message):
        return message
    if entry := _EXACT.get(message):
        return Message(entry.en, entry.fr, entry.code)
    for pattern, entry in _TEMPLATES:
        if match := pattern.fullmatch(message):
            return Message(message, entry.fr.format(**match.groupdict()), entry.code)
    return None
