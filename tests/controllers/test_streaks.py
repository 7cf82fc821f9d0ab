"""Streaks over HTTP: local days, changes of zone, freezes, repairs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from rebootcamp.events.journal import record
from rebootcamp.events.quizzes import QuizCompleted
from rebootcamp.services import challenges
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, make_challenge

MONDAY = "2026-05-04"
FRENCH = {"Accept-Language": "fr"}


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    """A clock that tests set; it starts on a Monday at noon in Paris."""
    with time_machine.travel(f"{MONDAY}T10:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(wire: Wire, clock: time_machine.Coordinates) -> Person:
    """A learner in Paris."""
    return wire.join(timezone="Europe/Paris")


def sign_in(wire: Wire, who: Person) -> Person:
    return Person(who.actor, who.email, wire.token(who.email))


def live(wire: Wire, who: Person, clock: Any, instant: str) -> Person:
    """Move to an instant, with a token that is valid then."""
    clock.move_to(instant, tick=False)
    return sign_in(wire, who)


def act(wire: Wire, who: Person, clock: Any, *instants: str) -> Person:
    """Complete something at each of the instants."""
    for instant in instants:
        who = live(wire, who, clock, instant)
        complete(who.actor, make_challenge())
    return who


def days_of_may(*days: int) -> list[str]:
    return [f"2026-05-{day:02d}T10:00:00Z" for day in days]


def streaks(wire: Wire, who: Person) -> dict[str, Any]:
    shown: dict[str, Any] = wire.read(f"{who.path}/progress", who)["streaks"]
    explained = wire.read(f"{who.path}/streak", who)
    assert {name: explained[name] for name in shown} == shown
    return shown


def states(wire: Wire, who: Person) -> list[tuple[str, str]]:
    return [(day["on"][-2:], day["state"]) for day in wire.read(f"{who.path}/streak", who)["days"]]


def assert_sound() -> None:
    drain()
    db.session.remove()
    assert check_stores().findings == []


def test_day_can_begin_at_four_in_the_morning(wire: Wire, ada: Person, clock: Any) -> None:
    answer = wire.patch("/api/users/me", ada, json={"day_start_hour": 4})
    assert (answer.json["day_start_hour"], answer.json["days_change_at"]) == (4, "2026-05-05T02:00:00Z")
    ada = live(wire, ada, clock, "2026-05-05T01:59:59Z")
    assert streaks(wire, ada)["local_date"] == MONDAY
    assert streaks(wire, ada)["deadline"] == "2026-05-05T01:59:59Z"
    ada = act(wire, ada, clock, "2026-05-05T01:59:59Z", "2026-05-05T02:00:00Z", "2026-05-07T01:59:59Z")
    shown = streaks(wire, ada)
    assert (shown["daily"], shown["local_date"], shown["deadline"]) == (3, "2026-05-06", "2026-05-07T01:59:59Z")
    assert shown["keep_by"] == "2026-05-08T01:59:59Z"
    assert_sound()


@pytest.mark.parametrize("hour", [-1, 13, 4.0, "4", None])
def test_day_begins_before_noon(wire: Wire, ada: Person, hour: object) -> None:
    problem = assert_problem(wire.patch("/api/users/me", ada, json={"day_start_hour": hour}), 422)
    assert list(pointers(problem)) == ["/day_start_hour"]


def test_new_zone_holds_from_the_next_local_day_on(wire: Wire, ada: Person, clock: Any) -> None:
    complete(ada.actor, make_challenge(cadence="daily"))
    answer = wire.patch("/api/users/me", ada, json={"timezone": "Asia/Tokyo"})
    assert (answer.json["timezone"], answer.json["days_change_at"]) == ("Asia/Tokyo", "2026-05-04T22:00:00Z")
    assert streaks(wire, ada)["local_date"] == MONDAY
    # In Tokyo it is Tuesday already; the day that was begun in Paris ends there first.
    ada = live(wire, ada, clock, "2026-05-04T21:59:59Z")
    assert_problem(wire.post("/api/challenges/1/complete", ada, json={}), 409, "already_completed")
    assert wire.read("/api/challenges/1", ada)["completed"] is True
    ada = live(wire, ada, clock, "2026-05-04T22:00:00Z")
    assert wire.read("/api/challenges/1", ada)["completed"] is False
    assert wire.post("/api/challenges/1/complete", ada, json={}).json["rewards"]["streak"] == {"daily": 2}
    history = wire.items(f"{ada.path}/history", ada)
    changed = next(event for event in history if event["type"] == "account.days_changed")
    assert changed["data"] == {
        "timezone": "Asia/Tokyo",
        "day_start_hour": 0,
        "holds_from": "2026-05-05",
        "bridged": ["2026-05-05"],
    }
    assert_sound()


def test_change_of_zone_never_breaks_a_streak(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(4, 5))
    for zone in ("Pacific/Kiritimati", "America/New_York", "Pacific/Kiritimati", "Pacific/Niue"):
        assert wire.patch("/api/users/me", ada, json={"timezone": zone}).status_code == 200
        start = date.fromisoformat(streaks(wire, ada)["local_date"])
        for hours in range(1, 4):
            clock.shift(timedelta(hours=18))
            ada = sign_in(wire, ada)
            complete(ada.actor, make_challenge())
            shown = streaks(wire, ada)
            assert shown["daily"] > 1, (zone, hours)
            assert date.fromisoformat(shown["local_date"]) >= start
    assert_sound()


def test_changing_zone_over_and_over_gives_no_second_completion(wire: Wire, ada: Person) -> None:
    complete(ada.actor, make_challenge(cadence="daily"))
    for zone in ("Pacific/Kiritimati", "Pacific/Niue", "Europe/Paris", "Asia/Tokyo"):
        wire.patch("/api/users/me", ada, json={"timezone": zone, "day_start_hour": len(zone) % 13})
        assert_problem(wire.post("/api/challenges/1/complete", ada, json={}), 409, "already_completed")


def test_same_zone_again_is_no_event(wire: Wire, ada: Person) -> None:
    before = len(wire.items(f"{ada.path}/history", ada))
    answer = wire.patch("/api/users/me", ada, json={"timezone": "Europe/Paris", "day_start_hour": 0})
    assert answer.json["days_change_at"] is None
    assert len(wire.items(f"{ada.path}/history", ada)) == before


def test_freeze_protects_a_day_to_come(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 11)))
    assert streaks(wire, ada)["freezes"] == 1
    placed = wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-11"})
    wire.conforms(placed, "place_freeze")
    assert (placed.status_code, placed.json["freezes"], placed.json["frozen"]) == (201, 0, ["2026-05-11"])
    # Active today, frozen tomorrow: the day after is the one that counts.
    assert placed.json["keep_by"] == "2026-05-12T21:59:59Z"
    assert placed.json["deadline"] == "2026-05-10T21:59:59Z"
    ada = live(wire, ada, clock, "2026-05-12T10:00:00Z")
    assert streaks(wire, ada)["daily"] == 7
    assert states(wire, ada)[:3] == [("12", "open"), ("11", "frozen"), ("10", "counted")]
    ada = act(wire, ada, clock, "2026-05-12T20:00:00Z")
    assert streaks(wire, ada)["daily"] == 8
    assert_sound()


def test_freeze_is_refused_with_a_reason(wire: Wire, ada: Person, clock: Any) -> None:
    def place(on: str) -> Any:
        return wire.post("/api/users/me/freezes", ada, json={"on": on})

    assert_problem(place(MONDAY), 409, "no_freeze_left")
    ada = act(wire, ada, clock, *days_of_may(*range(4, 18)))
    assert streaks(wire, ada)["freezes"] == 2
    for on in ("2026-05-16", "2026-06-17", "9999-12-31", "0001-01-01"):
        assert pointers(assert_problem(place(on), 422, "validation_failed")) == {"/on": "out_of_range"}
    assert_problem(place("2026-05-17"), 409, "day_already_counted")
    assert place("2026-06-16").status_code == 201
    assert_problem(place("2026-06-16"), 409, "already_protected")
    assert place("2026-05-18").json["freezes"] == 0
    problem = assert_problem(place("2026-05-20"), 409, "no_freeze_left")
    assert "seven days" in problem["detail"]
    french = wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-20"}, headers=FRENCH)
    assert "sept jours" in assert_problem(french, 409, "no_freeze_left")["detail"]


def test_freeze_returns_to_the_bank_until_the_day_before(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 11)))
    for wrong in ("2026-05-11", "tomorrow", "2026-5-11", "%00"):
        answer = wire.delete(f"/api/users/me/freezes/{wrong}", ada)
        assert answer.status_code in (404, 422), wrong
    wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-12"})
    assert wire.delete("/api/users/me/freezes/2026-05-12", ada).status_code == 204
    assert (streaks(wire, ada)["freezes"], streaks(wire, ada)["frozen"]) == (1, [])
    wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-11"})
    ada = live(wire, ada, clock, "2026-05-11T10:00:00Z")
    assert_problem(wire.delete("/api/users/me/freezes/2026-05-11", ada), 409, "too_late_to_cancel")
    assert_sound()


def test_freeze_is_placed_once_for_one_key(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 11)))
    key = {"Idempotency-Key": "freeze-1"}
    answers = [wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-11"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert streaks(wire, ada)["freezes"] == 0


def test_missed_day_is_repaired_within_three_days(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(4, 5, 6))
    ada = live(wire, ada, clock, "2026-05-08T10:00:00Z")
    view = wire.read(f"{ada.path}/streak", ada)
    assert (view["daily"], view["repairable_on"], view["repair_from"]) == (0, "2026-05-07", "2026-05-08")
    assert states(wire, ada) == [("08", "open"), ("07", "missed")]
    repaired = wire.post("/api/users/me/repairs", ada, json={"on": "2026-05-07"})
    wire.conforms(repaired, "repair_streak")
    assert (repaired.status_code, repaired.json["daily"], repaired.json["repair_from"]) == (201, 3, "2026-06-07")
    assert [day["state"] for day in repaired.json["days"]] == ["open", "repaired", *["counted"] * 3]
    ada = act(wire, ada, clock, "2026-05-08T11:00:00Z")
    assert streaks(wire, ada)["daily"] == 4
    assert_sound()


def test_repair_is_refused_with_a_reason(wire: Wire, ada: Person, clock: Any) -> None:
    def repair(on: str) -> Any:
        return wire.post("/api/users/me/repairs", ada, json={"on": on})

    assert_problem(repair("2026-05-03"), 409, "streak_not_mended")
    ada = act(wire, ada, clock, *days_of_may(4, 5, 8, 9, 12))
    for on in ("2026-05-12", "2026-05-13", "9999-12-31", "2026-05-09"):
        assert_problem(repair(on), 409, "day_not_missed")
    assert_problem(repair("0001-01-01"), 409, "too_late_to_repair")
    assert_problem(repair("2026-05-08"), 409, "too_late_to_repair")
    # Both the tenth and the eleventh were missed: one repair joins nothing.
    assert_problem(repair("2026-05-11"), 409, "streak_not_mended")
    ada = act(wire, ada, clock, *days_of_may(14))
    assert repair("2026-05-13").json["daily"] == 2
    ada = act(wire, ada, clock, *days_of_may(16))
    assert_problem(repair("2026-05-15"), 409, "repair_used")
    ada = act(wire, ada, clock, "2026-06-11T10:00:00Z", "2026-06-13T10:00:00Z")
    assert repair("2026-06-12").json["daily"] == 2


def test_day_of_another_is_nobodys_to_protect(wire: Wire, ada: Person) -> None:
    stranger, staff = wire.join(), wire.join("instructor")
    assert_problem(wire.get(f"{ada.path}/streak", stranger), 404, "not_found")
    assert_problem(wire.get(f"{ada.path}/streak"), 401)
    wire.conforms(wire.get(f"{ada.path}/streak", staff), "get_streak")
    assert_problem(wire.get("/api/users/99999/streak", staff), 404, "not_found")
    assert_problem(wire.post("/api/users/me/freezes", ada, json={"on": "20260505"}), 422)
    assert_problem(wire.post("/api/users/me/repairs", ada, json={}), 422)


def test_approval_that_comes_late_counts_with_the_days_that_were_off(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 10)))
    staff, wanted = wire.join("instructor"), make_challenge(validation="approval")
    clock.move_to("2026-05-10T10:00:00Z", tick=False)
    waiting = complete(ada.actor, wanted).completion
    clock.move_to("2026-05-12T10:00:00Z", tick=False)
    assert streaks(wire, sign_in(wire, ada))["daily"] == 0
    approved = challenges.approve_submission(staff.actor, waiting.id)
    assert approved.recorded.after.daily_streak == 7
    # The seventh day, counted late, earns a freeze; the eleventh is repaired, and both runs are one.
    ada = act(wire, ada, clock, "2026-05-12T11:00:00Z")
    assert wire.post("/api/users/me/repairs", ada, json={"on": "2026-05-11"}).json["daily"] == 8
    root = wire.admin()
    path = f"{ada.path}/completions/{waiting.id}/revoke"
    assert wire.post(path, root, json={"reason": "A test."}).status_code == 200
    assert (streaks(wire, ada)["daily"], streaks(wire, ada)["longest_daily"], streaks(wire, ada)["freezes"]) == (
        1,
        6,
        0,
    )
    assert_sound()


def test_perfect_quizzes_make_a_run_of_their_own(wire: Wire, ada: Person) -> None:
    for quiz, attempt, percent in ((1, 1, 100), (2, 1, 100), (2, 2, 40), (3, 1, 100)):
        titles = {"en": "Sorting waste", "fr": "Trier"}
        record(QuizCompleted(learner_id=ada.id, quiz_id=quiz, titles=titles, attempt=attempt, percent=percent))
    assert streaks(wire, ada)["perfect_quiz"] == 3
    (newest, *_) = wire.items(f"{ada.path}/history", ada, headers=FRENCH)
    assert newest["summary"] == "Quiz « Trier » terminé : 100 %"
    assert_sound()


def test_each_action_is_told_in_both_languages(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 11)))
    wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-12"})
    wire.delete("/api/users/me/freezes/2026-05-12", ada)
    wire.patch("/api/users/me", ada, json={"timezone": "Europe/Athens"})
    told = {
        language: [
            event["summary"] for event in wire.items(f"{ada.path}/history", ada, headers={"Accept-Language": language})
        ][:3]
        for language in ("en", "fr")
    }
    assert told["en"] == [
        "Days follow Europe/Athens from 2026-05-11 on",
        "Cancelled the freeze of 2026-05-12",
        "Placed a freeze on 2026-05-12",
    ]
    assert told["fr"][1:] == ["Gel du 2026-05-12 annulé", "Gel posé sur le 2026-05-12"]


def test_progress_revalidates_when_a_day_is_protected(wire: Wire, ada: Person, clock: Any) -> None:
    ada = act(wire, ada, clock, *days_of_may(*range(4, 11)))
    drain()
    etag = {"If-None-Match": wire.get(f"{ada.path}/progress", ada).headers["ETag"]}
    assert wire.get(f"{ada.path}/progress", ada, headers=etag).status_code == 304
    wire.post("/api/users/me/freezes", ada, json={"on": "2026-05-11"})
    assert wire.get(f"{ada.path}/progress", ada, headers=etag).status_code == 200
