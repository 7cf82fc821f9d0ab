"""Lint for designers: what is wrong with badges, levels and challenges before any learner runs into it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from rebootcamp.core.badges import SEVERITIES, TIERS
from rebootcamp.core.languages import LANGUAGES, Text
from rebootcamp.services.gamification.criteria import Criterion, Gauge, HoldsBadge, nodes
from rebootcamp.services.gamification.obstacles import Obstacle, Outlook, Task, World, asks_nothing, outlook
from rebootcamp.services.gamification.reach import SHORTEST, Offer, Reach, reach_of

ERROR, WARNING = SEVERITIES
SHORTEST_WINDOW: Final = timedelta(hours=1)
# A level for which even those who miss nothing need longer is out of most people's sight.
LONGEST_WAY: Final = timedelta(days=5 * 365)
_EACH: Final = {
    "daily": Text("{points} a day", "{points} par jour"),
    "weekly": Text("{points} a week", "{points} par semaine"),
    "monthly": Text("{points} a month", "{points} par mois"),
    "seasonal": Text("{points} a season", "{points} par saison"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`) or odd (`warning`); `subject` is `badge:…`, `challenge:…` or `level:…`."""

    code: str
    severity: str
    subject: str
    message: Text

    @property
    def order(self) -> tuple[str, str, str, str]:
        """Return what findings are sorted by: errors first, and no two are equal in it."""
        return self.severity, self.subject, self.code, self.message.en


@dataclass(frozen=True)
class LintedBadge:
    """A badge of the catalogue; those that are not active can be neither earned nor given."""

    code: str
    tier: str
    points: int
    rule: Criterion
    is_active: bool = True


@dataclass(frozen=True)
class LintedChallenge:
    """A published challenge that is not archived; a timed one has a rule, which only other challenges feed.

    `reward_badge` is the code of the badge that its completion gives.
    """

    slug: str
    task: Task
    opens_at: datetime
    closes_at: datetime | None = None
    rule: Criterion | None = None
    reward_badge: str | None = None

    @property
    def offer(self) -> Offer:
        """Return what the reach of XP is made of."""
        return Offer(self.task.points, self.task.cadence, self.opens_at, self.closes_at)


def lint(
    badges: Iterable[LintedBadge], challenges: Iterable[LintedChallenge], floors: Sequence[int], now: datetime
) -> list[Finding]:
    """Return all findings, errors first; `floors` are the XP at which the levels begin."""
    known, active = list(badges), [badge for badge in badges if badge.is_active]
    offered = list(challenges)
    open_ones, reach = _open(offered, now), reach_on_offer(known, offered, floors, now)
    world = World([one.task for one in open_ones], now.date(), floors, reach.limit)
    codes = {badge.code for badge in active}
    settled = replace(world, earnable=_earnable(active, open_ones, world))
    findings = [
        *_rules(active, settled, _given(open_ones, settled)),
        *_duplicates(active),
        *_orders(active),
        *_levels(floors, reach),
        *(finding for one in offered for finding in _challenge(one, now)),
        *(_gives_nothing(one) for one in open_ones if one.reward_badge is not None and one.reward_badge not in codes),
        *_timed(open_ones, settled),
    ]
    return sorted(set(findings), key=lambda finding: finding.order)


def reach_on_offer(
    badges: Iterable[LintedBadge], challenges: Iterable[LintedChallenge], floors: Sequence[int], now: datetime
) -> Reach:
    """Return the XP that those who come now can still have."""
    active, open_ones = [badge for badge in badges if badge.is_active], _open(challenges, now)
    deeds = [one for one in open_ones if one.rule is None]
    lasting = [one.task for one in deeds if one.offer.times is None]
    world = World(lasting, now.date(), floors, earnable={badge.code for badge in active})
    countable = sum(one.offer.times or 0 for one in deeds)
    return reach_of((_offer(one, world, countable) for one in open_ones), (badge.points for badge in active))


def _open(challenges: Iterable[LintedChallenge], now: datetime) -> list[LintedChallenge]:
    """Return those that are not over: who comes later can do no more with the others, which are reported."""
    return [one for one in challenges if one.closes_at is None or one.closes_at > now]


