"""What a board shows to whom: periods, categories, the part around oneself, opt-out, nickname, why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

from rebootcamp.core.challenges import CATEGORIES
from rebootcamp.services import badges
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import admin, complete, drain, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree

BOARDS = "/api/leaderboards"
SETTINGS = f"{BOARDS}/settings"


@pytest.fixture
def teacher(wire: Wire) -> Person:
    """Somebody who sees whole boards and stands on none."""
    return wire.join("instructor")


@pytest.fixture
def ten(wire: Wire) -> list[Person]:
    """Ten learners, the best first; the first half is delivered."""
    people = [wire.join(display_name=f"L{number}") for number in range(1, 11)]
    for number, person in enumerate(people):
        complete(person.actor, make_challenge(points=100 - 10 * number))
        if number == 4:
            drain()
    return people


def ranks(items: list[dict[str, object]]) -> list[object]:
    return [item["rank"] for item in items]


def names(items: list[dict[str, object]]) -> list[object]:
    return [item["user"]["display_name"] for item in items]


def scores(wire: Wire, who: Person, path: str) -> dict[object, object]:
    return {item["user"]["id"]: item["score"] for item in wire.items(f"{BOARDS}/{path}", who)}


@pytest.mark.parametrize("delivered", [False, True])
def test_each_period_has_its_board(wire: Wire, ada: Person, teacher: Person, delivered: bool) -> None:
    # A badge's points count on the day of the deed that earned it, and in no category.
    make_badge("first_step", points=7)
    for at, points in (("2026-08-31T12:00:00Z", 10), ("2026-09-01T12:00:00Z", 20), ("2026-09-07T12:00:00Z", 40)):
        with time_machine.travel(at, tick=False):
            complete(ada.actor, make_challenge(points=points, category="water"))
    with time_machine.travel("2026-09-06T22:30:00Z", tick=False):
        complete(ada.actor, make_challenge(points=80))  # 7 September in Paris
    if delivered:
        drain()
        assert_stores_agree()
    expected = {
        "global": 157,
        "category:water": 70,
        "category:energy": 80,
        "weekly?period=2026-W36": 37,
        "weekly?period=2026-W37": 120,
        "monthly?period=2026-08": 17,
        "monthly?period=2026-09": 140,
        "seasonal?period=2026-summer": 17,
        "seasonal?period=2026-autumn": 140,
    }
    assert {path: scores(wire, teacher, path) for path in expected} == {
        path: {ada.id: score} for path, score in expected.items()
    }
    for path in ("weekly?period=2026-W35", "monthly?period=2026-07", "category:food"):
        assert scores(wire, teacher, path) == {}


def test_without_a_period_it_is_the_callers_own(wire: Wire) -> None:
    with time_machine.travel("2026-08-31T23:30:00Z", tick=False):
        paris, honolulu = wire.join(timezone="Europe/Paris"), wire.join(timezone="Pacific/Honolulu")
        for name, periods in {
            "weekly": ("2026-W36", "2026-W36"),
            "monthly": ("2026-09", "2026-08"),
            "seasonal": ("2026-autumn", "2026-summer"),
            "global": ("all", "all"),
        }.items():
            for person, period in zip((paris, honolulu), periods, strict=True):
                assert wire.read(f"{BOARDS}/{name}", person)["period"] == period
                assert wire.read(f"{BOARDS}/{name}/me", person)["period"] == period


def test_only_periods_of_the_board_are_known(wire: Wire, teacher: Person) -> None:
    wrong = {
        "weekly": ("2026-W54", "2026-W00", "2026-11", "2026-autumn", "all", "2026-W1", "9999-W53", "2026-W47 x"),
        "monthly": ("2026-13", "2026-00", "2026-W47", "2026-1", "0000-01", "2026-11-21"),
        "seasonal": ("2026-fall", "2026-Autumn", "2026-11", "2026"),
        "global": ("2026-11", "2026-W47"),
        "category:water": ("2026-autumn",),
    }
    for name, periods in wrong.items():
        for period in periods:
            for path in (f"{BOARDS}/{name}", f"{BOARDS}/{name}/me"):
                problem = assert_problem(wire.get(f"{path}?period={period}", teacher), 422, "validation_failed")
                assert pointers(problem) == {"/period": "unknown_period"}, period
    assert all(wire.get(f"{BOARDS}/category:{name}?period=all", teacher).status_code == 200 for name in CATEGORIES)
    for name in ("category:", "category:fire", "daily", "once", "event", "all", "category:WATER"):
        assert_problem(wire.get(f"{BOARDS}/{name}", teacher), 404, "not_found")


def test_students_see_the_places_around_their_own(wire: Wire, ten: list[Person], root: Person) -> None:
    path = f"{BOARDS}/global"
    for index, person in enumerate(ten):
        board = wire.read(path, person)
        assert (board["view"], board["next_cursor"]) == ("neighbours", None)
        assert ranks(board["items"]) == list(range(max(1, index - 2), min(10, index + 4) + 1))
        assert wire.read(f"{path}?around=me", person) == board
        assert wire.read(f"{path}/me", person)["neighbours"] == board["items"]
    assert ranks(wire.read(f"{path}?limit=3", ten[4])["items"]) == [4, 5, 6]
    cursor = wire.read(f"{path}?limit=2", root)["next_cursor"]
    assert pointers(assert_problem(wire.get(f"{path}?cursor={cursor}", ten[4]), 422)) == {"/cursor": "invalid_cursor"}
    assert wire.read(path, wire.join())["items"] == []


def test_an_administrator_opens_the_boards(wire: Wire, ten: list[Person], root: Person) -> None:
    assert wire.read(SETTINGS, ten[0]) == {"students_see": "neighbours"}
    etag = wire.get(SETTINGS, root).headers["ETag"]
    opened = wire.patch(SETTINGS, root, json={"students_see": "full"}, headers={"If-Match": etag})
    assert (opened.status_code, opened.json) == (200, {"students_see": "full"})
    assert opened.headers["ETag"] != etag
    board = wire.read(f"{BOARDS}/global", ten[9])
    assert (board["view"], ranks(board["items"])) == ("full", list(range(1, 11)))
    late = wire.patch(SETTINGS, root, json={"students_see": "neighbours"}, headers={"If-Match": etag})
    assert_problem(late, 412, "stale_edit")
    assert wire.patch(SETTINGS, root, json={"students_see": "neighbours"}).status_code == 200
    assert wire.read(f"{BOARDS}/global", ten[9])["view"] == "neighbours"
    for who in (ten[0], wire.join("instructor"), wire.join("examiner")):
        assert_problem(wire.patch(SETTINGS, who, json={"students_see": "full"}), 403, "forbidden")
    assert_problem(wire.patch(SETTINGS, root, json={"students_see": "all"}), 422, "validation_failed")


def test_staff_open_the_page_around_themselves(wire: Wire, ten: list[Person], teacher: Person, root: Person) -> None:
    complete(teacher.actor, make_challenge(points=45))
    path = f"{BOARDS}/global?around=me"
    middle = wire.read(f"{path}&limit=4", teacher)
    assert ranks(middle["items"]) == [6, 7, 8, 9]
    assert middle["items"][1]["user"]["id"] == teacher.id
    rest = wire.items(f"{BOARDS}/global?cursor={middle['next_cursor']}", teacher)
    assert middle["items"] + rest == wire.items(f"{BOARDS}/global", root)[5:]
    assert [item["rank"] for page in wire.pages(path, teacher, 4) for item in page["items"]] == [6, 7, 8, 9, 10, 11]
    assert wire.read(path, root)["items"] == []
    assert_problem(wire.get(f"{BOARDS}/global?around=you", teacher), 422, "validation_failed")


def test_the_unlisted_take_no_rank(wire: Wire, ten: list[Person], teacher: Person) -> None:
    for person in (ten[1], ten[7]):  # one delivered, one pending
        answer = wire.patch("/api/users/me", person, json={"is_listed": False})
        assert (answer.status_code, answer.json["is_listed"]) == (200, False)
    shown = ["L1", "L3", "L4", "L5", "L6", "L7", "L9", "L10"]
    for _ in range(2):
        items = wire.items(f"{BOARDS}/global", teacher, limit=3)
        assert (names(items), ranks(items)) == (shown, list(range(1, 9)))
        assert wire.read(f"{BOARDS}/global/me", ten[9])["rank"] == 8
        mine = wire.read(f"{BOARDS}/global/me", ten[1])
        assert (mine["rank"], mine["score"], mine["neighbours"], mine["why"]["is_listed"]) == (None, 90, [], False)
        assert mine["reached_at"] is not None
        assert wire.read(f"{BOARDS}/global", ten[1])["items"] == []
        drain()
        assert_stores_agree()
    complete(ten[1].actor, make_challenge(points=500))
    drain()
    assert_stores_agree()
    assert names(wire.items(f"{BOARDS}/global", teacher)) == shown
    assert wire.patch("/api/users/me", ten[1], json={"is_listed": True}).status_code == 200
    assert names(wire.items(f"{BOARDS}/global", teacher)) == ["L2", *shown]
    assert wire.read(f"{BOARDS}/global/me", ten[9])["rank"] == 9
    assert_stores_agree()


def test_a_nickname_stands_for_the_name_on_boards_alone(wire: Wire, ada: Person) -> None:
    complete(ada.actor, make_challenge())
    me = f"{BOARDS}/global/me"
    etag = wire.get(me, ada).headers["ETag"]
    assert wire.patch("/api/users/me", ada, json={"nickname": "Countess"}).json["nickname"] == "Countess"
    changed = wire.get(me, ada, headers={"If-None-Match": etag})
    assert names(changed.json["neighbours"]) == ["Countess"]
    assert wire.read(f"{ada.path}/progress", ada)["user"]["display_name"] == "Ada"
    assert wire.patch("/api/users/me", ada, json={"nickname": None}).json["nickname"] is None
    assert names(wire.read(me, ada)["neighbours"]) == ["Ada"]
    for wrong in ("", "\u202eada", "x" * 81, 5, "\u200b"):
        assert_problem(wire.patch("/api/users/me", ada, json={"nickname": wrong}), 422, "validation_failed")


def test_a_rank_says_why(wire: Wire, ten: list[Person]) -> None:
    mine = wire.read(f"{BOARDS}/global/me", ten[3])
    assert mine["why"].pop("tie_rule").startswith("Equal scores: who has held")
    assert mine["why"] == {
        "score": 70,
        "reached_at": mine["reached_at"],
        "is_listed": True,
        "next": {"rank": 3, "score": 80, "points_to_pass": 11},
    }
    french = wire.read(f"{BOARDS}/global/me", ten[3], headers={"Accept-Language": "fr"})
    assert french["why"]["tie_rule"].startswith("À égalité")
    complete(ten[3].actor, make_challenge(points=10))
    tied = wire.read(f"{BOARDS}/global/me", ten[3])
    assert (tied["rank"], tied["why"]["next"]) == (4, {"rank": 3, "score": 80, "points_to_pass": 1})
    complete(ten[3].actor, make_challenge(points=1))
    assert wire.read(f"{BOARDS}/global/me", ten[3])["rank"] == 3
    assert wire.read(f"{BOARDS}/global/me", ten[0])["why"]["next"] is None


@pytest.mark.parametrize("delivered", [False, True])
def test_what_is_taken_back_counts_as_never_done(wire: Wire, teacher: Person, root: Person, delivered: bool) -> None:
    """The later of two who reached 20 first stands lower, whatever was done and undone in between."""
    with time_machine.travel("2026-03-02T10:00:00Z", tick=False) as hand:
        ada, bob = wire.join(), wire.join()
        make_badge("two", at_least=2, points=50)
        hand.move_to(datetime(2026, 3, 2, 11, tzinfo=UTC))
        complete(ada.actor, make_challenge())
        hand.move_to(datetime(2026, 3, 3, 12, tzinfo=UTC))
        complete(bob.actor, make_challenge())
        hand.move_to(datetime(2026, 3, 10, 13, tzinfo=UTC))
        undone = complete(ada.actor, make_challenge()).completion
        if delivered:
            drain()
    revoke = f"{ada.path}/completions/{undone.id}/revoke"
    assert wire.post(revoke, root, json={"reason": "A test."}).status_code == 200
    for _ in range(2):
        board = wire.items(f"{BOARDS}/global", teacher)
        assert [(item["user"]["id"], item["score"]) for item in board] == [(ada.id, 20), (bob.id, 20)]
        assert board[0]["reached_at"] == "2026-03-02T11:00:00Z"
        # The badge was earned in the week of the deed and is lost there, too.
        assert scores(wire, teacher, "weekly?period=2026-W10") == {ada.id: 20, bob.id: 20}
        assert scores(wire, teacher, "weekly?period=2026-W11") == {}
        assert scores(wire, teacher, "weekly") == {}
        drain()
        assert_stores_agree()


def test_a_badge_taken_by_hand_leaves_the_week_in_which_it_was_given(
    wire: Wire, ada: Person, teacher: Person, root: Person
) -> None:
    make_badge("gift", criteria={"points": {"at_least": 10_000}}, points=30)
    with time_machine.travel("2026-03-02T10:00:00Z", tick=False):
        badges.award_badge(admin(), ada.id, "gift", reason="For the help.")
        complete(ada.actor, make_challenge())
    drain()
    assert scores(wire, teacher, "weekly?period=2026-W10") == {ada.id: 50}
    assert wire.post(f"{ada.path}/badges/gift/revoke", root, json={"reason": "Wrong."}).status_code == 200
    for _ in range(2):
        assert scores(wire, teacher, "weekly?period=2026-W10") == {ada.id: 20}
        assert wire.read(f"{BOARDS}/weekly/me", ada)["score"] == 0
        drain()
        assert_stores_agree()
