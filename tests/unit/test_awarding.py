"""What a learner earns and loses under rules of every kind, event by event."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.events.badges import BadgeAwarded, BadgeRevoked
from rebootcamp.services.gamification.backfill import Deed
from rebootcamp.services.gamification.criteria import days_of
from rebootcamp.services.gamification.progression import EXPIRED, situation_of
from rebootcamp.services.gamification.replay import replay
from rebootcamp.services.gamification.rulebook import RuleBook, rule_book
from rebootcamp.services.gamification.rules import compile_rule
from tests.factories.events import DAY, PureLine, awarded, rule
from tests.factories.rules import COMPLETED, Seen, criteria, deeds, naively_holds

FIRST_DEED = {"count": {"event": COMPLETED, "at_least": 1}}


def weekly(at_least: int = 2, **body: Any) -> dict[str, Any]:
    return {"count": {"event": COMPLETED, "at_least": at_least, "per": "week", **body}}


RICH = rule_book(
    [
        rule("first", FIRST_DEED),
        rule("weekly", weekly()),
        rule("varied", weekly(distinct="category")),
        rule("month", {"sum": {"event": COMPLETED, "field": "co2e_grams", "at_least": 300, "per": "month"}}),
        rule("places", {"count": {"event": COMPLETED, "distinct": "challenge_id", "at_least": 3}}),
        rule("nested", {"all": [{"any": [weekly(3), {"points": {"at_least": 90}}]}, {"badge": "first"}]}),
        rule("after", {"badge": "nested"}, points=40),
        rule("level", {"level": {"at_least": 2}}),
        rule("days", {"count": {"event": COMPLETED, "distinct": "local_date", "at_least": 3}}),
    ]
)


def do(line: PureLine, deed: Deed) -> None:
    fields = {name: value for name, value in deed.payload.items() if name != "challenge_id"}
    line.complete(deed.payload["challenge_id"], deed.local_date, **fields)


def told(history: list[Deed], rules: RuleBook = RICH) -> PureLine:
    line = PureLine(rules)
    for deed in history:
        do(line, deed)
    return line


@given(st.lists(deeds, max_size=15), deeds)
def test_undo_after_do_is_neutral_under_rules_of_every_kind(history: list[Deed], deed: Deed) -> None:
    line = told(history)
    before = line.standing
    do(line, deed)
    line.revoke(-1)
    assert line.standing == before


@given(st.lists(deeds, max_size=15), st.randoms(use_true_random=False))
def test_taking_everything_back_leaves_nothing(history: list[Deed], random: Random) -> None:
    line = told(history)
    while line.valid:
        line.revoke(random.randrange(len(line.valid)))
    assert line.standing == PureLine(RICH).standing
    counts = Counter((type(event.fact), event.fact.badge) for event in line.events if hasattr(event.fact, "badge"))
    for (kind, badge), number in counts.items():
        assert counts[BadgeRevoked if kind is BadgeAwarded else BadgeAwarded, badge] == number


@given(st.lists(st.one_of(deeds, st.integers(0, 30)), max_size=20))
def test_replay_from_nothing_gives_what_is_kept_under_rules_of_every_kind(story: list[Any]) -> None:
    line = PureLine(RICH)
    for step in story:
        if isinstance(step, Deed):
            do(line, step)
        elif line.valid:
            line.revoke(step % len(line.valid))
    assert replay(line.events, RICH) == line.standing


@given(st.lists(deeds, max_size=15), st.randoms(use_true_random=False))
def test_deeds_in_another_order_make_the_same_totals(history: list[Deed], random: Random) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    one, two = told(history).standing, told(shuffled).standing
    assert (one.challenge_points, one.counters) == (two.challenge_points, two.counters)
    assert one.held.keys() == two.held.keys()
    assert (one.badge_points, one.xp_total) == (two.badge_points, two.xp_total)


@given(criteria, st.lists(deeds, max_size=12))
def test_whoever_meets_a_rule_with_a_deed_holds_its_badge(criterion: Any, history: list[Deed]) -> None:
    """Whatever a rule watches: no deed that meets it goes by unnoticed, and no badge comes from nothing."""
    rules = rule_book([rule("tried", criterion), rule("first", FIRST_DEED, points=0)])
    line, done = PureLine(rules), list[Deed]()
    line.award("gift", 5)
    for deed in history:
        was_held, before = "tried" in line.standing.held, len(line.events)
        do(line, deed)
        done.append(deed)
        now = situation_of(line.standing, deed.local_date)
        totals = {"points": now.points, "xp": now.xp, "level": now.level, "daily": now.daily, "perfect_quiz": 0}
        if "tried" not in now.held:
            assert not naively_holds(criterion, Seen(done, deed.local_date, totals, now.held))
        elif not was_held:
            (fact,) = [
                e.fact for e in line.events[before:] if isinstance(e.fact, BadgeAwarded) and e.fact.badge == "tried"
            ]
            day = date.fromisoformat(fact.evidence.get("met_on", deed.local_date.isoformat()))
            worth = {name: totals[name] - fact.points for name in ("points", "xp")}
            befores = [{**totals, **worth, "level": level} for level in range(1, totals["level"] + 1)]
            helds = [set(now.held) - {"tried"}, set(now.held) - {"tried", "first"}]
            assert any(naively_holds(criterion, Seen(done, day, t, h)) for t in befores for h in helds)


@given(criteria, st.lists(deeds, max_size=12), st.randoms(use_true_random=False))
def test_after_a_revocation_nobody_holds_a_badge_for_nothing(
    criterion: Any, history: list[Deed], random: Random
) -> None:
    """What stays is met on some day by what is left; a `not` is forgiven."""
    line = told(history, rule_book([rule("tried", criterion, points=0)]))
    left = list(history)
    while line.valid:
        index = random.randrange(len(line.valid))
        line.revoke(index)
        del left[index]
        if "tried" in line.standing.held:
            compiled = compile_rule(criterion)
            now = situation_of(line.standing, date.fromisoformat(line.standing.held["tried"]["on"]))
            days = [now.day, *days_of(compiled, now.counters)]
            assert any(compiled.holds(replace(now, day=day, reviewed_on=day)) for day in days)


def test_an_award_is_judged_by_its_own_version_when_its_facts_are_revoked() -> None:
    one = rule("badge", {"count": {"event": COMPLETED, "at_least": 1}})
    line = PureLine(rule_book([one]))
    line.complete(1)
    line.complete(2)
    five = replace(rule("badge", {"count": {"event": COMPLETED, "at_least": 5}}), version=2)
    line.rules = replace(rule_book([five]), past_rules={("badge", 1): one})
    line.revoke(-1)
    assert "badge" in line.standing.held
    line.revoke(-1)
    assert "badge" not in line.standing.held
    for number in range(5):
        assert "badge" not in line.standing.held
        line.complete(number + 1)
    assert line.standing.held["badge"]["rule"] == 2
    line.revoke(-1)
    assert "badge" not in line.standing.held


def test_a_badge_that_is_not_revocable_stays_with_its_points() -> None:
    kept = replace(rule("kept", FIRST_DEED), is_revocable=False)
    line = PureLine(rule_book([kept, rule("lost", FIRST_DEED), rule("rests_on_it", {"badge": "kept"})]))
    line.complete(1)
    line.revoke(0)
    assert set(line.standing.held) == {"kept", "rests_on_it"}
    assert line.standing.badge_points == 20


def test_a_not_keeps_from_getting_but_never_takes_away() -> None:
    rules = rule_book(
        [rule("alone", {"all": [FIRST_DEED, {"not": {"badge": "gift"}}]}), rule("two", {"points": {"at_least": 21}})]
    )
    line = PureLine(rules)
    line.complete(1)
    line.award("gift", 0)
    line.complete(2)
    line.revoke(-1)
    assert "alone" in line.standing.held
    other = PureLine(rules)
    other.award("gift", 0)
    other.complete(1)
    assert "alone" not in other.standing.held


def test_badges_fall_together_and_mutual_support_does_not_hold_them_up() -> None:
    rules = rule_book(
        [
            rule("root", FIRST_DEED),
            rule("leaf", {"badge": "root"}),
            rule("egg", {"any": [{"badge": "hen"}, FIRST_DEED]}),
            rule("hen", {"any": [{"badge": "egg"}, FIRST_DEED]}),
            rule("rich", {"points": {"at_least": 40}}),
        ]
    )
    line = PureLine(rules)
    line.complete(1, points=5)
    assert set(line.standing.held) == set(rules.badges)
    line.revoke(0)
    assert line.standing == PureLine(rules).standing
    reasons = {event.fact.reason for event in line.events if isinstance(event.fact, BadgeRevoked)}
    assert reasons == {"criteria_no_longer_met"}


def test_a_badge_taken_by_hand_takes_what_rests_on_it_and_does_not_come_back() -> None:
    line = PureLine(rule_book([rule("first", FIRST_DEED), rule("after", {"badge": "first"})]))
    line.complete(1)
    line.take("first")
    assert dict(line.standing.held) == {}
    line.complete(2)
    assert dict(line.standing.held) == {}
    line.award("first", 10)
    assert set(line.standing.held) == {"first", "after"}
    # Given anew by hand, it is no longer barred.
    line.take("after")
    line.complete(3)
    assert set(line.standing.held) == {"first"}


@pytest.mark.parametrize(("reason", "comes_back"), [(EXPIRED, True), ("rule_changed", True), ("A mistake.", False)])
def test_what_was_lost_for_an_automatic_reason_can_be_earned_again(reason: str, comes_back: bool) -> None:
    line = PureLine(rule_book([rule("first", FIRST_DEED)]))
    line.complete(1)
    line.lose("first", reason)
    assert dict(line.standing.held) == {}
    line.complete(2)
    assert ("first" in line.standing.held) is comes_back
    assert line.standing.counters.get("expired|badge=first") is None
    assert replay(line.events, line.rules) == line.standing


def test_an_award_ends_after_the_days_that_it_is_worth() -> None:
    line = PureLine(rule_book([replace(rule("first", FIRST_DEED), valid_days=30), rule("ever", FIRST_DEED)]))
    line.complete(1)
    ends = {e.fact.badge: e.fact.expires_at for e in line.events if isinstance(e.fact, BadgeAwarded)}
    assert ends == {"first": "2026-05-31T12:00:00Z", "ever": None}


def test_a_badge_met_long_ago_is_judged_where_it_was_met() -> None:
    """A back-fill awards today what was met in spring; a later revocation of something else must not take it."""
    line = PureLine(rule_book([]))
    for number in range(3):
        line.complete(number, DAY + timedelta(days=number), category="water")
    line.complete(9, DAY + timedelta(days=100))
    line.rules = rule_book([rule("spring", {"count": {"event": COMPLETED, "at_least": 3, "within_days": 7}})])
    line.standing = replay(line.events, line.rules)
    met_on = (DAY + timedelta(days=2)).isoformat()
    fact = awarded("spring", origin="rule", evidence={"backfill": 1, "met_on": met_on})
    line.happen(fact, DAY + timedelta(days=100))
    line.revoke(-1)
    assert "spring" in line.standing.held
    line.revoke(0)
    assert "spring" not in line.standing.held


def test_a_badge_met_before_all_that_is_known_stays() -> None:
    line = PureLine(rule_book([rule("old", {"count": {"event": COMPLETED, "at_least": 1, "per": "week"}})]))
    met_on, today = DAY.isoformat(), DAY + timedelta(days=500)
    line.happen(awarded("old", origin="rule", evidence={"met_on": met_on}), today)
    assert line.standing.held["old"]["on"] == met_on
    line.complete(1, today)
    line.revoke(0)
    assert "old" in line.standing.held


def test_days_in_a_row_earn_what_asks_for_them() -> None:
    line = PureLine(rule_book([rule("run", {"streak": {"kind": "daily", "at_least": 3}})]))
    for number, is_held in enumerate((False, False, True)):
        line.complete(1, DAY + timedelta(days=number), points=0)
        assert ("run" in line.standing.held) is is_held
    line.revoke(1)
    assert "run" not in line.standing.held


def test_what_was_approved_late_earns_what_it_would_have_earned_in_time() -> None:
    line = PureLine(rule_book([rule("busy", {"count": {"event": COMPLETED, "at_least": 3, "within_days": 7}})]))
    for number in (3, 5, 40):
        line.complete(number, DAY + timedelta(days=number))
    line.complete(1, DAY)
    award = line.events[-1].fact
    assert isinstance(award, BadgeAwarded)
    assert award.evidence["met_on"] == (DAY + timedelta(days=5)).isoformat()
    assert award.evidence["readings"] == [{"counter": f"{COMPLETED}|per:day", "value": 3, "target": 3}]
    line.revoke(2)
    assert "busy" in line.standing.held
    line.revoke(0)
    assert "busy" not in line.standing.held


def test_a_badge_stays_while_another_week_earns_it() -> None:
    line = PureLine(rule_book([rule("weekly", weekly())]))
    for number in (0, 1, 14, 15):
        line.complete(number, DAY - timedelta(days=4) + timedelta(days=number))
    line.revoke(0)
    assert "weekly" in line.standing.held
    line.revoke(-1)
    assert "weekly" not in line.standing.held
