"""SVG documents: built as a tree, so that no text can become markup; no script, nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from rebootcamp.core.languages import Text
from rebootcamp.schemas.pictures.palette import styles

# A family that every system has; the second is for those that do not know the first.
FONTS: Final = "text{font-family:system-ui,sans-serif}.b{font-weight:700}.name{unicode-bidi:plaintext}"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_THOUSANDS: Final = {"en": ",", "fr": "\u00a0"}


@dataclass(frozen=True)
class Look:
    """How a picture is to look: `light`, `dark` or `auto`, and in which language."""

    theme: str
    language: str


@dataclass(frozen=True)
class Counted:
    """A phrase about a number: `{n}` of one thing, or of several."""

    one: Text
    many: Text

    def say(self, number: int, language: str) -> str:
        """Return the phrase; French counts zero with one."""
        is_one = abs(number) == 1 or (number == 0 and language == "fr")
        return (self.one if is_one else self.many).resolve(language, n=figure(number, language))


def figure(number: int, language: str) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}".replace(",", _THOUSANDS[language])


def document(width: int, height: int, look: Look, *, title: str, desc: str) -> Element:
    """Return an empty picture with its words for those who do not see it, its colours and its frame."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(width),
            "height": str(height),
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-labelledby": "picture-title picture-desc",
            "lang": look.language,
        },
    )
    add(root, "title", title, id="picture-title")
    add(root, "desc", desc, id="picture-desc")
    add(root, "style", f"{FONTS}\n{styles(look.theme)}")
    add(root, "rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=12, class_="surface edge-line")
    return root


def add(parent: Element, tag: str, text: str | None = None, **attributes: object) -> Element:
    """Add an element; `class_` means `class` and `text_anchor` `text-anchor`."""
    named = {name.rstrip("_").replace("_", "-"): _value(value) for name, value in attributes.items()}
    element = SubElement(parent, tag, named)
    if text is not None:
        element.text = _legal(text)
    return element


def write(root: Element) -> str:
    """Return the document as text."""
    return tostring(root, encoding="unicode")


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else _legal(str(value))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
