"""Text that people write with a little HTML in it, made safe to show."""

from __future__ import annotations

import html
import re
from typing import Final

import nh3

# Named in each stored document: who changes what is allowed gives it the next number.
ALLOW_LIST: Final = 1
ALLOWED: Final = {"a", "b", "strong", "i", "em", "code", "p", "br", "ul", "ol", "li", "blockquote"}
# What else people, or their editors, mean as markup: it is taken out, while any other `<` is a sign like others.
TAKEN_OUT: Final = (
    "abbr|address|area|article|aside|audio|base|bdi|bdo|body|button|canvas|caption|center|cite|col|colgroup|data|"
    "datalist|dd|del|details|dfn|dialog|div|dl|dt|embed|fieldset|figcaption|figure|font|footer|form|frame|"
    "frameset|h1|h2|h3|h4|h5|h6|head|header|hr|html|iframe|img|input|ins|kbd|label|legend|link|main|map|mark|"
    "marquee|math|menu|meta|meter|nav|noscript|object|optgroup|option|output|param|picture|plaintext|pre|"
    "progress|q|ruby|s|samp|script|section|select|slot|small|source|span|strike|style|sub|summary|sup|svg|table|"
    "tbody|td|template|textarea|tfoot|th|thead|time|title|tr|track|tt|u|var|video|wbr"
)

_SIGN: Final = re.compile(rf"<(?!/?(?:{'|'.join(sorted(ALLOWED))}|{TAKEN_OUT})(?=[\s/>])[^<>]*>)", re.IGNORECASE)
_AMPERSAND: Final = re.compile(r"&(?!#?[0-9a-z]{1,32};)", re.IGNORECASE)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TAG: Final = re.compile(r"<[^>]*>")


def sanitise(text: str) -> str:
    """Return a safe HTML fragment: allowed markup, everything else as the text that it is.

    nh3 alone decides what is safe. Before it, signs that begin no markup are escaped, lest it take `x<y` for a tag.
    """
    prepared = _SIGN.sub("&lt;", _AMPERSAND.sub("&amp;", text))
    cleaned = _clean(prepared)
    # A character reference may have hidden a control character; without it a harmless address may be another one.
    while cleaned != (plain := _CONTROLS.sub("", cleaned)):
        cleaned = _clean(plain)
    return cleaned.strip()


def seen(fragment: str) -> str:
    """Return what one sees of a sanitised fragment: its text without the markup."""
    return html.unescape(_TAG.sub("", fragment))


def _clean(text: str) -> str:
    return nh3.clean(
        text,
        tags=ALLOWED,
        clean_content_tags={"script", "style"},
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="nofollow noopener noreferrer",
    )
