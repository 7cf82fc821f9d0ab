"""Drawing: well-formed, readable by everybody, whatever people are called."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.schemas.pictures import Calendar, Card, Look, Medal, calendar_of, render_calendar, render_card
from rebootcamp.schemas.pictures.calendar import SIZES, STEPS, step_of
from rebootcamp.schemas.pictures.palette import LIGHT, MARKS_ON, PALETTES, TEXT_ON, THEMES, styles
from rebootcamp.schemas.pictures.texts import clusters, fit, plain, width, wrap

SVG = "{http://www.w3.org/2000/svg}"
LOOK = Look("light", "en")
MEDALS = (Medal("Water friend", "💧", "gold"), Medal("First step", "👣", "bronze"))
CARD = Card("Ada", 4, "Gardener", 520, 450, 700, 12, 1430, 2, MEDALS)
TODAY = date(2026, 11, 24)
DAYS = {TODAY: 1, TODAY - timedelta(1): 2, TODAY - timedelta(2): 4, TODAY - timedelta(9): 30}
CALENDAR = Calendar("Ada", date(2025, 11, 24), TODAY, DAYS, total=37, longest_streak=3)
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of the title": "</title></svg><svg onload=alert(1)>",
    "entity": "&lt;&xxe;&#0;]]>",
    "quotes": "\"'><a xlink:href='javascript:1'>",
    "control characters": "A\x00\x01\x08\x1b[31m\x7f\x85\ufffe\uffffB",
    "a lone surrogate": "A\ud800B",
    "placeholders": "{name} {0} {n!r} %(user_id)s",
    "very long": "W" * 5000,
    "very long without letters": "\u0301" * 5000,
    "right to left": "محمد بن عبد الله",
    "an override": "\u202egnp.exe\u202c",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈🇫🇷👍🏽" * 20,
    "nothing": "",
    "lines": "A\nB\tC\r\nD",
}


def parsed(svg: str) -> ET.Element:
    """Parse a picture; no declaration is allowed that could define an entity or name another file."""
    assert "<!" not in svg
    assert "<?" not in svg
    return ET.fromstring(svg)


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def assert_safe(svg: str) -> None:
    root = parsed(svg)
    known = {"svg", "title", "desc", "style", "rect", "circle", "path", "text"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= known
    for element in root.iter():
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"]
    assert not re.search(r"url\(|@import|@font-face", svg)
    assert svg.count("://") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ufffe\uffff]", svg)
    svg.encode()


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", PALETTES)
def test_everything_stands_out_from_what_it_is_drawn_on(theme: str) -> None:
    palette = PALETTES[theme]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert all(contrast(palette[ink], palette[ground]) >= 4.5 for ink, ground in TEXT_ON)
    assert all(contrast(palette[mark], palette[ground]) >= 3 for mark, ground in MARKS_ON)


def test_each_colour_that_text_is_drawn_in_was_measured() -> None:
    """A class that no pair names would be a colour whose contrast nobody computed."""
    tiers = tuple(Medal("B", "x", tier) for tier in ("bronze", "silver", "gold", "legendary"))
    pictures = [render_card(replace(CARD, medals=tiers), LOOK), render_card(replace(CARD, medals=()), LOOK)]
    pictures.append(render_calendar(CALENDAR, LOOK))
    inks = {ink for ink, _ in TEXT_ON}
    marks = {mark for mark, _ in MARKS_ON} | {ground for _, ground in MARKS_ON} | {"on-accent"}
    for element in (element for svg in pictures for element in parsed(svg).iter()):
        names = {name.removesuffix("-line") for name in element.get("class", "").split()} - {"b", "name"}
        assert names <= (inks if element.tag == f"{SVG}text" else marks), names
        assert bool(names) == (element.tag.removeprefix(SVG) in ("text", "rect", "circle", "path"))


def test_the_themes_have_the_same_colours_and_auto_has_both() -> None:
    assert {frozenset(palette) for palette in PALETTES.values()} == {frozenset(PALETTES[LIGHT])}
    light, dark, auto = (styles(theme) for theme in THEMES)
    assert light != dark
    assert auto == f"{light}\n@media (prefers-color-scheme:dark){{\n{dark}\n}}"


def test_the_steps_of_the_calendar_differ_without_colour() -> None:
    assert [step_of(count) for count in (0, 1, 2, 3, 4, 5, 99)] == [0, 1, 2, 3, 3, 4, 4]
    assert len(SIZES) == len(STEPS) == 5
    assert all(larger - smaller >= 2 for smaller, larger in pairwise(SIZES))
    for palette in PALETTES.values():
        shades = [contrast(palette[f"step-{step}"], palette["surface"]) for step in range(1, 5)]
        assert shades == sorted(shades)


@pytest.mark.parametrize("draw", [lambda look: render_card(CARD, look), lambda look: render_calendar(CALENDAR, look)])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_picture_says_what_it_shows(draw: Any, theme: str, language: str) -> None:
    svg = draw(Look(theme, language))
    assert_safe(svg)
    root = parsed(svg)
    assert (root.get("role"), root.get("lang")) == ("img", language)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    title, desc, *_ = root
    assert (title.tag, desc.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert "Ada" in (title.text or "")
    assert (desc.text or "").endswith(".")
    assert "{" not in (title.text or "") + (desc.text or "") + "".join(texts(root))


def sentence(svg: str) -> str:
    found = parsed(svg).find(f"{SVG}desc")
    assert found is not None
    return re.sub("[\u2068\u2069]", "", found.text or "").replace("\u00a0", " ")


def test_the_card_in_words() -> None:
    assert sentence(render_card(CARD, LOOK)) == (
        "Ada is on level 4, Gardener, with 520 XP; 180 XP to level 5. Daily streak: 12 days. "
        "Total score: 1,430 points. 2 badges; latest badges: Water friend (gold), First step (bronze)."
    )
    bare = replace(CARD, xp=1, xp_next=None, streak=1, score=0, badges=0, medals=())
    assert sentence(render_card(bare, Look("dark", "fr"))) == (
        "Ada est au niveau 4, Gardener, avec 1 XP ; niveau le plus haut atteint. Série quotidienne : 1 jour. "
        "Score total : 0 point. 0 badge."
    )


def test_the_calendar_in_words() -> None:
    assert sentence(render_calendar(CALENDAR, LOOK)) == (
        "Ada: 37 challenges completed in the last 53 weeks, 4 active days; longest streak: 3 days."
    )
    year = replace(CALENDAR, year=2025, total=1, days={TODAY: 1}, longest_streak=1)
    assert sentence(render_calendar(year, Look("dark", "fr"))) == (
        "Ada : 1 défi réussi en 2025, 1 jour actif ; plus longue série : 1 jour."
    )


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_name_breaks_a_picture(name: str) -> None:
    shown = plain(name)
    medals = (Medal(shown, shown or "x", "legendary"),) * 4
    card = replace(CARD, name=shown, level_name=shown, medals=medals, badges=4)
    calendar = calendar_of({"display_name": name, "nickname": None}, CALENDAR, None)
    for svg in (render_card(card, LOOK), render_calendar(calendar, LOOK)):
        assert_safe(svg)
        assert all(width(text) * 10 < 700 for text in texts(parsed(svg)))


@given(st.text(max_size=120), st.text(max_size=20))
def test_any_name_gives_a_sound_picture(name: str, icon: str) -> None:
    medal = Medal(plain(name), plain(icon) or "x", "silver")
    assert_safe(render_card(replace(CARD, name=plain(name), medals=(medal,)), LOOK))


def test_what_stays_is_shown_as_it_was_written() -> None:
    svg = render_card(replace(CARD, name="Zoé <3 محمد & Cº"), LOOK)
    assert "Zoé <3 محمد & Cº" in texts(parsed(svg))
    assert "Zoé &lt;3" in svg


@given(st.text(max_size=60), st.integers(20, 400))
def test_what_is_cut_fits_and_says_so(text: str, room: int) -> None:
    cut = fit(text, 12, room)
    assert width(cut) * 12 <= room
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1].rstrip()[:1]))
    assert all(width(line) * 12 <= room for line in wrap(plain(text), 12, room))


def test_cuts_fall_between_what_readers_see_as_characters() -> None:
    family, flag, thumb, accented = "👩‍👩‍👧‍👦", "🇫🇷", "👍🏽", "e\u0301"
    assert list(clusters(family + flag + flag + thumb + accented + "x")) == [family, flag, flag, thumb, accented, "x"]
    assert list(clusters("a" + "\u0301" * 50)) == ["a" + "\u0301" * 3]
    assert fit(family * 9, 10, 45) == family * 2 + "…"


@pytest.mark.parametrize(
    ("xp", "floor", "following", "filled"),
    [(0, 0, 100, None), (1, 0, 100, "12"), (50, 0, 100, "216"), (100, 0, 100, "432"), (7, 0, None, "432")],
)
def test_the_bar_is_as_long_as_the_way(xp: int, floor: int, following: int | None, filled: str | None) -> None:
    root = parsed(render_card(replace(CARD, xp=xp, xp_floor=floor, xp_next=following), LOOK))
    bars = [element.get("width") for element in root.iter(f"{SVG}rect") if element.get("class") == "accent"]
    assert bars == ([filled] if filled else [])


@pytest.mark.parametrize("year", [None, 2012, 2024, 2026, 2028])
def test_every_date_has_its_square_inside_the_picture(year: int | None) -> None:
    first, last = (date(year, 1, 1), date(year, 12, 31)) if year else (CALENDAR.first, CALENDAR.last)
    calendar = replace(CALENDAR, first=first, last=last, days={first: 1, last: 9}, year=year)
    root = parsed(render_calendar(calendar, LOOK))
    drawn, *legend = [element for element in root.iter(f"{SVG}path") if element.get("class") == "step-0 step-0-line"]
    squares = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", drawn.get("d", ""))]
    assert len(squares) == (last - first).days + 1 - 2
    assert len(set(squares)) == len(squares)
    assert max(x for x, _ in squares) + 24 < float(root.get("width", 0))
    assert len(legend) == 1
    columns = {calendar.column(day) for day in calendar.dates()}
    assert (min(columns), max(columns)) in {(0, 52), (0, 53)}


def test_months_are_named_where_they_begin_and_never_overlap() -> None:
    for shift in range(400):
        last = TODAY + timedelta(shift)
        first = last - timedelta(last.weekday() + 52 * 7)
        root = parsed(render_calendar(replace(CALENDAR, first=first, last=last), LOOK))
        places = [float(e.get("x", 0)) for e in root.iter(f"{SVG}text") if e.get("y") == "84"]
        assert len(places) in (12, 13)
        assert all(after - before >= 3 * 13 for before, after in pairwise(sorted(places)))
