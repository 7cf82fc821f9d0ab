"""Seats over HTTP: registering, leaving, offers, attendance with all that follows from it, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from rebootcamp.core import clock
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.models.sql.workshops import Workshop, WorkshopRegistration
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from rebootcamp.storage.transactions import transaction
from tests.controllers.wire import Person, Wire, assert_problem, pointers
from tests.factories import complete, drain, judge_the_past, make_badge, make_challenge, make_goal
from tests.factories.workshops import make_workshop

NOON = "2026-05-06T12:00:00Z"
FRENCH = {"Accept-Language": "fr"}
QUESTIONS = [
    {"key": "level", "labels": {"en": "Your level?", "fr": "Votre niveau ?"}, "is_required": True},
    {"key": "diet", "labels": {"en": "Any diet?", "fr": "Un régime ?"}, "is_required": False},
]


@pytest.fixture
def trainer(wire: Wire) -> Person:
    """Who leads the workshops."""
    return wire.join("instructor")


@pytest.fixture
def path(trainer: Person) -> str:
    """A workshop with one seat."""
    return path_of(make_workshop(trainer.actor, capacity=1))


def path_of(workshop: Workshop) -> str:
    return f"/api/workshops/{workshop.id}"


def enter(wire: Wire, path: str, who: Person, **body: Any) -> Any:
    """Register; return the answer's body."""
    answer = wire.post(f"{path}/register", who, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json


def attend(wire: Wire, path: str, trainer: Person, *who: Person) -> list[int]:
    """Mark people as there; return of whom it was new."""
    answer = wire.post(f"{path}/attendance", trainer, json={"user_ids": [one.id for one in who]})
    assert answer.status_code == 200, answer.text
    return answer.json["user_ids"]


def assert_sound() -> None:
    drain()
    db.session.remove()
    assert check_stores().findings == []


def test_registering_waiting_and_leaving(wire: Wire, path: str, ada: Person) -> None:
    bob = wire.join()
    answer = wire.post(f"{path}/register", ada, json={})
    wire.conforms(answer, "register_for_workshop")
    told = answer.json
    assert told.pop("registered_at").endswith("Z")
    assert told == {
        "workshop_id": int(path.rpartition("/")[2]),
        "user_id": ada.id,
        "status": "registered",
        "position": None,
        "offered_until": None,
    }
    # No body at all is an empty one.
    second = wire.post(f"{path}/register", bob)
    assert (second.json["status"], second.json["position"]) == ("waitlisted", 1)
    problem = assert_problem(wire.post(f"{path}/register", bob, json={}), 409, "already_registered")
    assert problem["why"]["status"] == "waitlisted"
    assert wire.delete(f"{path}/register", ada).status_code == 204
    assert_problem(wire.delete(f"{path}/register", ada), 409, "not_registered")
    assert [event["type"] for event in wire.items(f"{bob.path}/history", bob)][:2] == [
        "workshop.promoted",
        "workshop.waitlisted",
    ]
    assert wire.items(f"{bob.path}/history", bob, headers=FRENCH)[0]["summary"].startswith("Place obtenue")
    assert_sound()


def test_a_repeated_request_registers_once_and_tells_the_same(wire: Wire, path: str, ada: Person) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (wire.post(f"{path}/register", ada, json={}, headers=key) for _ in range(2))
    assert (first.status_code, first.data) == (201, second.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert_problem(wire.post(f"{path}/register", ada, json={"note": "x"}, headers=key), 422, "idempotency_key_reused")
    away = {"Idempotency-Key": "away"}
    assert [wire.delete(f"{path}/register", ada, headers=away).status_code for _ in range(2)] == [204, 204]


def test_refusals_are_told_in_both_languages(wire: Wire, ada: Person, trainer: Person) -> None:
    closed = path_of(make_workshop(status="closed"))
    english = assert_problem(wire.post(f"{closed}/register", ada, json={}), 409, "registration_closed")
    french = assert_problem(wire.post(f"{closed}/register", ada, json={}, headers=FRENCH), 409, "registration_closed")
    assert (english["title"], french["title"]) == ("Registration closed", "Inscriptions fermées")
    assert set(english["why"]) == {"reason", "opens_at", "closes_at", "starts_at"}
    assert english["why"]["reason"] == "closed"
    own = path_of(make_workshop(trainer.actor))
    assert_problem(wire.post(f"{own}/register", trainer, json={}), 409, "own_workshop")
    for number in (10**9, make_workshop(status="draft").id, make_workshop(archived_at=clock.now()).id):
        unknown = assert_problem(wire.post(f"/api/workshops/{number}/register", ada, json={}), 404)
        assert "workshop" in unknown["detail"]
    assert_problem(wire.post(f"{own}/register", json={}), 401)


def test_a_suspended_caller_is_refused_like_a_stranger(wire: Wire, path: str, ada: Person, root: Person) -> None:
    assert wire.patch(ada.path, root, json={"is_active": False}).status_code == 200
    assert_problem(wire.post(f"{path}/register", ada, json={}), 401, "unauthenticated")
    # Also before anything of the request is told.
    assert_problem(wire.post(f"{path}/register", ada, json={"no_such": 1}), 401, "unauthenticated")


def test_overlapping_and_too_many_workshops_are_refused(wire: Wire, ada: Person) -> None:
    first = make_workshop()
    enter(wire, path_of(first), ada)
    same = path_of(make_workshop(starts_at=first.starts_at, ends_at=first.ends_at))
    problem = assert_problem(wire.post(f"{same}/register", ada, json={}), 409, "overlapping_workshop")
    assert problem["why"]["workshop_id"] == first.id
    for _ in range(19):
        enter(wire, path_of(make_workshop()), ada)
    problem = assert_problem(wire.post(f"{path_of(make_workshop())}/register", ada, json={}), 409)
    assert (problem["code"], problem["why"]) == ("too_many_registrations", {"at_most": 20})


def test_answers_are_held_against_the_questions(wire: Wire, ada: Person, trainer: Person) -> None:
    path = path_of(make_workshop(trainer.actor, questions=QUESTIONS))
    wrong: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"/answers/level": "required"}),
        ({"answers": {"level": " "}}, {"/answers/level": "required"}),
        ({"answers": {"diet": "None"}}, {"/answers/level": "required"}),
        ({"answers": {"level": "Low", "age/~": "9"}}, {"/answers/age~1~0": "unknown_question"}),
        ({"answers": {"level": "x" * 2001}}, {"/answers/level": "invalid"}),
        ({"answers": {"level": 7, "diet": None}}, {"/answers/level": "invalid", "/answers/diet": "invalid"}),
        ({"answers": []}, {"/answers": "invalid"}),
        ({"answers": {f"q{number}": "x" for number in range(51)}}, {"/answers": "invalid"}),
        ({"answers": {"level": "Low", "x" * 5000: "y"}}, {f"/answers/{'x' * 191}": "unknown_question"}),
        ({"answers": {"level": "Low"}, "note": "x" * 2001}, {"/note": "invalid"}),
        ({"answers": {"level": "Low"}, "seat": 1}, {"/seat": "unknown_field"}),
    ]
    for body, expected in wrong:
        problem = assert_problem(wire.post(f"{path}/register", ada, json=body), 422, "validation_failed")
        assert set(pointers(problem)) == set(expected), body
        if "required" in expected.values() or "unknown_question" in expected.values():
            assert pointers(problem) == expected
    french = wire.post(f"{path}/register", ada, json={}, headers=FRENCH)
    assert french.json["errors"][0]["message"] == "Il faut répondre à cette question."
    enter(wire, path, ada, answers={"level": " Low\nor so ", "diet": ""}, note="See you")
    event = wire.items(f"{ada.path}/history", ada)[0]
    assert event["data"]["words"] == {"answers": {"level": "Low\nor so"}, "note": "See you"}


