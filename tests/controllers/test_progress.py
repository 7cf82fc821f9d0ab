"""Progress, history, awards and score over HTTP: what they say, and to whom."""

from __future__ import annotations

import time_machine

from tests.controllers.wire import Person, Wire, assert_problem
from tests.factories import admin, complete, drain, make_badge, make_challenge

PARTS = {
    "user": {"id", "display_name"},
    "score": {"total", "challenge_points", "badge_points"},
    "level": {"number", "name", "xp", "xp_floor", "xp_next"},
    "challenges": {"completed", "published", "completion_rate", "by_category"},
    "streaks": {"daily", "longest_daily", "perfect_quiz", "local_date", "deadline", "keep_by", "freezes", "frozen"},
    "eco": {"co2e_grams_saved"},
    "consistency": {"seq", "projected_seq", "degraded"},
}
AWARD = {"code", "name", "tier", "points", "awarded_at", "state", "origin", "rule_version", "evidence", "event_id"}
AWARD |= {"seq", "revoked_at", "revoke_reason", "expires_at", "why"}
EVENT = {"id", "seq", "type", "at", "summary", "data"}
SCORE_ITEM = {"points", "source", "event_id", "type", "reason", "at", "local_date", "seq", "data"}
LISTS = ("progress", "history", "badges", "score")


def work(who: Person) -> None:
    """Three challenges, two badges by rule, one by hand which is then taken back."""
    make_badge("first_step", points=10)
    make_badge("water_friend", points=15, criteria={"points": {"at_least": 40}})
    make_badge("gift", points=5, criteria={"points": {"at_least": 1_000_000}})
    make_challenge(category="food")
    for points, category in [(20, "energy"), (7, "water"), (13, "energy")]:
        complete(who.actor, make_challenge(points=points, category=category))


def give_and_take(wire: Wire, who: Person) -> None:
    root = wire.admin()
    assert wire.post(f"{who.path}/badges", root, json={"code": "gift", "reason": "Kind."}).status_code == 201
    taken = wire.post(f"{who.path}/badges/gift/revoke", root, json={"reason": "A mistake."})
    assert taken.status_code == 200


def test_progress_joins_both_stores(wire: Wire, ada: Person) -> None:
    work(ada)
    body = wire.read(f"{ada.path}/progress", ada)
    assert set(body) == set(PARTS) | {"badges", "recent"}
    assert {part: set(body[part]) for part in PARTS} == PARTS
    assert body["user"] == {"id": ada.id, "display_name": "Ada"}
    assert body["score"] == {"total": 65, "challenge_points": 40, "badge_points": 25}
    assert body["level"] == {"number": 1, "name": "Apprentice", "xp": 65, "xp_floor": 0, "xp_next": 100}
    by_category = [
        {"category": "energy", "completed": 2, "points": 33},
        {"category": "water", "completed": 1, "points": 7},
    ]
    assert body["challenges"] == {"completed": 3, "published": 4, "completion_rate": 0.75, "by_category": by_category}
    assert body["eco"] == {"co2e_grams_saved": 300}
    assert [(badge["code"], badge["points"]) for badge in body["badges"]] == [("first_step", 10), ("water_friend", 15)]
    assert set(body["badges"][0]) == {"code", "name", "tier", "points", "awarded_at"}
    assert all(set(event) == EVENT for event in body["recent"])
    assert [event["seq"] for event in body["recent"]] == [6, 5, 4, 3, 2, 1]
    assert body["consistency"] == {"seq": 6, "projected_seq": 0, "degraded": False}


def test_what_is_read_is_the_same_before_and_after_the_relay(wire: Wire, ada: Person) -> None:
    work(ada)
    give_and_take(wire, ada)

    def everything() -> dict[str, object]:
        found = {name: wire.read(f"{ada.path}/{name}", ada) for name in LISTS}
        found |= {
            "revoked": wire.read(f"{ada.path}/badges?state=revoked", ada),
            "board": wire.read("/api/leaderboards/global", ada),
            "me": wire.read("/api/leaderboards/global/me", ada),
        }
        found["projected"] = found["progress"]["consistency"].pop("projected_seq")
        return found

    before = everything()
    drain()
    after = everything()
    assert (before.pop("projected"), after.pop("projected")) == (0, 8)
    assert before == after


