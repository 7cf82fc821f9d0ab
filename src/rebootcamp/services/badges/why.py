"""Why a learner holds a badge, or holds it no more: the rule as it was then, and what it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rebootcamp.core.languages import Text, pick
from rebootcamp.services.badges.catalogue import badge_rules, current_badge_names
from rebootcamp.services.gamification.words import in_words

_BY_HAND: Final = Text("Given by hand: {reason}", "Remis par l'équipe : {reason}")
_BY_RULE: Final = Text("{words} — {seen} (rule version {version})", "{words} — {seen} (règle version {version})")
_MET: Final = Text("met", "rempli")


def why_award(award: Mapping[str, Any], language: str) -> str:
    """Return one sentence about an `awards` document."""
    evidence = award["evidence"] or {}
    if award["origin"] == "manual":
        return _BY_HAND.resolve(language, reason=evidence.get("reason", "–"))
    names = {code: pick(texts, language) for code, texts in current_badge_names().items()}
    criteria = badge_rules().get((award["badge"], award["rule_version"]))
    # Awards of the first version kept their only reading beside the event.
    readings = evidence.get("readings", [evidence] if "counter" in evidence else [])
    seen = ", ".join(f"{reading['value']}/{reading['target']}" for reading in readings) or _MET.resolve(language)
    words = in_words(criteria, language, names) if criteria else award["badge"]
    return _BY_RULE.resolve(language, words=words, seen=seen, version=award["rule_version"])
