"""Ranks against a plain sort: whatever was delivered, waits, was taken back or hidden, both say the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.core.challenges import period_of
from rebootcamp.core.leaderboards import ALL_TIME, BOARDS, PERIODIC, Board, board_of
from rebootcamp.core.pages import PageRequest
from rebootcamp.events.facts import Fact
from rebootcamp.events.histogram import SPLIT_AT
from rebootcamp.events.journal import record
from rebootcamp.events.relay import Relay, redrive
from rebootcamp.models.sql.leaderboards import LeaderboardCount
from rebootcamp.services import accounts
from rebootcamp.services.integrity import check_stores
from rebootcamp.services.leaderboards import get_my_rank, list_places
from rebootcamp.storage.sql import db
from tests.factories import make_badge
from tests.factories.events import awarded, completed, revoked, taken_back
from tests.relay.tools import execute, in_threads, make_learners, waiting

pytestmark = pytest.mark.usefixtures("committed_db")

TEACHER = Actor(10**9, "instructor")
START = datetime(2026, 8, 25, 12, tzinfo=UTC)
CHECKED = ("global", "category:water", *PERIODIC)
CODES = ("gift", "thanks", "cup")
BOARD_INVARIANTS = {"leaderboard", "rank counts"}

Standing = list[tuple[int, int, datetime, int]]


@dataclass
class Deed:
    """What gave points, and when; `fact` takes it back."""

    fact: Fact
    at: datetime

    @property
    def undo(self) -> Fact:
        fact = self.fact
        return (
            taken_back(fact.badge, fact.points, learner_id=fact.learner_id) if hasattr(fact, "badge") else revoked(fact)
        )


@dataclass
class World:
    """Learners at random, and what a plain sort says of them."""

    seed: int
    learners: list[Actor] = field(default_factory=list)
    deeds: dict[int, list[Deed]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    number: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.learners = make_learners(12)
        for code in CODES:
            make_badge(code, criteria={"points": {"at_least": 10**6}})
        self.deeds = {learner.user_id: [] for learner in self.learners}

    def act(self) -> None:
        """Let one learner do something, or have something taken back; few scores and moments, so many ties."""
        learner = self.dice.choice(self.learners)
        deeds = self.deeds[learner.user_id]
        if deeds and self.dice.random() < 0.3:
            self._undo(deeds)
            return
        self.number += 1
        at = START + timedelta(hours=self.dice.randrange(30) * 24)
        points = self.dice.choice([0, 5, 10, 10, 64, 100])
        category = self.dice.choice(["water", "energy"])
        fact = completed(self.number, learner_id=learner.user_id, points=points, category=category)
        code = self.dice.choice(CODES)
        if self.dice.random() < 0.4 and all(getattr(deed.fact, "badge", None) != code for deed in deeds):
            fact = awarded(code, points, learner_id=learner.user_id)
        deeds.append(Deed(fact, at))
        record(fact, occurred_at=at, local_date=at.date())

    def _undo(self, deeds: list[Deed]) -> None:
        deed = deeds.pop(self.dice.randrange(len(deeds)))
        # A badge falls on whatever day it is taken, a completion on the day of the deed.
        at = START + timedelta(days=self.dice.randrange(60))
        record(deed.undo, occurred_at=at, local_date=at.date() if hasattr(deed.fact, "badge") else deed.at.date())

    def switch(self) -> None:
        """Show or hide one learner."""
        learner = self.dice.choice(self.learners)
        self.hidden ^= {learner.user_id}
        accounts.edit_profile(learner, {"is_listed": learner.user_id not in self.hidden})

    def bury(self) -> None:
        """Give one waiting event up, so that later ones pass it."""
        if entries := waiting():
            entry = self.dice.choice(entries)
            execute("UPDATE outbox SET attempts = 8, dead_at = now() WHERE event_id = :id", id=entry.event_id)

    def sorted(self, board: Board) -> Standing:
        """Return the places of a board, by a plain sort."""
        rows = []
        for user_id, deeds in self.deeds.items():
            counted = [deed for deed in deeds if counts(deed, board) and deed.fact.score_points]
            if counted and user_id not in self.hidden:
                rows.append((-sum(d.fact.score_points for d in counted), max(d.at for d in counted), user_id))
        return [(rank, -loss, at, user_id) for rank, (loss, at, user_id) in enumerate(sorted(rows), 1)]


def counts(deed: Deed, board: Board) -> bool:
    if board.name in PERIODIC:
        return period_of(board.name, deed.at.date()) == board.period
    return board.category is None or getattr(deed.fact, "category", None) == board.category


def boards() -> Iterator[Board]:
    for name in CHECKED:
        days = [START + timedelta(days=n) for n in range(0, 30, 3)] if name in PERIODIC else [START]
        for period in sorted({period_of(name, day.date()) if name in PERIODIC else ALL_TIME for day in days}):
            yield board_of(name, period, START.date())


def paged(board: Board, limit: int) -> Standing:
    found, cursor = [], None
    while True:
        page = list_places(TEACHER, board, PageRequest(limit, cursor), is_around_me=False).page
        found += [(place.rank, place.score, place.reached_at, place.user_id) for place in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


def assert_ranks(world: World, names: list[Board], limit: int = 5) -> None:
    for board in names:
        expected = world.sorted(board)
        assert paged(board, limit) == expected, board
        places = {place[3]: place for place in expected}
        for learner in world.learners:
            mine = get_my_rank(learner, board)
            place = places.get(learner.user_id)
            assert (mine.place and mine.place.rank) == (place and place[0])
            if place:
                around = expected[max(0, place[0] - 4) : place[0] + 3]
                assert [(p.rank, p.score, p.reached_at, p.user_id) for p in mine.neighbours] == around


def board_findings() -> list[object]:
    db.session.remove()
    return [finding for finding in check_stores().findings if finding.invariant in BOARD_INVARIANTS]


@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_a_plain_sort(seed: int) -> None:
    world, everywhere = World(seed), list(boards())
    relay = Relay(batch=4, poll_seconds=0.01)
    steps = [*[world.act] * 12, *[relay.deliver_batch] * 4, world.switch, world.bury, redrive]
    for number in range(1, 161):
        world.dice.choice(steps)()
        db.session.remove()
        if number % 40 == 0:
            assert_ranks(world, world.dice.sample(everywhere, 3))
            assert board_findings() == []
    assert_ranks(world, everywhere)
    redrive()
    relay.drain()
    assert waiting() == []
    assert_ranks(world, everywhere)
    assert board_findings() == []


def test_several_relays_and_switches_keep_the_ranks(committed_db: Flask) -> None:
    world, done = World(7), threading.Event()

    def write() -> None:
        try:
            for number in range(240):
                world.act() if number % 12 else world.switch()
                db.session.remove()
        finally:
            done.set()

    def carry() -> None:
        relay = Relay(6, 0.01)
        while not done.is_set() or waiting():
            relay.deliver_batch()

    in_threads(committed_db, write, carry, carry, carry)
    assert board_findings() == []
    assert_ranks(world, list(boards()))


def test_a_deed_taken_back_before_it_was_delivered_moves_no_tie() -> None:
    """A dead letter is passed by its own revocation: neither while it waits nor once it comes is it a deed."""
    (ada,) = make_learners(1)
    board = board_of("global", None, START.date())
    kept, undone = (completed(number, learner_id=ada.user_id) for number in (1, 2))
    later = START + timedelta(days=1)
    record(kept, occurred_at=START, local_date=START.date())
    Relay(10, 0.01).drain()
    record(undone, occurred_at=later, local_date=later.date())
    (entry,) = waiting()
    execute("UPDATE outbox SET attempts = 8, dead_at = now() WHERE event_id = :id", id=entry.event_id)
    record(revoked(undone), occurred_at=later, local_date=later.date())
    for _ in range(2):
        Relay(10, 0.01).drain()
        mine = get_my_rank(ada, board)
        assert (mine.score, mine.reached_at) == (20, START)
        assert board_findings() == []
        redrive()
    assert waiting() == []


_CROWD = """
    WITH people AS (
        INSERT INTO users (email, password_hash, role, first_name, last_name, display_name, locale, timezone,
            token_version, is_active, email_verified, version, created_at, updated_at, day_start_hour, is_listed)
        SELECT 'crowd' || n || '@example.org', '', 'student', 'C', 'D', 'C' || n, 'en', 'UTC', 1, true, false, 1,
            now(), now(), 0, true
        FROM generate_series(1, :count) n RETURNING id
    ), states AS (
        INSERT INTO learner_states (user_id, last_seq, challenge_points, badge_points, xp_total, daily_streak,
            longest_daily_streak, perfect_quiz_streak, freezes, counters, held_badges, protected_days, measured_version)
        SELECT id, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '{}', '{}', 0 FROM people
    ) SELECT id FROM people"""
_DEED = """
    WITH deeds AS (
        UPDATE learner_states SET last_seq = last_seq + 1, challenge_points = challenge_points + :points
        WHERE user_id = ANY(:ids) RETURNING user_id, last_seq
    ), events AS (
        INSERT INTO activity_events (event_id, user_id, seq, type, version, payload, points, occurred_at, local_date,
            timezone)
        SELECT gen_random_uuid(), user_id, last_seq, 'account.registered', 1, '{}', :points,
            timestamptz '2026-05-01 12:00Z' + user_id * CAST(:apart AS interval), date '2026-05-01', 'UTC'
        FROM deeds RETURNING event_id, user_id, seq
    ) INSERT INTO outbox (event_id, user_id, seq, attempts, next_attempt_at)
    SELECT event_id, user_id, seq, 0, now() - interval '1 minute' FROM events"""


def crowd(count: int) -> list[int]:
    with db.engine.begin() as connection:
        return sorted(connection.execute(sa.text(_CROWD), {"count": count}).scalars())


def score(ids: list[int], points: int, apart: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text(_DEED), {"ids": ids, "points": points, "apart": apart})


def split_scores() -> set[int]:
    rows = sa.select(LeaderboardCount.score).where(LeaderboardCount.is_split, LeaderboardCount.board == "global")
    with db.engine.begin() as connection:
        return set(connection.execute(rows).scalars())


@pytest.mark.parametrize("apart", ["0 seconds", "1 second", "7 hours"])
def test_where_many_share_a_score_slots_of_time_count_them(committed_db: Flask, apart: str) -> None:
    """More learners on one score than are counted one by one: by the minute, over years, or all at one moment."""
    ids = crowd(SPLIT_AT + 100)
    board = board_of("global", None, date(2026, 5, 1))
    score(ids[: SPLIT_AT - 1], 20, apart)
    Relay(300, 0.01).drain()
    assert split_scores() == set()
    score(ids[SPLIT_AT - 1 :], 20, apart)
    in_threads(committed_db, *[Relay(90, 0.01).drain] * 3)
    assert split_scores() == {20}
    assert board_findings() == []
    for rank in (1, 2, 300, SPLIT_AT, SPLIT_AT + 1, len(ids)):
        mine = get_my_rank(Actor(ids[rank - 1], "student"), board)
        assert mine.place is not None
        assert (mine.place.rank, mine.place.user_id) == (rank, ids[rank - 1])
    # Some move on, one of them still on the way, and one hides: who stays moves up.
    score(ids[10:20], 5, apart)
    Relay(300, 0.01).drain()
    score(ids[20:21], 5, apart)
    accounts.edit_profile(Actor(ids[0], "student"), {"is_listed": False})
    assert board_findings() == []
    last = get_my_rank(Actor(ids[-1], "student"), board).place
    assert last is not None
    assert last.rank == len(ids) - 1
    tenth = get_my_rank(Actor(ids[9], "student"), board).place
    assert tenth is not None
    assert tenth.rank == 11 + 9


def test_some_learners_are_ranked_among_themselves() -> None:
    """The seam for groups: a board narrowed to its members."""
    world = World(11)
    members = tuple(learner.user_id for learner in world.learners[::2])
    for number in range(60):
        world.act()
        if number == 30:
            Relay(20, 0.01).drain()
    accounts.edit_profile(world.learners[2], {"is_listed": False})
    world.hidden.add(world.learners[2].user_id)
    for name in BOARDS[:4]:
        board = board_of(name, None, START.date())
        narrowed = Board(board.name, board.period, board.days, members)
        inside = [place for place in world.sorted(board) if place[3] in members]
        expected = [(rank, *place[1:]) for rank, place in enumerate(inside, 1)]
        assert paged(narrowed, 2) == expected
        for rank, *_, user_id in expected:
            mine = get_my_rank(Actor(user_id, "student"), narrowed)
            assert mine.place is not None
            assert mine.place.rank == rank