def test_an_offered_seat_is_accepted_once(wire: Wire, ada: Person, trainer: Person) -> None:
    path, bob = path_of(make_workshop(trainer.actor, capacity=1, offer_hours=5)), wire.join()
    enter(wire, path, ada)
    enter(wire, path, bob)
    assert_problem(wire.post(f"{path}/accept", bob), 409, "no_offer")
    assert wire.delete(f"{path}/registrations/{ada.id}", trainer).status_code == 204
    assert_problem(wire.post(f"{path}/accept", ada), 409, "not_registered")
    answer = wire.post(f"{path}/accept", bob)
    wire.conforms(answer, "accept_seat")
    assert (answer.status_code, answer.json["status"], answer.json["offered_until"]) == (200, "registered", None)
    again = assert_problem(wire.post(f"{path}/accept", bob, headers=FRENCH), 409, "no_offer")
    assert again["why"] == {"status": "registered", "offered_until": None}
    assert_sound()


def test_only_the_trainer_and_administrators_remove_people_and_mark_attendance(
    wire: Wire, path: str, ada: Person, trainer: Person, root: Person
) -> None:
    enter(wire, path, ada)
    other = wire.join("instructor")
    for who in (ada, wire.join("examiner"), other):
        assert_problem(wire.delete(f"{path}/registrations/{ada.id}", who), 403)
        assert_problem(wire.post(f"{path}/attendance", who, json={"user_ids": [ada.id]}), 403)
        assert_problem(wire.delete(f"{path}/attendance/{ada.id}", who), 403)
    assert_problem(wire.delete(f"{path}/registrations/{other.id}", trainer), 404, "not_found")
    assert_problem(wire.delete(f"{path}/attendance/{other.id}", trainer), 404, "not_found")
    assert_problem(wire.delete(f"{path}/attendance/{ada.id}", trainer), 409, "not_attended")
    assert attend(wire, path, root, ada) == [ada.id]
    assert_problem(wire.delete(f"{path}/registrations/{ada.id}", trainer), 409, "already_attended")
    assert wire.delete(f"{path}/attendance/{ada.id}", trainer).status_code == 204
    assert wire.delete(f"{path}/registrations/{ada.id}", trainer).status_code == 204


