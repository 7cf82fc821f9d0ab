"""What grams of CO2e are worth in everyday words; figures and sources as in docs/eco-figures.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rebootcamp.core.languages import Text


@dataclass(frozen=True)
class Equivalent:
    """An everyday thing and the grams of CO2e that one of it emits."""

    kind: str
    grams: int
    one: Text
    many: Text
    source: Text


EQUIVALENTS: Final = (
    Equivalent(
        "car_km",
        142,
        Text("1 km in a combustion car", "1 km en voiture thermique"),
        Text("{amount} km in a combustion car", "{amount} km en voiture thermique"),
        Text(
            "ADEME, Impact CO2, 2025 (combustion car, 142 g CO2e per km)",
            "ADEME, Impact CO2, 2025 (voiture thermique, 142 g CO2e par km)",
        ),
    ),
    Equivalent(
        "beef_meal",
        7_260,
        Text("1 meal with beef", "1 repas avec du bœuf"),
        Text("{amount} meals with beef", "{amount} repas avec du bœuf"),
        Text(
            "ADEME, Impact CO2, 2024 (average meal with beef, 7.26 kg CO2e, from Base Carbone)",
            "ADEME, Impact CO2, 2024 (repas moyen avec du bœuf, 7,26 kg CO2e, d’après la Base Carbone)",
        ),
    ),
    Equivalent(
        "return_flight",
        148_300,
        Text("1 return flight of 2 × 600 km", "1 vol aller-retour de 2 × 600 km"),
        Text("{amount} return flights of 2 × 600 km", "{amount} vols aller-retour de 2 × 600 km"),
        Text(
            "ADEME, Impact CO2, 2025 (plane 300 to 1,000 km, 124 g CO2e per km without contrails)",
            "ADEME, Impact CO2, 2025 (avion de 300 à 1 000 km, 124 g CO2e par km hors traînées)",
        ),
    ),
)


def equivalents_of(grams: int) -> Iterator[tuple[Equivalent, int]]:
    """Yield what the grams are worth, rounded down to whole things; what does not make one is left out."""
    for equivalent in EQUIVALENTS:
        amount = grams // equivalent.grams
        if amount > 0:
            yield equivalent, amount
