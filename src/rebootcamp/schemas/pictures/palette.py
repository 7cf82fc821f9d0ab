"""Colours of pictures, in two themes; a test computes their contrast (WCAG 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIGHT, DARK, AUTO = "light", "dark", "auto"
THEMES: Final = (LIGHT, DARK, AUTO)

Palette = Mapping[str, str]

PALETTES: Final[Mapping[str, Palette]] = {
    LIGHT: {
        "surface": "#ffffff",
        "edge": "#7f8f87",
        "text": "#14231b",
        "muted": "#4d5c54",
        "accent": "#177245",
        "on-accent": "#ffffff",
        "track": "#e4eee8",
        "flame": "#c2410c",
        "star": "#946200",
        "bronze": "#96501a",
        "silver": "#5b6673",
        "gold": "#856200",
        "legendary": "#7431d6",
        "disc": "#f3f7f4",
        "step-0": "#7f8f87",
        "step-1": "#3d9a6a",
        "step-2": "#248354",
        "step-3": "#126440",
        "step-4": "#06402a",
    },
    DARK: {
        "surface": "#0f1a15",
        "edge": "#6b8075",
        "text": "#ecf5ef",
        "muted": "#a9bcb1",
        "accent": "#46d98a",
        "on-accent": "#0b1510",
        "track": "#1d3027",
        "flame": "#fb923c",
        "star": "#fbbf24",
        "bronze": "#e09a63",
        "silver": "#bcc6d2",
        "gold": "#f2c744",
        "legendary": "#c0a0fa",
        "disc": "#17261f",
        "step-0": "#6b8075",
        "step-1": "#3c8560",
        "step-2": "#3fab73",
        "step-3": "#5cd896",
        "step-4": "#b6f7d2",
    },
}

# What is drawn on what: text needs a contrast of 4.5, marks that carry meaning 3.
TEXT_ON: Final = (
    *((name, "surface") for name in ("text", "muted", "bronze", "silver", "gold", "legendary")),
    ("on-accent", "accent"),
    ("text", "disc"),
)
MARKS_ON: Final = (
    *((name, "surface") for name in ("edge", "accent", "flame", "star")),
    *((f"step-{step}", "surface") for step in range(5)),
    *((name, "disc") for name in ("bronze", "silver", "gold", "legendary", "edge")),
    ("accent", "track"),
)


def styles(theme: str) -> str:
    """Return the style sheet: `.name` fills and `.name-line` strokes with a colour; `auto` follows the reader."""
    if theme != AUTO:
        return _rules(PALETTES[theme])
    return f"{_rules(PALETTES[LIGHT])}\n@media (prefers-color-scheme:dark){{\n{_rules(PALETTES[DARK])}\n}}"


def _rules(palette: Palette) -> str:
    return "\n".join(f".{name}{{fill:{colour}}}.{name}-line{{stroke:{colour}}}" for name, colour in palette.items())