def test_attendance_is_marked_for_all_or_for_none(wire: Wire, path: str, ada: Person, trainer: Person) -> None:
    bob, eve = wire.join(), wire.join()
    enter(wire, path, ada)
    enter(wire, path, bob)
    for stranger in (bob.id, eve.id, 10**9):
        body = {"user_ids": [ada.id, stranger]}
        problem = assert_problem(wire.post(f"{path}/attendance", trainer, json=body, headers=FRENCH), 422)
        assert pointers(problem) == {"/user_ids/1": "not_registered"}
        assert "n'a pas de place" in problem["errors"][0]["message"]
    for body in ({"user_ids": []}, {"user_ids": [1] * 201}, {"user_ids": ["1"]}, {"user_ids": [0]}, {}):
        assert_problem(wire.post(f"{path}/attendance", trainer, json=body), 422)
    assert attend(wire, path, trainer, ada, ada) == [ada.id]
    assert attend(wire, path, trainer, ada) == []
    cancelled = path_of(make_workshop(trainer.actor, status="cancelled"))
    answer = wire.post(f"{cancelled}/attendance", trainer, json={"user_ids": [ada.id]})
    assert_problem(answer, 409, "workshop_cancelled")


def test_a_whole_room_is_marked_at_once(wire: Wire, trainer: Person) -> None:
    path = path_of(make_workshop(trainer.actor, capacity=30))
    people = [wire.join(password="correct horse battery 42") for _ in range(12)]
    for who in people:
        enter(wire, path, who)
    assert attend(wire, path, trainer, *reversed(people)) == [who.id for who in people]
    assert_sound()


def test_feedback_is_given_once_and_by_participants(wire: Wire, path: str, ada: Person, trainer: Person) -> None:
    good = {"rating": 4, "text": "Très bien"}
    assert_problem(wire.post(f"{path}/feedback", ada, json=good), 409, "not_registered")
    enter(wire, path, ada)
    assert_problem(wire.post(f"{path}/feedback", ada, json=good), 409, "not_attended")
    attend(wire, path, trainer, ada)
    for body in ({}, {"rating": 0}, {"rating": 6}, {"rating": 4.5}, {"rating": "4"}, {**good, "text": "x" * 2001}):
        assert_problem(wire.post(f"{path}/feedback", ada, json=body), 422)
    answer = wire.post(f"{path}/feedback", ada, json=good)
    assert answer.status_code == 201
    wire.conforms(answer, "give_feedback")
    assert (answer.json["rating"], answer.json["text"]) == (4, "Très bien")
    assert_problem(wire.post(f"{path}/feedback", ada, json={"rating": 1}), 409, "already_rated")
    event = wire.items(f"{ada.path}/history", ada)[0]
    assert (event["type"], event["data"]["rating"], event["data"]["words"]) == (
        "workshop.rated",
        4,
        {"text": "Très bien"},
    )
    assert_sound()