def _offer(one: LintedChallenge, lasting: World, countable: int) -> Offer:
    """Return what a challenge gives.

    A timed one that cannot live on what lasts needs one of the deeds that can be counted for each completion.
    """
    is_fed = one.rule is None or not outlook(one.rule, lasting).blocking
    return one.offer if is_fed else replace(one.offer, most=countable)


def _rules(active: Sequence[LintedBadge], world: World, given: Collection[str | None]) -> Iterable[Finding]:
    blocked = {badge.code: badge.rule for badge in active if badge.code not in world.earnable}
    for badge in active:
        found = outlook(badge.rule, world)
        for obstacle in found.blocking:
            # A challenge that gives the badge is another way to it.
            yield _finding(WARNING if badge.code in given else ERROR, badge, _explained(badge.code, obstacle, blocked))
        for obstacle in found.harmless:
            yield _finding(WARNING, badge, _explained(badge.code, obstacle, blocked))
        if asks_nothing(badge.rule):
            nothing = Text("A learner who has done nothing meets it.", "Même sans rien faire, on le remplit.")
            yield _finding(WARNING, badge, Obstacle("asks_nothing", nothing))


def _given(open_ones: Sequence[LintedChallenge], world: World) -> frozenset[str | None]:
    """Return the badges of challenges that can be completed."""
    return frozenset(one.reward_badge for one, found in _outlooks(open_ones, world) if not found.blocking)


def _earnable(active: Sequence[LintedBadge], open_ones: Sequence[LintedChallenge], world: World) -> frozenset[str]:
    """Return the badges that can be earned one after the other; what rests on itself cannot."""
    earnable: frozenset[str] = frozenset()
    while True:
        then = replace(world, earnable=earnable)
        given = _given(open_ones, then)
        found = frozenset(
            badge.code for badge in active if badge.code in given or not outlook(badge.rule, then).blocking
        )
        if found == earnable:
            return earnable
        earnable = found


def _explained(code: str, obstacle: Obstacle, blocked: Mapping[str, Criterion]) -> Obstacle:
    """Return the obstacle, told apart by why the badge that is needed cannot be earned."""
    needed = obstacle.badge
    if needed is None:
        return obstacle
    if needed not in blocked:
        inactive = Text(
            f"It needs the badge {needed}, which is not active.", f"Il faut le badge {needed}, qui n'est pas actif."
        )
        return Obstacle("needs_inactive_badge", inactive)
    if _leads_to(needed, code, blocked):
        circle = Text(f"{code} and {needed} need each other.", f"{code} et {needed} ont besoin l'un de l'autre.")
        return Obstacle("circular_rules", circle)
    return obstacle


