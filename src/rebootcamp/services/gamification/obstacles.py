"""What keeps a rule from ever being met with what is on offer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from rebootcamp.core.languages import Text
from rebootcamp.events.facts import is_recorded
from rebootcamp.services.gamification.criteria import (
    All,
    AnyOf,
    Between,
    Counted,
    Criterion,
    Gauge,
    HoldsBadge,
    Not,
    Situation,
    Total,
)
from rebootcamp.services.gamification.measures import Measure
from rebootcamp.services.gamification.reach import SHORTEST

# The most periods of a cadence that a window of one grain can touch.
_TOUCHED: Final = {
    "day": {"daily": 1, "weekly": 1, "monthly": 1, "seasonal": 1},
    "week": {"daily": 7, "weekly": 1, "monthly": 2, "seasonal": 2},
    "month": {"daily": 31, "weekly": 6, "monthly": 1, "seasonal": 1},
    "season": {"daily": 92, "weekly": 15, "monthly": 3, "seasonal": 1},
    "year": {"daily": 366, "weekly": 54, "monthly": 12, "seasonal": 5},
}


@dataclass(frozen=True)
class Task:
    """A published challenge, as far as rules see it."""

    challenge_id: int
    category: str
    difficulty: str
    cadence: str
    points: int
    co2e_grams: int


@dataclass(frozen=True)
class Obstacle:
    """Why a part of a rule cannot be met; `badge` names the one that is missing for it, if that is it."""

    code: str
    message: Text
    badge: str | None = None


@dataclass(frozen=True)
class World:
    """What learners can do from `today` on. `floors` are the XP of the levels; `reach` None: XP without limit."""

    tasks: Sequence[Task]
    today: date
    floors: Sequence[int]
    reach: int | None = None
    earnable: Collection[str] = ()


@dataclass(frozen=True)
class Outlook:
    """The obstacles of a rule: `blocking` ones, and those that only close one of several ways."""

    blocking: tuple[Obstacle, ...] = ()
    harmless: tuple[Obstacle, ...] = ()


def outlook(criterion: Criterion, world: World) -> Outlook:
    """Return what stands in the way of a rule."""
    parts = [outlook(part, world) for part in criterion.parts()]
    harmless = tuple(obstacle for part in parts for obstacle in part.harmless)
    blocking = tuple(obstacle for part in parts for obstacle in part.blocking)
    if isinstance(criterion, AnyOf):
        is_open = any(not part.blocking for part in parts)
        return Outlook((), harmless + blocking) if is_open else Outlook(blocking, harmless)
    if isinstance(criterion, Not):
        return Outlook(tuple(_always(criterion)))
    if isinstance(criterion, All):
        return Outlook((*blocking, *_conflicts(list(_flat(criterion)))), harmless)
    return Outlook(tuple(_of_leaf(criterion, world)))


def asks_nothing(criterion: Criterion) -> bool:
    """Tell whether a learner who has done nothing meets a rule on any day."""
    return criterion.holds(_newcomer(date.min))


def _newcomer(day: date) -> Situation:
    return Situation(counters={}, points=0, xp=0, level=1, daily=0, perfect_quiz=0, held=(), day=day)


def _of_leaf(criterion: Criterion, world: World) -> Iterable[Obstacle]:
    if isinstance(criterion, Between) and criterion.end < world.today:
        yield _obstacle(
            "window_over", f"The window ended on {criterion.end}.", f"La période a pris fin le {criterion.end}."
        )
    elif isinstance(criterion, HoldsBadge) and criterion.code not in world.earnable:
        yield replace(
            _obstacle(
                "needs_unearnable_badge",
                f"It needs the badge {criterion.code}, which nobody can earn.",
                f"Il faut le badge {criterion.code}, que personne ne peut obtenir.",
            ),
            badge=criterion.code,
        )
    elif isinstance(criterion, Total):
        yield from _of_total(criterion, world)
    elif isinstance(criterion, Counted):
        yield from _of_count(criterion, world)


def _of_total(criterion: Total, world: World) -> Iterable[Obstacle]:
    target, highest = criterion.at_least, len(world.floors)
    if criterion.kind == "perfect_quiz":
        yield from _announced("quiz.completed")
    if criterion.kind == "level" and target > highest:
        yield _obstacle(
            "level_too_high",
            f"There is no level {target}: the highest is {highest}.",
            f"Il n'y a pas de niveau {target} : le plus haut est le {highest}.",
        )
        return
    needed = {"points": target, "xp": target, "level": world.floors[min(target, highest) - 1]}.get(criterion.kind, 0)
    if world.reach is not None and needed > world.reach:
        yield _obstacle(
            "out_of_reach",
            f"It takes {needed} XP or points, and no more than {world.reach} can be reached.",
            f"Il faut {needed} XP ou points, et l'on ne peut en atteindre que {world.reach}.",
        )


def _of_count(criterion: Counted, world: World) -> Iterable[Obstacle]:
    measure = criterion.measure
    yield from _announced(measure.event)
    if measure.event != "challenge.completed":
        return
    named = dict(measure.where).get("challenge_id")
    matching = [task for task in world.tasks if all(getattr(task, name) == value for name, value in measure.where)]
    if named is not None and all(task.challenge_id != named for task in world.tasks):
        yield _obstacle(
            "no_such_challenge",
            f"Challenge {named} does not exist, or is not published.",
            f"Le défi {named} n'existe pas ou n'est pas publié.",
        )
    elif not matching:
        yield _obstacle(
            "no_matching_challenge",
            "No published challenge matches what is asked for.",
            "Aucun défi publié ne correspond à ce qui est demandé.",
        )
    elif (most := _most(measure, criterion.within_days, matching)) is not None and most < criterion.at_least:
        yield _obstacle(
            "threshold_too_high",
            f"It asks for {criterion.at_least}, and the published challenges allow {most} at most.",
            f"Il faut {criterion.at_least}, et les défis publiés en permettent {most} au plus.",
        )


def _announced(event: str) -> Iterable[Obstacle]:
    if not is_recorded(event):
        yield _obstacle(
            "announced_event",
            f"Nothing records {event} so far.",
            f"Rien n'enregistre encore {event}.",
        )


def _most(measure: Measure, within: int | None, tasks: Sequence[Task]) -> int | None:
    """Return the most that a counter can show, None without limit; never too low."""
    if measure.distinct and measure.distinct != "local_date":
        return len({getattr(task, measure.distinct) for task in tasks})
    most = 0
    for task in tasks:
        amount = getattr(task, measure.amount) if measure.amount else 1
        times = _times(task.cadence, measure.grain, _narrowest(measure, within))
        if times is None and amount:
            return None
        most += amount * (times or 0)
    return most


def _narrowest(measure: Measure, within: int | None) -> int | None:
    """Return the days in which all must be done: those of the rule, or of a window with a fixed beginning and end."""
    if measure.grain or measure.span is None or date.max in measure.span or date.min in measure.span:
        return within
    return (measure.span[1] - measure.span[0]).days + 1


def _times(cadence: str, grain: str | None, within: int | None) -> int | None:
    """Return how often a challenge can be completed in a window; None without limit."""
    if cadence not in SHORTEST:
        return 1
    if within is not None:
        return 1 + (within - 2 + SHORTEST[cadence]) // SHORTEST[cadence]
    return _TOUCHED[grain][cadence] if grain else None


def _always(criterion: Not) -> Iterable[Obstacle]:
    if asks_nothing(criterion.part):
        yield _obstacle("contradiction", "What it excludes is always met.", "Ce qu'il exclut est toujours rempli.")


def _flat(criterion: Criterion) -> Iterable[Criterion]:
    for part in criterion.parts():
        yield from _flat(part) if isinstance(part, All) else (part,)


def _conflicts(parts: Sequence[Criterion]) -> Iterable[Obstacle]:
    """Yield why parts that must all be met exclude each other."""
    windows = [part for part in parts if isinstance(part, Between)]
    if windows and max(window.start for window in windows) > min(window.end for window in windows):
        yield _obstacle(
            "disjoint_windows", "Its windows have no day in common.", "Ses périodes n'ont aucun jour en commun."
        )
    excluded = [part.part for part in parts if isinstance(part, Not)]
    if any(_implies(part, other) for part in parts for other in excluded):
        yield _obstacle(
            "contradiction",
            "It asks for something and excludes it at the same time.",
            "Il demande et exclut la même chose.",
        )


def _implies(part: Criterion, other: Criterion) -> bool:
    """Tell whether whoever meets a part meets the other one, as far as that is plain to see."""
    if isinstance(part, Gauge) and isinstance(other, Gauge) and type(part) is type(other):
        return {**vars(part), "at_least": 0} == {**vars(other), "at_least": 0} and part.at_least >= other.at_least
    return part == other


def _obstacle(code: str, en: str, fr: str) -> Obstacle:
    return Obstacle(code, Text(en, fr))
