"""The card: who, which level, how far to the next, streak, score and the latest badges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element

from rebootcamp.core.languages import Text, pick
from rebootcamp.schemas.pictures.svg import Counted, Look, add, document, figure, write
from rebootcamp.schemas.pictures.texts import BOLD, clusters, fit, isolated, plain, width, wrap
from rebootcamp.schemas.summaries import Names, badge_name

WIDTH, HEIGHT, MARGIN = 480, 350, 24
BAR_WIDTH: Final = WIDTH - 2 * MARGIN
SLOTS: Final = 4

TIER_NAMES: Final = {
    "bronze": Text("Bronze", "Bronze"),
    "silver": Text("Silver", "Argent"),
    "gold": Text("Gold", "Or"),
    "legendary": Text("Legendary", "Légendaire"),
}
LEVEL: Final = Text("Level {number} · {name}", "Niveau {number} · {name}")
NEXT: Final = Text("{left} XP to level {next}", "{left} XP avant le niveau {next}")
HIGHEST: Final = Text("Highest level reached", "Niveau le plus haut atteint")
STREAK: Final = Text("Daily streak", "Série quotidienne")
SCORE: Final = Text("Total score", "Score total")
BADGES: Final = Text("Badges", "Badges")
LATEST: Final = Text("Latest badges", "Derniers badges")
NO_BADGE: Final = Text("The first badge is waiting.", "Le premier badge attend.")
DAYS: Final = Counted(Text("{n} day", "{n} jour"), Text("{n} days", "{n} jours"))
POINTS: Final = Counted(Text("{n} point", "{n} point"), Text("{n} points", "{n} points"))
HELD: Final = Counted(Text("{n} badge", "{n} badge"), Text("{n} badges", "{n} badges"))
TITLE: Final = Text("Progress of {name}", "Progression de {name}")
DESC: Final = Text(
    "{name} is on level {number}, {level}, with {xp} XP; {next}. Daily streak: {days}. "
    "Total score: {points}. {badges}.",
    "{name} est au niveau {number}, {level}, avec {xp} XP ; {next}. Série quotidienne : {days}. "
    "Score total : {points}. {badges}.",
)

FLAME: Final = "M8 0c1 4 6 5.5 6 11a6 6 0 0 1-12 0c0-2.5 1.2-4 2.2-5 .2 2 1 2.8 1.8 3.2C5.600 6 6 3 8 0z"
STAR: Final = "M8 .5l2.3 4.9 5.300.7-3.900 3.700 1 5.300L8 12.500l-4.700 2.600 1-5.300L.400 6.100l5.300-.7z"
RIBBON: Final = (
    "M8 0a5.500 5.500 0 1 1 0 11A5.500 5.500 0 0 1 8 0zM4.300 11.200L3 17l5-2.600L13 17l-1.300-5.800a7 7 0 0 1-7.400 0z"
)


@dataclass(frozen=True)
class Medal:
    """A badge as it is drawn."""

    name: str
    icon: str
    tier: str


@dataclass(frozen=True)
class Card:
    """What the card tells; `medals` are the latest badges, newest first. `xp_next` is None on the last level."""

    name: str
    level: int
    level_name: str
    xp: int
    xp_floor: int
    xp_next: int | None
    streak: int
    score: int
    badges: int
    medals: tuple[Medal, ...]

    @property
    def advance(self) -> float:
        """Return how much of the level is done, from 0 to 1."""
        if self.xp_next is None:
            return 1.0
        return min(max((self.xp - self.xp_floor) / (self.xp_next - self.xp_floor), 0.0), 1.0)


def card_of(progress: Any, names: Names, icons: Mapping[str, str], language: str) -> Card:
    """Return the card of a `services.progress.Progress`; `names` and `icons` are those of the badges."""
    row, level, held = progress.row, progress.level, progress.summary.badges
    medals = [
        Medal(plain(badge_name(badge["code"], names, language)), plain(icons.get(badge["code"], "★")), badge["tier"])
        for badge in held[: -SLOTS - 1 : -1]
    ]
    return Card(
        name=plain(row["nickname"] or row["display_name"]),
        level=level.number,
        level_name=plain(pick(level.translations, language)["name"]),
        xp=row["xp_total"],
        xp_floor=level.xp_floor,
        xp_next=level.xp_next,
        streak=progress.diary.daily,
        score=row["challenge_points"] + progress.summary.totals["badge_points"],
        badges=len(held),
        medals=tuple(medals),
    )


def render_card(card: Card, look: Look) -> str:
    """Return the card as SVG."""
    root = document(
        WIDTH,
        HEIGHT,
        look,
        title=TITLE.resolve(look.language, name=isolated(card.name)),
        desc=_sentence(card, look.language),
    )
    _head(root, card, look.language)
    _bar(root, card, look.language)
    _figures(root, card, look.language)
    _medals(root, card, look.language)
    return write(root)


def _sentence(card: Card, language: str) -> str:
    held = HELD.say(card.badges, language)
    medals = ", ".join(
        f"{isolated(medal.name)} ({TIER_NAMES[medal.tier].resolve(language).lower()})" for medal in card.medals
    )
    colon = "\u00a0: " if language == "fr" else ": "
    return DESC.resolve(
        language,
        name=isolated(card.name),
        number=card.level,
        level=isolated(card.level_name),
        xp=figure(card.xp, language),
        next=_next(card, language)[0].lower() + _next(card, language)[1:],
        days=DAYS.say(card.streak, language),
        points=POINTS.say(card.score, language),
        badges=held + (f"; {LATEST.resolve(language).lower()}{colon}{medals}" if medals else ""),
    )


def _next(card: Card, language: str) -> str:
    if card.xp_next is None:
        return HIGHEST.resolve(language)
    return NEXT.resolve(language, left=figure(card.xp_next - card.xp, language), next=card.level + 1)


def _head(root: Element, card: Card, language: str) -> None:
    left, room = 104, WIDTH - MARGIN - 104
    add(root, "circle", cx=56, cy=60, r=32, class_="accent")
    add(root, "circle", cx=56, cy=60, r=27.5, fill="none", stroke_opacity=0.45, class_="on-accent-line")
    number = figure(card.level, language)
    size = 28 if len(number) < 3 else 18
    add(root, "text", number, x=56, y=60 + size * 0.36, font_size=size, text_anchor="middle", class_="on-accent b")
    name = fit(card.name, 21 * BOLD, room)
    add(root, "text", name, x=left, y=56, font_size=21, class_="text b name")
    level = LEVEL.resolve(language, number=number, name=isolated(card.level_name))
    add(root, "text", fit(level, 14, room - 84), x=left, y=80, font_size=14, class_="muted")
    add(root, "text", "RebootCamp", x=WIDTH - MARGIN, y=80, font_size=11, text_anchor="end", class_="muted")


def _bar(root: Element, card: Card, language: str) -> None:
    top, height = 110, 12
    frame: dict[str, Any] = {"x": MARGIN, "y": top, "width": BAR_WIDTH, "height": height, "rx": height / 2}
    add(root, "rect", **frame, class_="track edge-line")
    if card.advance > 0:
        # Never narrower than its round ends.
        add(root, "rect", **{**frame, "width": max(BAR_WIDTH * card.advance, height)}, class_="accent")
    xp = figure(card.xp, language)
    reached = f"{xp} XP" if card.xp_next is None else f"{xp} / {figure(card.xp_next, language)} XP"
    add(root, "text", reached, x=MARGIN, y=142, font_size=12.5, class_="text b")
    right: dict[str, Any] = {"x": WIDTH - MARGIN, "y": 142, "text_anchor": "end"}
    add(root, "text", _next(card, language), **right, font_size=12.5, class_="muted")


def _figures(root: Element, card: Card, language: str) -> None:
    found = (
        (FLAME, "flame", DAYS.say(card.streak, language), STREAK),
        (STAR, "star", figure(card.score, language), SCORE),
        (RIBBON, "accent", figure(card.badges, language), BADGES),
    )
    for place, (icon, colour, value, label) in enumerate(found):
        left = MARGIN + (0, 148, 318)[place]
        add(root, "path", d=icon, transform=f"translate({left} 168) scale(1.35)", class_=colour)
        add(root, "text", value, x=left + 32, y=178, font_size=16, class_="text b")
        add(root, "text", label.resolve(language), x=left + 32, y=195, font_size=11.5, class_="muted")


def _medals(root: Element, card: Card, language: str) -> None:
    heading = (LATEST if card.medals else NO_BADGE).resolve(language)
    add(root, "text", heading, x=MARGIN, y=232, font_size=12.5, class_="muted")
    room = BAR_WIDTH / SLOTS
    for place in range(SLOTS):
        middle = MARGIN + room * (place + 0.5)
        if place < len(card.medals):
            _medal(root, card.medals[place], middle, room - 8, language)
        else:
            dashes: dict[str, Any] = {"fill": "none", "stroke_dasharray": "3 4", "stroke_width": 1.5}
            add(root, "circle", cx=middle, cy=266, r=20, **dashes, class_="edge-line")


def _medal(root: Element, medal: Medal, middle: float, room: float, language: str) -> None:
    centred: dict[str, Any] = {"x": middle, "text_anchor": "middle"}
    add(root, "circle", cx=middle, cy=266, r=20, stroke_width=3, class_=f"disc {medal.tier}-line")
    icon = medal.icon if width(medal.icon) * 18 <= 34 else next(clusters(medal.icon))
    add(root, "text", icon, **centred, y=272.5, font_size=18, class_="text")
    lines = wrap(medal.name, 11.5, room)
    for place, line in enumerate(lines):
        add(root, "text", line, **centred, y=302 + 13 * place, font_size=11.5, class_="text name")
    tier = TIER_NAMES[medal.tier].resolve(language)
    add(root, "text", tier, **centred, y=303 + 13 * len(lines), font_size=10.5, class_=f"{medal.tier} b")
