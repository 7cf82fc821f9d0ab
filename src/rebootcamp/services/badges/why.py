"""Rules and awards in words: what a badge asks for, and why a learner holds it or holds it no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from rebootcamp.core.languages import Text, pick
from rebootcamp.services.badges.catalogue import Labels, current_labels
from rebootcamp.services.gamification.words import in_words, names_a_badge

_BY_HAND: Final = Text("Given by hand: {reason}", "Remis par l'équipe : {reason}")
_BY_CHALLENGE: Final = Text("For the challenge “{title}”", "Pour le défi « {title} »")
_BY_RULE: Final = Text("{words} — {seen} (rule version {version})", "{words} — {seen} (règle version {version})")
_MET: Final = Text("met", "rempli")


def say_rule(criteria: Mapping[str, Any], language: str) -> str:
    """Say criteria in words."""
    return rule_teller(language)(criteria)


def rule_teller(language: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what says criteria in words; the names of badges are asked for once, and only when they occur."""
    names = cache(lambda: current_labels().names_in(language))
    return lambda criteria: in_words(criteria, language, names() if names_a_badge(criteria) else {})


def why_award(award: Mapping[str, Any], labels: Labels, language: str) -> str:
    """Return one sentence about an `awards` document."""
    evidence = award["evidence"] or {}
    if award["origin"] == "manual":
        return _BY_HAND.resolve(language, reason=evidence.get("reason", "–"))
    if award["origin"] == "challenge":
        return _BY_CHALLENGE.resolve(language, title=pick(evidence["titles"], language))
    criteria = labels.rules.get((award["badge"], award["rule_version"]))
    # Awards of the first version kept their only reading beside the event.
    readings = evidence.get("readings", [evidence] if "counter" in evidence else [])
    seen = ", ".join(f"{reading['value']}/{reading['target']}" for reading in readings) or _MET.resolve(language)
    words = in_words(criteria, language, labels.names_in(language)) if criteria else award["badge"]
    return _BY_RULE.resolve(language, words=words, seen=seen, version=award["rule_version"])
