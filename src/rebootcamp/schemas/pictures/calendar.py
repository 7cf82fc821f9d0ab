"""The calendar: a square for each date, weeks as columns, larger and stronger the more was done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from xml.etree.ElementTree import Element

from rebootcamp.core.languages import Text
from rebootcamp.schemas.pictures.svg import Counted, Look, add, document, write
from rebootcamp.schemas.pictures.texts import BOLD, fit, isolated, plain, width

WIDTH, HEIGHT, MARGIN = 790, 214, 24
LEFT, TOP, PITCH = 62, 92, 13
# The fewest completions of each step; the last one has no end. Size tells a step apart where colour does not.
STEPS: Final = (0, 1, 2, 3, 5)
STEP_NAMES: Final = ("0", "1", "2", "3–4", "5+")
SIZES: Final = (2.5, 5.0, 7.0, 9.0, 11.0)
ROUND: Final = 2.0
MONTH_GAP: Final = 3

MONTHS: Final = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
}
WEEKDAYS: Final = {"en": {0: "Mon", 2: "Wed", 4: "Fri"}, "fr": {0: "lun.", 2: "mer.", 4: "ven."}}
TITLE: Final = Text("Activity of {name} {when}", "Activité de {name} {when}")
RECENTLY: Final = Text("in the last 53 weeks", "ces 53 dernières semaines")
IN_YEAR: Final = Text("in {year}", "en {year}")
TOTAL: Final = Counted(
    Text("{n} challenge completed", "{n} défi réussi"), Text("{n} challenges completed", "{n} défis réussis")
)
ACTIVE: Final = Counted(Text("{n} active day", "{n} jour actif"), Text("{n} active days", "{n} jours actifs"))
DAYS: Final = Counted(Text("{n} day", "{n} jour"), Text("{n} days", "{n} jours"))
LONGEST: Final = Text("longest streak: {days}", "plus longue série : {days}")
DESC: Final = Text("{name}: {total} {when}, {active}; {longest}.", "{name} : {total} {when}, {active} ; {longest}.")
LEGEND: Final = Text("Challenges a day", "Défis par jour")


@dataclass(frozen=True)
class Calendar:
    """Completions by date from `first` to `last`; `year` is None for the last 53 weeks."""

    name: str
    first: date
    last: date
    days: Mapping[date, int]
    total: int
    longest_streak: int
    year: int | None = None

    @property
    def monday(self) -> date:
        """Return where the first column begins."""
        return self.first - timedelta(days=self.first.weekday())

    def column(self, day: date) -> int:
        """Return the column of a date."""
        return (day - self.monday).days // 7

    def dates(self) -> Iterator[date]:
        """Yield every date that is drawn."""
        yield from (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))


def calendar_of(row: Mapping[Any, Any], activity: Any, year: int | None) -> Calendar:
    """Return the calendar of a `services.progress.Activity`, with the learner's progress row."""
    return Calendar(
        name=plain(row["nickname"] or row["display_name"]),
        first=activity.first,
        last=activity.last,
        days=activity.days,
        total=activity.total,
        longest_streak=activity.longest_streak,
        year=year,
    )


def render_calendar(calendar: Calendar, look: Look) -> str:
    """Return the calendar as SVG."""
    language = look.language
    when = (RECENTLY if calendar.year is None else IN_YEAR).resolve(language, year=calendar.year)
    total, longest = TOTAL.say(calendar.total, language), DAYS.say(calendar.longest_streak, language)
    words = {
        "name": isolated(calendar.name),
        "when": when,
        "total": total,
        "active": ACTIVE.say(len(calendar.days), language),
        "longest": LONGEST.resolve(language, days=longest),
    }
    title = TITLE.resolve(language, **words)
    root = document(WIDTH, HEIGHT, look, title=title, desc=DESC.resolve(language, **words))
    name = fit(calendar.name, 17 * BOLD, WIDTH - 2 * MARGIN - 100)
    add(root, "text", name, x=MARGIN, y=36, font_size=17, class_="text b name")
    add(root, "text", "RebootCamp", x=WIDTH - MARGIN, y=36, font_size=11, text_anchor="end", class_="muted")
    add(root, "text", f"{total} {when} · {words['longest']}", x=MARGIN, y=58, font_size=13, class_="muted")
    _labels(root, calendar, language)
    _squares(root, calendar)
    _legend(root, calendar, language)
    return write(root)


def step_of(completions: int) -> int:
    """Return the step of intensity, 0 to 4, of a day's completions."""
    return max(step for step, fewest in enumerate(STEPS) if completions >= fewest)


def _labels(root: Element, calendar: Calendar, language: str) -> None:
    starts = {calendar.column(day): day.month for day in calendar.dates() if day.day == 1}
    # The month in which the calendar begins is named where its name has room before the next one.
    columns = {0: calendar.first.month, **starts} if min(starts, default=MONTH_GAP) >= MONTH_GAP else starts
    for column, month in columns.items():
        name = MONTHS[language][month - 1]
        add(root, "text", name, x=LEFT + PITCH * column, y=TOP - 8, font_size=10.5, class_="muted")
    for weekday, name in WEEKDAYS[language].items():
        middle = TOP + PITCH * (weekday + 0.5)
        add(root, "text", name, x=LEFT - 8, y=middle + 3.5, font_size=10.5, text_anchor="end", class_="muted")


def _squares(root: Element, calendar: Calendar) -> None:
    paths: dict[int, list[str]] = defaultdict(list)
    for day in calendar.dates():
        step = step_of(calendar.days.get(day, 0))
        middle = LEFT + PITCH * (calendar.column(day) + 0.5), TOP + PITCH * (day.weekday() + 0.5)
        paths[step].append(_square(*middle, SIZES[step]))
    for step in sorted(paths):
        _mark(root, "".join(paths[step]), step)


def _legend(root: Element, calendar: Calendar, language: str) -> None:
    middle, left = HEIGHT - 18, WIDTH - MARGIN - 200
    text = {"y": middle + 4, "font_size": 10.5, "class_": "muted"}
    add(root, "text", LEGEND.resolve(language), x=left - 10, **text, text_anchor="end")
    for step, name in enumerate(STEP_NAMES):
        _mark(root, _square(left + 6, middle, SIZES[step]), step)
        add(root, "text", name, x=left + 16, **text)
        left += 24 + round(width(name) * 10.5)
    active = ACTIVE.say(len(calendar.days), language)
    add(root, "text", active, x=LEFT, **text)


def _mark(root: Element, path: str, step: int) -> None:
    # The stroke rounds the corners, and one path holds all squares of a step.
    colour = f"step-{step} step-{step}-line"
    add(root, "path", d=path, stroke_width=ROUND, stroke_linejoin="round", class_=colour)


def _square(x: float, y: float, size: float) -> str:
    side = size - ROUND
    return f"M{x - side / 2:g} {y - side / 2:g}h{side:g}v{side:g}h-{side:g}z"