def test_half_of_it_delivered_is_still_the_same(wire: Wire, ada: Person) -> None:
    make_badge("second", at_least=2, points=30)
    complete(ada.actor, make_challenge(points=20))
    drain()
    complete(ada.actor, make_challenge(points=5))
    body = wire.read(f"{ada.path}/progress", ada)
    assert body["score"] == {"total": 55, "challenge_points": 25, "badge_points": 30}
    assert body["consistency"] == {"seq": 4, "projected_seq": 2, "degraded": False}
    assert [event["seq"] for event in wire.items(f"{ada.path}/history", ada)] == [4, 3, 2, 1]
    assert [award["code"] for award in wire.items(f"{ada.path}/badges", ada)] == ["second"]


def test_only_the_latest_twenty_events_are_recent(wire: Wire, ada: Person) -> None:
    for _ in range(22):
        complete(ada.actor, make_challenge(points=1))
    for _ in range(2):
        recent = wire.read(f"{ada.path}/progress", ada)["recent"]
        assert [event["seq"] for event in recent] == list(range(23, 3, -1))
        drain()
    assert len(wire.items(f"{ada.path}/history", ada)) == 23


def test_history_can_be_narrowed_to_one_type(wire: Wire, ada: Person) -> None:
    work(ada)
    for _ in range(2):
        events = wire.items(f"{ada.path}/history", ada)
        assert all(set(event) == EVENT for event in events)
        done = wire.items(f"{ada.path}/history?type=challenge.completed", ada, limit=1)
        assert done == [event for event in events if event["type"] == "challenge.completed"]
        assert len(done) == 3
        assert wire.items(f"{ada.path}/history?type=nothing.such", ada) == []
        drain()


def test_sentences_follow_the_language(wire: Wire, ada: Person) -> None:
    make_badge("first_step", translations={"en": texts("First step"), "fr": texts("Premier pas")})
    complete(ada.actor, make_challenge(points=20, translations={"en": title("Bike"), "fr": title("Vélo")}))
    french = {"Accept-Language": "fr"}
    english = [event["summary"] for event in wire.items(f"{ada.path}/history", ada)]
    assert english == [
        "Earned the badge “First step” (+10 points)",
        "Completed “Bike” (+20 points)",
        "Joined RebootCamp",
    ]
    parts = [event["summary"] for event in wire.items(f"{ada.path}/history", ada, headers=french)]
    assert parts == [
        "Badge « Premier pas » obtenu (+10 points)",
        "Défi « Vélo » réussi (+20 points)",
        "Inscription à RebootCamp",
    ]
    progress = wire.read(f"{ada.path}/progress", ada, headers=french)
    assert (progress["badges"][0]["name"], progress["level"]["name"]) == ("Premier pas", "Apprenti")
    assert [event["summary"] for event in progress["recent"]] == parts
    assert wire.items(f"{ada.path}/badges", ada, headers=french)[0]["name"] == "Premier pas"
    reasons = [item["reason"] for item in wire.items(f"{ada.path}/score", ada, headers=french)]
    assert reasons == parts[:2]


def texts(name: str) -> dict[str, str]:
    return {"name": name, "description": "."}


def title(text: str) -> dict[str, str]:
    return {"title": text, "description": "."}


def test_the_score_is_the_sum_of_its_reasons(wire: Wire, ada: Person) -> None:
    work(ada)
    give_and_take(wire, ada)
    by_limit = [wire.items(f"{ada.path}/score", ada, limit=limit) for limit in (1, 2, 3, 100)]
    items = by_limit[0]
    assert by_limit == [items] * 4
    assert all(set(item) == SCORE_ITEM for item in items)
    score = wire.read(f"{ada.path}/progress", ada)["score"]
    assert sum(item["points"] for item in items) == score["total"] == 65
    by_source = {source: sum(i["points"] for i in items if i["source"] == source) for source in ("challenge", "badge")}
    assert by_source == {"challenge": score["challenge_points"], "badge": score["badge_points"]}
    assert [item["points"] for item in items] == [-5, 5, 15, 13, 7, 10, 20]
    assert len({item["event_id"] for item in items}) == 7


