"""Text whose width nobody measures: estimated, and cut between what readers see as characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

ELLIPSIS: Final = "…"
MAX_MARKS: Final = 3
_JOINERS: Final = ("\u200d", "\u200c")
# XML 1.0 has no place for the first two groups; the rest reorders what stands beside it, or shows nothing.
_UNSHOWABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_NARROW: Final = frozenset("iljIftr.,:;'’!|()[]{}- ·/")
_WIDE: Final = frozenset("mwMW@%&—…")
BOLD: Final = 1.1


def plain(text: str) -> str:
    """Return what people wrote as one line that any picture can hold."""
    return " ".join(_UNSHOWABLE.sub(" ", text).split())


def isolated(text: str) -> str:
    """Return a name for use inside a sentence: right-to-left letters in it do not reorder the rest."""
    return f"\u2068{text}\u2069"


def width(text: str) -> float:
    """Estimate the width of a text in ems of an ordinary sans-serif font, rather too wide than too narrow."""
    return sum(map(_width, clusters(text)))


def fit(text: str, size: float, room: float) -> str:
    """Return the text, cut with an ellipsis where it does not fit the room, at a font size."""
    if width(text) * size <= room:
        return text
    kept, left = "", room / size - width(ELLIPSIS)
    for cluster in clusters(text):
        left -= _width(cluster)
        if left < 0:
            break
        kept += cluster
    return kept.rstrip() + ELLIPSIS


def wrap(text: str, size: float, room: float) -> list[str]:
    """Return the text on one or two lines, broken at a space where there is one, the second cut to fit."""
    if width(text) * size <= room:
        return [text]
    first = fit(text, size, room).removesuffix(ELLIPSIS)
    if not text[len(first) :].startswith(" ") and " " in first:
        first = first.rpartition(" ")[0]
    return [first, fit(text[len(first) :].strip(), size, room)]


def clusters(text: str) -> Iterator[str]:
    """Yield what readers see as single characters: a letter with its accents, an emoji with its modifiers."""
    cluster, marks = "", 0
    for sign in text:
        is_mark = unicodedata.category(sign) in ("Mn", "Me")
        if cluster and not (is_mark or _continues(cluster, sign)):
            yield cluster
            cluster, marks = "", 0
        marks += is_mark
        # A tower of accents would reach beyond its line.
        if marks <= MAX_MARKS:
            cluster += sign
    if cluster:
        yield cluster


def _continues(cluster: str, sign: str) -> bool:
    is_flag = len(cluster) == 1 and "\U0001f1e6" <= cluster <= "\U0001f1ff" and "\U0001f1e6" <= sign <= "\U0001f1ff"
    is_modifier = sign in _JOINERS or "\U0001f3fb" <= sign <= "\U0001f3ff" or "\U000e0020" <= sign <= "\U000e007f"
    return is_flag or is_modifier or cluster.endswith(_JOINERS[0]) or unicodedata.category(sign) == "Mc"


def _width(cluster: str) -> float:
    sign = cluster[0]
    if unicodedata.east_asian_width(sign) in "WF" or "\ufe0f" in cluster or "\U0001f1e6" <= sign <= "\U0001f1ff":
        return 1.3 if ord(sign) > 0xFFFF or "\ufe0f" in cluster else 1.05
    if sign in _NARROW:
        return 0.36
    if sign in _WIDE or unicodedata.category(sign)[0] == "S":
        return 1.0
    return 0.72 if sign.isupper() else 0.6