def _leads_to(start: str, goal: str, rules: Mapping[str, Criterion]) -> bool:
    """Tell whether a badge needs another one, however many lie between."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        code = waiting.pop()
        if code == goal:
            return True
        if code in rules and code not in seen:
            seen.add(code)
            waiting += [node.code for node in nodes(rules[code]) if isinstance(node, HoldsBadge)]
    return False


def _duplicates(active: Sequence[LintedBadge]) -> Iterable[Finding]:
    first: dict[Criterion, str] = {}
    for badge in sorted(active, key=lambda badge: badge.code):
        twin = first.setdefault(badge.rule, badge.code)
        if twin != badge.code:
            yield _finding(
                WARNING, badge, Obstacle("same_rule", Text(f"{twin} has the same rule.", f"{twin} a la même règle."))
            )


def _orders(active: Sequence[LintedBadge]) -> Iterable[Finding]:
    """Yield where a higher tier is worth less, or where less effort is worth more."""
    for badge in active:
        higher = [
            one for one in active if TIERS.index(one.tier) > TIERS.index(badge.tier) and one.points <= badge.points
        ]
        if higher:
            named = ", ".join(sorted(one.code for one in higher))
            message = Text(
                f"It is worth as much as badges of a higher tier: {named}.",
                f"Il vaut autant que des badges d'un rang supérieur : {named}.",
            )
            yield _finding(WARNING, badge, Obstacle("tier_order", message))
    alike = defaultdict[object, list[tuple[int, LintedBadge]]](list)
    for badge in active:
        if isinstance(badge.rule, Gauge):
            alike[(type(badge.rule), *{**vars(badge.rule), "at_least": 0}.items())].append((badge.rule.at_least, badge))
    for group in alike.values():
        for (_, easier), (_, harder) in pairwise(sorted(group, key=lambda pair: (pair[0], pair[1].code))):
            if (TIERS.index(harder.tier), harder.points) < (TIERS.index(easier.tier), easier.points):
                message = Text(
                    f"It asks for more than {easier.code} and is worth less.",
                    f"Il demande plus que {easier.code} et vaut moins.",
                )
                yield _finding(WARNING, harder, Obstacle("effort_order", message))


def _levels(floors: Sequence[int], reach: Reach) -> Iterable[Finding]:
    again = {
        language: ", ".join(_EACH[cadence].resolve(language, points=points) for cadence, points in reach.again.items())
        for language in LANGUAGES
    }
    for number, floor in enumerate(floors, start=1):
        days = timedelta(reach.days_to(floor))
        if reach.limit is not None and floor > reach.limit:
            message = Text(
                f"It begins at {floor} XP, and no more than {reach.limit} can be reached.",
                f"Il commence à {floor} XP, et l'on ne peut en atteindre que {reach.limit}.",
            )
            yield Finding("level_out_of_reach", ERROR, f"level:{number}", message)
        elif days > LONGEST_WAY:
            message = Text(
                f"It begins at {floor} XP: {reach.once} can be had once, then {again['en']}. "
                f"Who misses nothing needs {days.days // 365} years.",
                f"Il commence à {floor} XP : {reach.once} s'obtiennent une fois, puis {again['fr']}. "
                f"Sans rien manquer, il faut {days.days // 365} ans.",
            )
            yield Finding("level_takes_years", WARNING, f"level:{number}", message)


def _challenge(challenge: LintedChallenge, now: datetime) -> Iterable[Finding]:
    opens, closes = challenge.opens_at, challenge.closes_at
    if closes is None:
        return
    subject = f"challenge:{challenge.slug}"
    if closes <= opens:
        never = Text("It closes before it opens.", "Il ferme avant d'ouvrir.")
        yield Finding("never_open", ERROR, subject, never)
    elif closes <= now:
        over = Text(
            "It is published, but its window is over: archive it.", "Il est publié, mais terminé : archivez-le."
        )
        yield Finding("challenge_over", WARNING, subject, over)
    elif closes - opens < SHORTEST_WINDOW:
        short = Text("It is open for less than an hour.", "Il est ouvert moins d'une heure.")
        yield Finding("window_too_short", ERROR, subject, short)
    elif challenge.task.cadence in SHORTEST and challenge.offer.times == 1:
        once = Text(
            "It repeats, but its window lies within one period: it can be completed once.",
            "Il se répète, mais n'est ouvert que pendant une seule période : on ne peut le réussir qu'une fois.",
        )
        yield Finding("repeats_once", WARNING, subject, once)


def _gives_nothing(challenge: LintedChallenge) -> Finding:
    message = Text(
        f"It gives the badge {challenge.reward_badge}, which is not active.",
        f"Il donne le badge {challenge.reward_badge}, qui n'est pas actif.",
    )
    return Finding("reward_inactive", ERROR, f"challenge:{challenge.slug}", message)


def _timed(open_ones: Sequence[LintedChallenge], world: World) -> Iterable[Finding]:
    """Yield what keeps timed challenges from being completed in their window."""
    for one, found in _outlooks(open_ones, world):
        for severity, obstacles in ((ERROR, found.blocking), (WARNING, found.harmless)):
            for obstacle in obstacles:
                yield Finding(obstacle.code, severity, f"challenge:{one.slug}", obstacle.message)


def _outlooks(open_ones: Sequence[LintedChallenge], world: World) -> Iterable[tuple[LintedChallenge, Outlook]]:
    """Yield each challenge with what stands in its way: timed ones live on the deeds of the others."""
    deeds = replace(world, tasks=[one.task for one in open_ones if one.rule is None])
    return ((one, Outlook() if one.rule is None else outlook(one.rule, deeds)) for one in open_ones)


def _finding(severity: str, badge: LintedBadge, obstacle: Obstacle) -> Finding:
    return Finding(obstacle.code, severity, f"badge:{badge.code}", obstacle.message)