def test_awards_keep_their_reasons(wire: Wire, ada: Person) -> None:
    work(ada)
    give_and_take(wire, ada)
    for _ in range(2):
        held = wire.items(f"{ada.path}/badges", ada, limit=1)
        assert all(set(award) == AWARD for award in held)
        assert [(award["code"], award["origin"]) for award in held] == [
            ("water_friend", "rule"),
            ("first_step", "rule"),
        ]
        assert held[0]["evidence"]["readings"][0]["value"] == 50
        (revoked,) = wire.items(f"{ada.path}/badges?state=revoked", ada)
        assert (revoked["code"], revoked["origin"], revoked["revoke_reason"]) == ("gift", "manual", "A mistake.")
        assert revoked["evidence"] == {"awarded_by": admin().user_id, "reason": "Kind."}
        assert_problem(wire.get(f"{ada.path}/badges?state=lost", ada), 422, "validation_failed")
        drain()


def test_streaks_are_counted_on_the_learners_calendar(wire: Wire, ada: Person) -> None:
    daily = make_challenge(cadence="daily")
    for day in ("2026-05-01", "2026-05-02"):
        with time_machine.travel(f"{day}T20:00:00Z", tick=False):
            complete(ada.actor, daily)

    def streaks(instant: str) -> dict[str, object]:
        with time_machine.travel(instant, tick=False):
            reader = Person(ada.actor, ada.email, wire.token(ada.email))
            return wire.read(f"{ada.path}/progress", reader)["streaks"]

    # Paris is two hours ahead in May: the third of May begins at 22:00Z and a day without a deed ends the streak.
    today = streaks("2026-05-02T21:59:59Z")
    assert (today["local_date"], today["deadline"]) == ("2026-05-02", "2026-05-02T21:59:59Z")
    assert [streaks(at)["daily"] for at in ("2026-05-02T21:00:00Z", "2026-05-03T21:00:00Z")] == [2, 2]
    over = streaks("2026-05-03T22:00:00Z")
    assert (over["daily"], over["longest_daily"], over["local_date"]) == (0, 2, "2026-05-04")


def test_progress_is_shown_to_its_owner_and_staff_only(wire: Wire, ada: Person) -> None:
    complete(ada.actor, make_challenge())
    stranger, staff = wire.join(), [wire.join(role) for role in ("instructor", "examiner", "admin")]
    for name in LISTS:
        path, nobody = f"{ada.path}/{name}", f"/api/users/999999/{name}"
        expected = wire.read(path, ada)
        for headers in ({}, {"If-None-Match": "*"}):
            for who in staff:
                assert_problem(wire.get(nobody, who, headers=headers), 404, "not_found")
            hidden = assert_problem(wire.get(path, stranger, headers=headers), 404, "not_found")
            absent = assert_problem(wire.get(nobody, stranger, headers=headers), 404, "not_found")
            assert hidden["detail"] == absent["detail"]
            assert_problem(wire.get(path, headers=headers), 401, "unauthenticated")
        assert [wire.read(path, who) for who in staff] == [expected] * 3


def test_a_token_ends_with_the_standing_it_was_given_for(wire: Wire, ada: Person) -> None:
    root, second, gone = wire.admin(), wire.join("admin"), wire.join()
    etags = {name: wire.get(f"{ada.path}/{name}", second).headers.get("ETag", '"x"') for name in LISTS}
    wire.patch(second.path, root, json={"role": "student"})
    wire.patch(gone.path, root, json={"is_active": False})
    demoted = Person(second.actor, second.email, wire.token(second.email))
    for name, etag in etags.items():
        path = f"{ada.path}/{name}"
        for headers in ({}, {"If-None-Match": etag}):
            assert_problem(wire.get(path, second, headers=headers), 401, "unauthenticated")
            assert_problem(wire.get(f"{gone.path}/{name}", gone, headers=headers), 401, "unauthenticated")
        assert_problem(wire.get(path, demoted), 404, "not_found")
        assert wire.get(f"{gone.path}/{name}", root).status_code == 200
