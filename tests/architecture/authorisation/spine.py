"""Requests to the routes of `spine.txt` that need a body, or things of their own because they change them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from rebootcamp.core import clock
from tests.architecture.authorisation.calls import Call, Calls
from tests.architecture.authorisation.matrix import CALLERS
from tests.architecture.authorisation.world import BY_HAND, REASON, World, rest_day
from tests.factories import (
    PASSWORD,
    curve,
    drain,
    judge_the_past,
    keep_streak,
    make_actor,
    make_challenge,
    make_goal,
)

TITLED: Final = {"en": {"title": "T", "description": "D"}}
NAMED: Final = {"name": "N", "description": "D"}
GROUPS: Final = "/api/groups/{group_id}"


def furnish(world: World) -> None:
    """Add the things that everybody asks for."""
    keep_streak(world.owner.actor, *range(1, 15))
    joined, open_goal = [make_goal(starts_at=clock.now() - timedelta(days=1), requires_joining=True) for _ in range(2)]
    judge_the_past()
    for name in set(CALLERS) - {"anonymous", "suspended"}:
        world.do("POST", f"/api/challenges/{joined.id}/join", world.person(name))
    drain()
    published = world.do("POST", "/api/leaderboards/weekly/freeze", world.admin, {"period": "2026-W01"})
    shared = world.do("POST", "/api/users/me/share-links", world.owner, {"label": "kept"})
    world.places |= {
        "user_id": world.owner.id,
        "joined_id": joined.id,
        "open_goal_id": open_goal.id,
        "challenge_id": make_challenge().id,
        "hidden_id": make_challenge(is_published=False).id,
        "completion_id": world.make_completion(validation="approval"),
        "group_id": world.make_group(),
        "code": world.make_award(),
        "rest_id": world.make_rest_day(),
        "board": "weekly",
        "snapshot_id": published["id"],
        "key": shared["key"],
        "name": "start.js",
    }


def _account(world: World) -> Call:
    email = f"new{world.number()}@example.org"
    return Call(body={"email": email, "password": PASSWORD, "first_name": "N", "last_name": "N"})


def _refreshing(world: World) -> Call:
    credentials = {"email": world.owner.email, "password": PASSWORD}
    answer = world.wire.post("/api/auth/login", json=credentials)
    return Call(body={"refresh_token": answer.json["refresh_token"]})


def _badge(world: World) -> Call:
    texts = {"en": NAMED, "fr": NAMED}
    body = {"code": f"made_{world.number()}", "tier": "gold", "points": 5, "criteria": BY_HAND, "translations": texts}
    return Call(body=body)


def _freeze_placed(world: World) -> Call:
    day = str(clock.now().date() + timedelta(days=3))
    # The owner has two in the bank: one may lie there already, and a day is never protected twice.
    world.wire.post("/api/users/me/freezes", world.owner, json={"on": day})
    return Call({"on": day})


def _someone(world: World) -> dict[str, Any]:
    return {"user_ids": [world.person("other student").id]}


def _members(world: World) -> dict[str, Any]:
    return {"user_ids": [world.owner.id]}


def _day(days: int) -> dict[str, str]:
    return {"on": str(clock.now().date() + timedelta(days=days))}


CALLS: Final[Calls] = {
    "POST /api/auth/register": _account,
    "POST /api/auth/login": lambda world: Call(body={"email": world.owner.email, "password": PASSWORD}),
    "POST /api/auth/refresh": _refreshing,
    "POST /api/auth/logout": _refreshing,
    "POST /api/badges": _badge,
    "PATCH /api/badges/{code}": lambda world: Call({"code": world.make_badge()}, {"points": 7}),
    "POST /api/badges/preview": lambda world: Call(body={"criteria": BY_HAND}),
    "POST /api/calendar": lambda world: Call(body=rest_day(world.number())),
    "PATCH /api/calendar/{rest_id}": lambda world: Call(
        {"rest_id": world.make_rest_day()}, {"translations": {"en": "T", "fr": "T"}}
    ),
    "DELETE /api/calendar/{rest_id}": lambda world: Call({"rest_id": world.make_rest_day()}),
    "POST /api/challenges": lambda world: Call(
        body={
            "translations": TITLED,
            "category": "food",
            "difficulty": "easy",
            "points": 5,
            "slug": f"c{world.number()}",
        }
    ),
    "PATCH /api/challenges/{challenge_id}": lambda world: Call({"challenge_id": make_challenge().id}, {"points": 7}),
    "DELETE /api/challenges/{challenge_id}": lambda world: Call({"challenge_id": make_challenge().id}),
    "POST /api/challenges/{challenge_id}/complete": lambda world: Call({"challenge_id": make_challenge().id}, {}),
    "GET /api/challenges/{challenge_id} [not published]": lambda world: Call(
        {"challenge_id": world.places["hidden_id"]}
    ),
    "POST /api/challenges/{challenge_id}/join": lambda world: Call({"challenge_id": world.places["open_goal_id"]}),
    "DELETE /api/challenges/{challenge_id}/join": lambda world: Call({"challenge_id": world.places["joined_id"]}),
    "GET /api/challenges/{challenge_id}/results": lambda world: Call({"challenge_id": world.places["joined_id"]}),
    "POST /api/groups": lambda world: Call(body={"name": "Class 6"}),
    f"PATCH {GROUPS}": lambda world: Call({"group_id": world.make_group()}, {"description": "D"}),
    f"DELETE {GROUPS}": lambda world: Call({"group_id": world.make_group()}),
    f"POST {GROUPS}/join-code": lambda world: Call({"group_id": world.make_group()}),
    f"POST {GROUPS}/leave": lambda world: Call({"group_id": world.make_group()}),
    f"POST {GROUPS}/members": lambda world: Call({"group_id": world.make_group()}, _someone(world)),
    f"POST {GROUPS}/members/remove": lambda world: Call({"group_id": world.make_group()}, _members(world)),
    "POST /api/groups/join": lambda world: Call(body={"code": world.make_code()}),
    "POST /api/leaderboards/{board}/freeze": lambda world: Call(body={"period": "2026-W02"}),
    "PATCH /api/leaderboards/settings": lambda world: Call(body={"students_see": "full"}),
    "PUT /api/levels": lambda world: Call(body=curve(0, 5)),
    "POST /api/levels/preview": lambda world: Call(body=curve(0, 10)),
    "POST /api/submissions/{completion_id}/approve": lambda world: Call(
        {"completion_id": world.make_completion(validation="approval")}
    ),
    "POST /api/submissions/{completion_id}/reject": lambda world: Call(
        {"completion_id": world.make_completion(validation="approval")}, REASON
    ),
    "PATCH /api/users/{user_id}": lambda world: Call({"user_id": make_actor().user_id}, {"role": "examiner"}),
    "GET /api/users/{user_id}/activity.svg [with its key]": lambda world: Call(query={"key": world.places["key"]}),
    "GET /api/users/{user_id}/progress.svg [with its key]": lambda world: Call(query={"key": world.places["key"]}),
    "POST /api/users/{user_id}/badges": lambda world: Call(body={"code": world.make_badge(), **REASON}),
    "POST /api/users/{user_id}/badges/{code}/revoke": lambda world: Call({"code": world.make_award()}, REASON),
    "POST /api/users/{user_id}/completions/{completion_id}/revoke": lambda world: Call(
        {"completion_id": world.make_completion()}, REASON
    ),
    "PATCH /api/users/me": lambda world: Call(body={"nickname": "N"}),
    "POST /api/users/me/freezes": lambda world: Call(body=_day(1)),
    "DELETE /api/users/me/freezes/{on}": _freeze_placed,
    "POST /api/users/me/repairs": lambda world: Call(body=_day(-1)),
    "POST /api/users/me/share-links": lambda world: Call(body={}),
    "DELETE /api/users/me/share-links/{link_id}": lambda world: Call({"link_id": world.make_link()["id"]}),
}
