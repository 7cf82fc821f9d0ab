"""Streaks on local dates: off days, freezes, repairs, quizzes, and travellers in every zone of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.days import ONE_DAY, DayRule, Days
from rebootcamp.events.accounts import DaysChanged
from rebootcamp.events.facts import Fact
from rebootcamp.events.quizzes import QuizCompleted
from rebootcamp.events.streaks import FreezeCancelled, FreezePlaced, StreakRepaired
from rebootcamp.services.gamification.rest_days import Calendar, Rest
from rebootcamp.services.gamification.streaks import (
    BRIDGED,
    DAYS_PER_FREEZE,
    FROZEN,
    MAX_FREEZES,
    REPAIRED,
    Streak,
    extend,
    off_days,
    recount,
    streak_after,
)
from tests.factories.events import completed, happened, revoked

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
FIRST = date(2026, 1, 1)
days = st.dates(FIRST, date(2026, 2, 10))
protections = st.dictionaries(days, st.sampled_from([FROZEN, REPAIRED, BRIDGED]), max_size=4)


def day(n: int) -> date:
    return FIRST + n * ONE_DAY


def held(streak: Streak, protected: dict[date, str]) -> Streak:
    for on, kind in protected.items():
        streak = streak.protect(kind, [on.isoformat()], on)
    return streak


def told(facts: Iterable[tuple[Fact, date]], calendar: Calendar | None = None) -> Streak:
    """Return the streak after facts on dates; each revocation takes the activity of its date away."""
    streak, active = Streak(), list[date]()
    for seq, (fact, on) in enumerate(facts, 1):
        if fact.type == "challenge.completed":
            active.append(on)
        elif fact.type == "challenge.revoked":
            active.remove(on)
        streak = streak_after(streak, happened(fact, seq, on), lambda: active, calendar or Calendar())
    return streak


def done(*numbers: int) -> list[tuple[Fact, date]]:
    return [(completed(), day(n)) for n in numbers]


@given(st.lists(days, max_size=40), protections, st.frozensets(days, max_size=5))
def test_extending_day_by_day_agrees_with_a_recount(
    active: list[date], protected: dict[date, str], rest: frozenset[date]
) -> None:
    streak, seen = recount(held(Streak(), protected), [], rest), []
    for on in active:
        seen.append(on)
        streak = extend(streak, on, off_days(streak, rest)) or recount(streak, seen, rest)
        assert streak == recount(streak, seen, rest)


@given(st.sets(days), protections, st.frozensets(days, max_size=5), st.integers(0, 5))
def test_recount_finds_the_last_run_and_the_longest(
    active: set[date], protected: dict[date, str], rest: frozenset[date], later: int
) -> None:
    streak = recount(held(Streak(), protected), active, rest)
    runs: list[list[date]] = []
    for on in (day(n) for n in range(60)):
        if on in active:
            runs = runs or [[]]
            runs[-1].append(on)
        elif on not in protected and on not in rest:
            runs.append([])
    found = [run for run in runs if run]
    assert streak.longest == max(map(len, found), default=0)
    assert streak.current == (len(found[-1]) if found else 0)
    assert streak.last_active_on == (max(active) if active else None)
    if active:
        today = max(active) + later * ONE_DAY
        missed = [n for n in range(1, later) if not off_days(streak, rest)(max(active) + n * ONE_DAY)]
        assert streak.as_of(today, off_days(streak, rest)) == (0 if missed else streak.current)


@given(st.integers(0, 60))
def test_each_seventh_day_earns_a_freeze_until_the_bank_is_full(length: int) -> None:
    assert recount(Streak(), map(day, range(length))).freezes == min(length // DAYS_PER_FREEZE, MAX_FREEZES)


@given(st.lists(st.sampled_from("dfcru"), max_size=60), st.randoms(use_true_random=False))
def test_whatever_happens_undo_after_do_is_neutral_and_the_bank_is_never_over_full(
    acts: list[str], random: Random
) -> None:
    """A learner does (d), freezes (f), cancels (c), repairs (r), and staff revoke (u) in any order."""
    facts: list[tuple[Fact, date]] = []
    for n, act in enumerate(acts):
        today, streak = day(n // 2), told(facts)
        on = (today + random.randrange(3) * ONE_DAY).isoformat()
        frozen = [key for key, entry in streak.protected.items() if entry[0] == FROZEN and key > today.isoformat()]
        if act == "d":
            facts.append((completed(), today))
        elif act == "f" and streak.freezes > 0 and on not in streak.protected:
            facts.append((FreezePlaced(learner_id=1, on=on), today))
        elif act == "c" and frozen:
            facts.append((FreezeCancelled(learner_id=1, on=frozen[0]), today))
        elif act == "r":
            facts.append((StreakRepaired(learner_id=1, on=(today - ONE_DAY).isoformat()), today))
        elif act == "u" and (validated := active_of(facts)):
            facts.append((revoked(completed()), random.choice(validated)))
    streak, today = told(facts), day(len(acts) // 2)
    assert streak.freezes <= MAX_FREEZES
    assert recount(streak, active_of(facts)) == streak
    undone = [*facts, (completed(), today), (revoked(completed()), today)]
    assert told(undone) == streak


def active_of(facts: Iterable[tuple[Fact, date]]) -> list[date]:
    active = list[date]()
    for fact, on in facts:
        if fact.type == "challenge.completed":
            active.append(on)
        elif fact.type == "challenge.revoked":
            active.remove(on)
    return active


def test_rest_day_neither_breaks_nor_adds_and_activity_on_it_counts() -> None:
    sundays = Calendar([Rest(7, FIRST, None, {}), Rest(None, day(10), day(12), {})])
    # The first of January 2026 is a Thursday: the fourth is a Sunday, the eleventh to the thirteenth rest.
    assert told(done(0, 1, 2, 4), sundays).current == 4
    assert told(done(0, 1, 2, 3, 4), sundays).current == 5
    assert told(done(8, 9, 13), sundays).current == 3
    assert told(done(8, 9, 14), sundays).current == 1
    assert told(done(0, 2), sundays).current == 1


def test_freeze_is_taken_from_the_bank_and_holds_its_day() -> None:
    week = done(*range(7))
    place, cancel = (kind(learner_id=1, on=day(7).isoformat()) for kind in (FreezePlaced, FreezeCancelled))
    assert told(week).freezes == 1
    placed = told([*week, (place, day(6))])
    assert (placed.freezes, placed.dates(FROZEN), placed.current) == (0, [day(7)], 7)
    assert told([*week, (place, day(6)), *done(8)]).current == 8
    assert told([*week, *done(8)]).current == 1
    cancelled = told([*week, (place, day(6)), (cancel, day(6))])
    assert cancelled == told(week)
    # Activity on a frozen day counts; the freeze is spent all the same.
    assert (told([*week, (place, day(6)), *done(7)]).current, told([*week, (place, day(6)), *done(7)]).freezes) == (
        8,
        0,
    )


def test_place_in_the_bank_that_a_freeze_leaves_is_earned_again() -> None:
    place = FreezePlaced(learner_id=1, on=day(15).isoformat())
    story = [*done(*range(14)), (place, day(14)), *done(*range(14, 21))]
    assert [told(story[:n]).freezes for n in (14, 15, 21, 22)] == [2, 1, 1, 2]
    assert recount(told(story), active_of(story)) == told(story)


def test_change_of_mind_forgets_what_the_first_change_bridged() -> None:
    who = Traveller(DayRule("Europe/Paris"), datetime(2026, 5, 1, 10, tzinfo=UTC))
    who.act()
    who.move(DayRule("Asia/Tokyo"))
    assert who.streak.dates(BRIDGED) == [date(2026, 5, 2)]
    who.move(DayRule("Europe/Paris"))
    assert who.streak.protected == {}
    who.now += 2 * ONE_DAY
    assert who.run == 0


def test_freeze_outlives_what_earned_it_and_is_owed_to_the_bank() -> None:
    place = FreezePlaced(learner_id=1, on=day(7).isoformat())
    story = [*done(*range(7)), (place, day(6)), (revoked(completed()), day(0))]
    streak = told(story)
    assert (streak.current, streak.freezes, streak.protection_of(day(7))) == (6, -1, FROZEN)
    assert told([*story, *done(8)]).freezes == 0


def test_repair_joins_two_runs() -> None:
    repair = (StreakRepaired(learner_id=1, on=day(3).isoformat()), day(4))
    assert told([*done(0, 1, 2, 4), repair]).current == 4
    # A completion of the missed day that is approved later counts.
    assert told([*done(0, 1, 2, 4), repair, *done(3)]).current == 5


def test_deed_approved_late_is_counted_on_its_day_with_the_days_that_were_off() -> None:
    place = FreezePlaced(learner_id=1, on=day(8).isoformat())
    assert told([*done(*range(6), 7), (place, day(7)), *done(9), *done(6)]).current == 9


def test_deadline_is_the_next_day_that_is_not_off() -> None:
    streak = held(recount(Streak(), [day(0), day(1)]), {day(3): FROZEN})
    off = off_days(streak, frozenset([day(4)]))
    assert [streak.keep_on(day(n), off) for n in range(1, 5)] == [day(2), day(2), day(5), day(5)]
    assert Streak().keep_on(day(0), off_days(Streak(), frozenset([day(0)]))) == day(1)
    assert Streak().keep_on(day(0), lambda _: True) == day(0)


@pytest.mark.parametrize(
    ("attempts", "run"),
    [
        ([(1, 1, 100), (2, 1, 100)], 2),
        ([(1, 1, 100), (2, 1, 99)], 0),
        ([(1, 1, 100), (2, 1, 60), (2, 2, 100)], 0),
        ([(1, 1, 100), (1, 2, 20), (2, 1, 100)], 2),
        ([(1, 1, 60), (1, 2, 100), (2, 1, 100)], 1),
    ],
)
def test_first_attempt_at_each_quiz_makes_the_perfect_run(attempts: list[tuple[int, int, int]], run: int) -> None:
    facts = [
        (QuizCompleted(learner_id=1, quiz_id=quiz, titles={}, attempt=attempt, percent=percent), day(0))
        for quiz, attempt, percent in attempts
    ]
    assert told(facts).perfect_quizzes == run
    assert told([*facts, *done(1), (revoked(completed()), day(1))]).perfect_quizzes == run


def test_country_that_skips_a_date_breaks_no_streak() -> None:
    before, after = date(2011, 12, 29), date(2011, 12, 31)
    streak = recount(Streak(), [before])
    deed = replace(happened(completed(), 1, after), timezone="Pacific/Apia")
    assert streak.as_of(after, off_days(streak, (), "Pacific/Apia")) == 1
    assert streak.as_of(after, off_days(streak, (), "Pacific/Pago_Pago")) == 0
    after_it = streak_after(streak, deed, lambda: [before, after])
    assert (after_it.current, recount(after_it, [before, after])) == (2, after_it)


class Traveller:
    """A learner with a clock, a zone and a streak; every deed is the one daily challenge, if it is open."""

    def __init__(self, rule: DayRule, now: datetime) -> None:
        self.days, self.now = Days(rule), now
        self.streak, self.done, self.seq = Streak(), list[date](), 0

    @property
    def today(self) -> date:
        return self.days.date_of(self.now)

    @property
    def run(self) -> int:
        return self.streak.as_of(self.today, off_days(self.streak, (), self.days.rule.timezone))

    def act(self) -> None:
        if self.today not in self.done:
            self.done.append(self.today)
            self._record(completed())

    def move(self, rule: DayRule) -> None:
        change = self.days.changed_to(rule, self.now)
        bridged = [on.isoformat() for on in change.bridged]
        self._record(DaysChanged(learner_id=1, timezone="", day_start_hour=0, holds_from="", bridged=bridged))
        self.days = change.days

    def _record(self, fact: Fact) -> None:
        self.seq += 1
        event = replace(happened(fact, self.seq, self.today), timezone=self.days.rule_at(self.now).timezone)
        self.streak = streak_after(self.streak, event, lambda: self.done)


rules = st.builds(DayRule, st.sampled_from(ZONES), st.integers(0, 12))
# Hours to wait before the next deed, and the rules chosen meanwhile.
journeys = st.lists(st.tuples(st.integers(1, 20), st.lists(rules, max_size=3)), min_size=10, max_size=60)
starts = st.integers(0, 37 * 525_960).map(lambda minutes: datetime(1993, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


def travel(
    start: datetime, first: DayRule, journey: list[tuple[int, list[DayRule]]], each: Callable[[Traveller], None]
) -> Traveller:
    who = Traveller(first, start)
    who.act()
    for hours, chosen in journey:
        for rule in chosen:
            who.now += timedelta(hours=hours) / (len(chosen) + 1)
            each(who)
            who.move(rule)
            each(who)
        who.now += timedelta(hours=hours) / (len(chosen) + 1)
        each(who)
        who.act()
        each(who)
    return who


@given(starts, rules, journeys)
def test_no_change_of_zone_breaks_the_streak_of_a_learner_who_acts_every_twenty_hours(
    start: datetime, first: DayRule, journey: list[tuple[int, list[DayRule]]]
) -> None:
    runs: list[int] = []
    who = travel(start, first, journey, lambda who: runs.append(who.run))
    assert 0 not in runs
    assert runs == sorted(runs)
    assert who.streak.current == len(who.done)
    assert recount(who.streak, who.done) == who.streak


@given(starts, rules, journeys)
def test_daily_challenge_is_done_once_a_date_and_dates_keep_up_with_the_sun(
    start: datetime, first: DayRule, journey: list[tuple[int, list[DayRule]]]
) -> None:
    who = travel(start, first, journey, lambda _: None)
    assert who.done == sorted(set(who.done))
    # From the day that begins last on earth to the one that begins first lie two dates: all that travel can gain.
    assert len(who.done) <= (who.now - start) / ONE_DAY + 3


@given(starts, rules, journeys, st.integers(1, 90))
def test_clock_that_goes_back_costs_nothing(
    start: datetime, first: DayRule, journey: list[tuple[int, list[DayRule]]], minutes: int
) -> None:
    def stumble(who: Traveller) -> None:
        before = who.streak.current
        who.now -= timedelta(minutes=minutes)
        if who.today in who.done or who.today >= who.done[-1]:
            who.act()
        who.now += timedelta(minutes=minutes)
        assert who.streak.current >= before

    travel(start, first, journey, stumble)
