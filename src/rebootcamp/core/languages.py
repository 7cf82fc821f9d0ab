"""Texts for people, in French and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

LANGUAGES = ("en", "fr")
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True)
class Text:
    """One sentence in both languages; `{placeholders}` are filled by `format`."""

    en: str
    fr: str

    def resolve(self, language: str, **values: object) -> str:
        """Return the sentence in the language, its placeholders filled."""
        return (self.fr if language == "fr" else self.en).format(**values)


def pick(translations: Mapping[str, T], language: str) -> T:
    """Return the entry of the language, else the default one, else any."""
    for candidate in (language, DEFAULT_LANGUAGE):
        if candidate in translations:
            return translations[candidate]
    return next(iter(translations.values()))
