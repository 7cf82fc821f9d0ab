"""CO2e saved, in grams: by a learner, by a group while people belonged to it, by everybody.

Only valid completions count, with the figure of their day; a revocation takes back exactly what was counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.core.errors import NotFound
from rebootcamp.events.savings import ALL_FIGURES, COMPLETIONS, GRAMS, LEARNERS
from rebootcamp.services.groups import GroupView, get_group
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one

_VERSION: Final = """
    SELECT s.last_seq, concat_ws('.', m.store_id, m.epoch, m.catalogue_version) AS catalogue_version
    FROM learner_states s CROSS JOIN app_meta m WHERE s.user_id = %(user_id)s"""

_OF_LEARNER: Final = """
    SELECT d.*, ch.slug, ch.category, ch.translations, ch.co2e_source FROM (
        SELECT challenge_id, to_char(local_date, 'YYYY-MM') AS month, count(*) AS completions,
            sum(co2e_grams) AS co2e_grams
        FROM challenge_completions WHERE user_id = %(user_id)s AND status = 'validated' GROUP BY 1, 2) d
    JOIN challenges ch ON ch.id = d.challenge_id"""

# What counts is the instant of the deed, from joining up to leaving; it counts once, however often one came back.
_OF_GROUP: Final = """
    SELECT ch.category, count(*) AS completions, sum(c.co2e_grams) AS co2e_grams
    FROM challenge_completions c JOIN challenges ch ON ch.id = c.challenge_id
    WHERE c.status = 'validated'
        AND c.user_id = ANY(ARRAY(SELECT m.user_id FROM group_memberships m WHERE m.group_id = %(group_id)s))
        AND EXISTS (
            SELECT 1 FROM group_memberships m
            WHERE m.group_id = %(group_id)s AND m.user_id = c.user_id
                AND m.joined_at <= c.completed_at AND (m.left_at IS NULL OR c.completed_at < m.left_at))
    GROUP BY ch.category"""


@dataclass(frozen=True)
class Saving:
    """Grams of CO2e and the valid completions that saved them."""

    co2e_grams: int = 0
    completions: int = 0

    def __add__(self, other: Saving) -> Saving:
        return Saving(self.co2e_grams + other.co2e_grams, self.completions + other.completions)


@dataclass(frozen=True)
class Savings:
    """A total with its shares, by category in the order of the catalogue; a category without completion has none."""

    total: Saving
    by_category: list[tuple[str, Saving]]


@dataclass(frozen=True)
class Source:
    """The share of one challenge; `row` holds its slug, category, translations and the origin of its figure."""

    row: Row
    saving: Saving


@dataclass(frozen=True)
class LearnerSavings:
    """A learner's savings: months by the local date of the deed, sources from the greatest to the smallest."""

    savings: Savings
    by_month: list[tuple[str, Saving]]
    sources: list[Source]


@dataclass(frozen=True)
class GroupSavings:
    """What people saved while they belonged to a group."""

    view: GroupView
    savings: Savings


@dataclass(frozen=True)
class PlatformSavings:
    """What everybody saved; `learners`: how many have saved more than nothing."""

    savings: Savings
    learners: int


def get_savings_version(actor: Actor, user_id: int) -> tuple[int, str]:
    """Return what a learner's savings depend on: the newest event and the catalogue; raise `NotFound`."""
    actor.require_self_or("progress:read_any", user_id)
    row = fetch_one(_VERSION, {"user_id": user_id})
    if row is None:
        raise NotFound("user")
    return row["last_seq"], row["catalogue_version"]


def get_learner_savings(actor: Actor, user_id: int) -> LearnerSavings:
    """Return a learner's savings to the learner and staff; raise `NotFound` for anybody else."""
    get_savings_version(actor, user_id)
    rows = fetch_all(_OF_LEARNER, {"user_id": user_id})
    by_challenge = _grouped(rows, lambda row: row["challenge_id"])
    challenges = {row["challenge_id"]: row for row in rows}
    sources = [Source(challenges[key], saving) for key, saving in by_challenge.items()]
    return LearnerSavings(
        savings=_by_category(_grouped(rows, lambda row: row["category"])),
        by_month=sorted(_grouped(rows, lambda row: row["month"]).items()),
        sources=sorted(sources, key=lambda source: (-source.saving.co2e_grams, source.row["challenge_id"])),
    )


def get_group_savings(actor: Actor, group_id: int) -> GroupSavings:
    """Return what was saved within a group to those who may see it; raise `NotFound`."""
    view = get_group(actor, group_id)
    rows = fetch_all(_OF_GROUP, {"group_id": group_id})
    return GroupSavings(view, _by_category(_grouped(rows, lambda row: row["category"])))


def get_platform_savings() -> PlatformSavings:
    """Return what everybody saved, from figures that the relay keeps and the events that it has not delivered yet."""
    figures: Counter[str] = Counter()
    for row in fetch_all(ALL_FIGURES, {}):
        figures[row["name"]] += row["value"]
    categories = {
        category: Saving(figures[f"{GRAMS}:{category}"], figures[f"{COMPLETIONS}:{category}"])
        for category in CATEGORIES
        if figures[f"{COMPLETIONS}:{category}"]
    }
    return PlatformSavings(_by_category(categories), figures[LEARNERS])


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, Saving]:
    sums: dict[Any, Saving] = defaultdict(Saving)
    for row in rows:
        sums[key(row)] += Saving(row["co2e_grams"], row["completions"])
    return dict(sums)


def _by_category(savings: dict[str, Saving]) -> Savings:
    total = sum(savings.values(), Saving())
    return Savings(total, [(category, savings[category]) for category in CATEGORIES if category in savings])