@pytest.fixture
def hand() -> Iterator[Any]:
    """The hand of the clock, on a Wednesday at noon; tokens are renewed with `again`."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def again(wire: Wire, who: Person) -> Person:
    """Sign somebody in anew: the token of another day is worth nothing."""
    return Person(who.actor, who.email, wire.token(who.email))


def on(day: int, trainer: Person, **fields: Any) -> Workshop:
    """Make a workshop on the morning of a day of May."""
    starts_at = datetime(2026, 5, day, 8, tzinfo=UTC)
    return make_workshop(trainer.actor, starts_at=starts_at, ends_at=starts_at + timedelta(hours=3), **fields)


def figures(wire: Wire, who: Person) -> dict[str, Any]:
    """Return what attending changes: experience, level, badges, streaks; and the score, which it does not."""
    progress = wire.read(f"{who.path}/progress", again(wire, who))
    return {
        "xp": progress["level"]["xp"],
        "badges": [badge["code"] for badge in progress["badges"]],
        "daily": progress["streaks"]["daily"],
        "longest": progress["streaks"]["longest_daily"],
        "score": progress["score"]["total"],
    }


def test_attending_feeds_experience_streak_and_badges_and_taking_it_back_takes_all(
    wire: Wire, hand: Any, ada: Person, trainer: Person
) -> None:
    make_badge("guest", criteria={"type": "workshop_attendance", "value": 1}, points=10)
    judge_the_past()
    path = path_of(on(7, trainer, points=30))
    enter(wire, path, ada)
    before = figures(wire, ada)
    hand.move_to("2026-05-07T09:00:00Z", tick=False)
    attend(wire, path, again(wire, trainer), ada)
    for _ in range(2):
        # Before the relay and after it.
        assert figures(wire, ada) == {"xp": 40, "badges": ["guest"], "daily": 1, "longest": 1, "score": 10}
        drain()
    recent = wire.read(f"{ada.path}/progress", again(wire, ada))["recent"]
    assert [event["type"] for event in recent[:2]] == ["badge.awarded", "workshop.attended"]
    assert recent[1]["data"]["points"] == 30
    assert_sound()
    assert wire.delete(f"{path}/attendance/{ada.id}", again(wire, trainer)).status_code == 204
    assert figures(wire, ada) == before == {"xp": 0, "badges": [], "daily": 0, "longest": 0, "score": 0}
    assert [event["type"] for event in wire.items(f"{ada.path}/history", again(wire, ada))[:2]] == [
        "badge.revoked",
        "workshop.attendance_revoked",
    ]
    assert_sound()


def test_an_attendance_takes_back_what_it_gave_then_whatever_the_workshop_is_worth_now(
    wire: Wire, ada: Person, trainer: Person
) -> None:
    workshop = make_workshop(trainer.actor, points=30)
    path = path_of(workshop)
    enter(wire, path, ada)
    attend(wire, path, trainer, ada)
    workshop.points = 99
    db.session.commit()
    assert wire.delete(f"{path}/attendance/{ada.id}", trainer).status_code == 204
    assert figures(wire, ada)["xp"] == 0
    attend(wire, path, trainer, ada)
    assert figures(wire, ada)["xp"] == 99
    assert_sound()


def test_streaks_are_of_workshops_and_challenges_alike_in_whatever_order_they_are_told(
    wire: Wire, hand: Any, ada: Person, trainer: Person
) -> None:
    first, second = path_of(on(7, trainer)), path_of(on(9, trainer))
    enter(wire, first, ada)
    enter(wire, second, ada)
    for day in (6, 8, 10):
        hand.move_to(f"2026-05-{day:02}T09:00:00Z", tick=False)
        complete(ada.actor, make_challenge())
    assert figures(wire, ada)["daily"] == 1
    # Told late, for the days on which they were.
    attend(wire, second, again(wire, trainer), ada)
    assert figures(wire, ada)["daily"] == 3
    attend(wire, first, again(wire, trainer), ada)
    assert (figures(wire, ada)["daily"], figures(wire, ada)["longest"]) == (5, 5)
    assert_sound()
    assert wire.delete(f"{second}/attendance/{ada.id}", again(wire, trainer)).status_code == 204
    assert (figures(wire, ada)["daily"], figures(wire, ada)["longest"]) == (1, 3)
    assert_sound()


def test_a_day_with_two_deeds_is_lost_with_the_second(wire: Wire, hand: Any, ada: Person, trainer: Person) -> None:
    path, root = path_of(on(7, trainer)), wire.admin()
    enter(wire, path, ada)
    hand.move_to("2026-05-07T12:00:00Z", tick=False)
    deed = complete(ada.actor, make_challenge()).completion.id
    attend(wire, path, again(wire, trainer), ada)
    assert wire.delete(f"{path}/attendance/{ada.id}", again(wire, trainer)).status_code == 204
    assert figures(wire, ada)["daily"] == 1
    attend(wire, path, again(wire, trainer), ada)
    revoke = f"{ada.path}/completions/{deed}/revoke"
    assert wire.post(revoke, again(wire, root), json={"reason": "Not done."}).status_code == 200
    assert figures(wire, ada)["daily"] == 1
    assert wire.delete(f"{path}/attendance/{ada.id}", again(wire, trainer)).status_code == 204
    assert figures(wire, ada)["daily"] == 0
    assert_sound()


def test_the_day_of_an_attendance_is_the_learners_own(wire: Wire, hand: Any, trainer: Person) -> None:
    far, near = wire.join(timezone="Pacific/Auckland"), wire.join(timezone="America/Los_Angeles")
    starts_at = datetime(2026, 5, 7, 4, tzinfo=UTC)
    path = path_of(make_workshop(trainer.actor, starts_at=starts_at, ends_at=starts_at + timedelta(hours=20)))
    enter(wire, path, far)
    enter(wire, path, near)
    hand.move_to("2026-05-09T04:00:00Z", tick=False)
    attend(wire, path, again(wire, trainer), far, near)
    with transaction() as session:
        kept = session.scalars(sa.select(WorkshopRegistration.attended_on).order_by(WorkshopRegistration.user_id))
        assert [str(day) for day in kept] == ["2026-05-07", "2026-05-06"]
        counted = session.scalars(
            sa.select(LearnerState.last_active_on).where(LearnerState.last_active_on.is_not(None))
        )
        assert sorted(map(str, counted)) == ["2026-05-06", "2026-05-07"]
    assert_sound()


def test_people_who_come_early_are_there_today(wire: Wire, hand: Any, ada: Person, trainer: Person) -> None:
    path = path_of(on(20, trainer))
    enter(wire, path, ada)
    attend(wire, path, trainer, ada)
    assert figures(wire, ada)["daily"] == 1


def test_timed_challenges_count_workshops_and_fall_with_them(
    wire: Wire, hand: Any, ada: Person, trainer: Person
) -> None:
    goal = make_goal({"count": {"event": "workshop.attended", "at_least": 2}}, points=50)
    paths = [path_of(on(day, trainer, points=0)) for day in (6, 7)]
    for path in paths:
        hand.move_to("2026-05-06T07:00:00Z", tick=False)
        enter(wire, path, again(wire, ada))
    hand.move_to("2026-05-08T07:00:00Z", tick=False)
    for path, is_done in zip(paths, (False, True), strict=True):
        attend(wire, path, again(wire, trainer), ada)
        assert wire.read(f"/api/challenges/{goal.id}", again(wire, ada))["completed"] is is_done
    assert figures(wire, ada)["score"] == 50
    assert wire.delete(f"{paths[0]}/attendance/{ada.id}", again(wire, trainer)).status_code == 204
    assert wire.read(f"/api/challenges/{goal.id}", again(wire, ada))["completed"] is False
    assert figures(wire, ada)["score"] == 0
    assert_sound()
