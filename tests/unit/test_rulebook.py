"""The rules in force: only those that a deed can concern are looked at, and each award has its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.services.gamification.criteria import Criterion, Situation
from rebootcamp.services.gamification.measures import MeasureIndex
from rebootcamp.services.gamification.rulebook import Badge, RuleBook, rule_book
from rebootcamp.services.gamification.rules import compile_rule
from tests.factories.events import PureLine, rule
from tests.factories.rules import COMPLETED


@dataclass(frozen=True)
class Noted(Criterion):
    """A rule that notes when it is looked at."""

    inner: Criterion
    asked: list[str] = field(compare=False)
    name: str = ""

    def holds(self, situation: Situation) -> bool:
        self.asked.append(self.name)
        return self.inner.holds(situation)

    def parts(self) -> Iterable[Criterion]:
        yield self.inner


def two_hundred() -> tuple[RuleBook, list[str]]:
    """Return two hundred rules that nobody meets, of every kind, and the list that notes who was asked."""
    asked: list[str] = []
    kinds = [
        *({"count": {"event": COMPLETED, "where": {"category": name}, "at_least": 99}} for name in CATEGORIES),
        *(
            {"count": {"event": COMPLETED, "where": {"category": name}, "at_least": 99, "per": "week"}}
            for name in CATEGORIES
        ),
        {"count": {"event": "quiz.completed", "at_least": 99}},
        {"points": {"at_least": 1_000_000}},
        {"badge": "b000"},
        {"between": {"from": "2020-01-01", "to": "2020-12-31"}},
    ]
    badges = []
    for number in range(200):
        name = f"b{number:03}"
        criterion = compile_rule(kinds[number % len(kinds)])
        badges.append(Badge(name, "bronze", 1, 1, Noted(criterion, asked, name)))
    return rule_book(badges), asked


def test_of_two_hundred_rules_only_those_that_a_deed_can_concern_are_asked() -> None:
    rules, asked = two_hundred()
    PureLine(rules).complete(1, category="water")
    concerned = {f"b{number:03}" for number in range(200) if number % 20 in (4, 12, 17, 19)}
    assert len(asked) == len(set(asked)) == len(concerned) == 40
    assert set(asked) == concerned


def test_only_the_counters_of_the_deed_are_touched() -> None:
    rules, _ = two_hundred()
    line = PureLine(rules)
    line.complete(1, category="water")
    before = dict(line.standing.counters)
    line.complete(2, category="food")
    changed = {key for key, value in line.standing.counters.items() if before.get(key) != value}
    assert changed & {measure.key for measure in rules.measures.since} == {f"{COMPLETED}|category=food|per:week"}


WEEKLY = {"count": {"event": COMPLETED, "at_least": 1, "per": "week"}}


def test_a_rule_waits_until_its_counters_are_complete_for_the_learner() -> None:
    weekly = rule("weekly", WEEKLY)
    rules = rule_book([weekly, rule("first", {"points": {"at_least": 1}})], {f"{COMPLETED}|per:week": 7})
    for measured, earned in ((6, {"first"}), (7, {"first", "weekly"})):
        line = PureLine(rules)
        line.standing = replace(line.standing, measured=measured)
        line.complete(1)
        assert set(line.standing.held) == earned


@pytest.mark.parametrize(("version", "measured", "found"), [(1, 0, "old"), (2, 5, "new"), (2, 4, None), (3, 5, None)])
def test_an_award_is_judged_by_its_own_rule(version: int, measured: int, found: str | None) -> None:
    old = rule("badge", {"points": {"at_least": 1}})
    new = replace(rule("badge", WEEKLY), version=2)
    (measure,) = rule_book([new]).measures.since
    book = RuleBook({"badge": new}, MeasureIndex({measure: 5}), {("badge", 1): old})
    judging = book.judging("badge", version, measured)
    assert judging == {"old": old, "new": new, None: None}[found]


def test_a_badge_that_is_no_longer_given_is_still_judged() -> None:
    old = rule("badge", {"points": {"at_least": 1}})
    book = RuleBook(past_rules={("badge", 1): old})
    assert book.judging("badge", 1, 0) == old
    assert book.watching(["points"], 0) == []


def test_the_order_of_the_definitions_does_not_show() -> None:
    badges = [rule(code, {"points": {"at_least": 1}}) for code in ("c", "a", "b")]
    assert [badge.code for badge in rule_book(badges).watching(["points", "xp"], 0)] == ["a", "b", "c"]
