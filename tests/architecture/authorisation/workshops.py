"""Requests to the routes of `workshops.txt`; the owner and the student take part in the instructor's workshops."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from rebootcamp.core import clock
from tests.architecture.authorisation.calls import Call, Calls
from tests.architecture.authorisation.world import REASON, World
from tests.factories import make_actor
from tests.factories.workshops import enter, make_workshop

WORKSHOP: Final = "/api/workshops/{workshop_id}"
AGENDA: Final = "GET /api/users/{user_id}/workshops.ics"
COMMENT: Final = f"{WORKSHOP}/comments/{{comment_id}}"
TAKING_PART: Final = ("owner", "student")


def furnish(world: World) -> None:
    """Add the workshops that everybody asks for, and what was said about one."""
    workshop_id, kept_place = make_shared(world), make_workshop(world.person("instructor").actor, capacity=1)
    world.places |= {
        "workshop_id": workshop_id,
        "draft_id": make(world, status="draft"),
        "attended_id": make_shared(world),
        "offered_id": kept_place.id,
        "left_id": make_shared(world),
        "comment_id": comment(world, workshop_id),
        "moderated_id": comment(world, workshop_id),
    }
    shared = {"label": "kept", "pictures": ["workshops"]}
    world.places["agenda_key"] = world.do("POST", "/api/users/me/share-links", world.owner, shared)["key"]
    attended = {"user_ids": [world.person(name).id for name in TAKING_PART]}
    path = f"/api/workshops/{world.places['attended_id']}/attendance"
    world.do("POST", path, world.person("instructor"), attended)
    make_offer(world, kept_place)


def make(world: World, **fields: Any) -> int:
    """Make a workshop of the instructor with seats enough; return its id."""
    return make_workshop(world.person("instructor").actor, **{"capacity": 20, **fields}).id


def make_shared(world: World) -> int:
    """Make a workshop in which the owner and the student take part."""
    workshop_id = make(world)
    for name in TAKING_PART:
        world.do("POST", f"/api/workshops/{workshop_id}/register", world.person(name), {})
    return workshop_id


def make_offer(world: World, workshop: Any) -> None:
    """Let the owner wait for the only seat, and then offer it."""
    seated = make_actor()
    enter(seated, workshop)
    enter(world.owner.actor, workshop)
    world.do("PATCH", f"/api/workshops/{workshop.id}", world.person("instructor"), {"offer_hours": 24})
    world.do("DELETE", f"/api/workshops/{workshop.id}/registrations/{seated.user_id}", world.person("instructor"))


def make_taken(world: World, *, attended: bool = False) -> dict[str, int]:
    """Make a workshop with one participant whom nobody will miss; return both ids."""
    workshop = make_workshop(world.person("instructor").actor)
    guest = make_actor()
    enter(guest, workshop)
    if attended:
        marked = {"user_ids": [guest.user_id]}
        world.do("POST", f"/api/workshops/{workshop.id}/attendance", world.person("instructor"), marked)
    return {"workshop_id": workshop.id, "user_id": guest.user_id}


def comment(world: World, workshop_id: int) -> int:
    """Let the owner say something; return its id."""
    found: int = world.do("POST", f"/api/workshops/{workshop_id}/comments", world.owner, {"text": "Nice."})["id"]
    return found


def _new(world: World) -> Call:
    starts_at = clock.now() + timedelta(days=200 + world.number())
    ends_at = starts_at + timedelta(hours=2)
    moments = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
    return Call(body={"title": f"Workshop {world.number()}", "description": "Come.", "capacity": 5, **moments})


def _own_comment(world: World) -> Call:
    """Return a comment of the owner that may go: the same one until it went."""
    found = world.places.get("disposable_id")
    path = f"/api/workshops/{world.places['workshop_id']}/comments"
    if found is None or found not in {item["id"] for item in world.wire.items(path, world.owner) if item["text"]}:
        found = world.places["disposable_id"] = comment(world, world.places["workshop_id"])
    return Call({"comment_id": found})


def _marking(world: World) -> Call:
    taken = make_taken(world)
    return Call(taken, {"user_ids": [taken["user_id"]]})


def _draft(body: Any = None) -> Any:
    return lambda world: Call({"workshop_id": world.places["draft_id"]}, body)


def _moderated(body: Any = None) -> Any:
    return lambda world: Call({"comment_id": world.places["moderated_id"]}, body)


OF_DRAFTS: Final = {
    f"GET {WORKSHOP}": None,
    f"PATCH {WORKSHOP}": {"place": "Room 2"},
    f"GET {WORKSHOP}/calendar.ics": None,
    f"POST {WORKSHOP}/register": {},
    f"GET {WORKSHOP}/registrations": None,
    f"GET {WORKSHOP}/registrations.csv": None,
    f"GET {WORKSHOP}/log": None,
    f"GET {WORKSHOP}/comments": None,
    f"POST {WORKSHOP}/comments": {"text": "Thanks."},
}
CALLS: Final[Calls] = {
    **{f"{route} [a draft]": _draft(body) for route, body in OF_DRAFTS.items()},
    "POST /api/workshops": _new,
    f"PATCH {WORKSHOP}": lambda world: Call({"workshop_id": make(world)}, {"place": "Room 2"}),
    f"DELETE {WORKSHOP}": lambda world: Call({"workshop_id": make(world)}),
    f"POST {WORKSHOP}/cancel": lambda world: Call({"workshop_id": make(world)}, REASON),
    f"{AGENDA} [with its key]": lambda world: Call(query={"key": world.places["agenda_key"]}),
    f"{AGENDA} [with a key of pictures]": lambda world: Call(query={"key": world.places["key"]}),
    f"POST {WORKSHOP}/register": lambda world: Call({"workshop_id": make(world)}, {}),
    f"DELETE {WORKSHOP}/register": lambda world: Call({"workshop_id": world.places["left_id"]}),
    f"POST {WORKSHOP}/accept": lambda world: Call({"workshop_id": world.places["offered_id"]}),
    f"DELETE {WORKSHOP}/registrations/{{user_id}}": lambda world: Call(make_taken(world)),
    f"POST {WORKSHOP}/attendance": _marking,
    f"DELETE {WORKSHOP}/attendance/{{user_id}}": lambda world: Call(make_taken(world, attended=True)),
    f"POST {WORKSHOP}/feedback": lambda world: Call({"workshop_id": world.places["attended_id"]}, {"rating": 5}),
    f"POST {WORKSHOP}/comments": lambda world: Call(body={"text": "Thanks."}),
    f"PATCH {COMMENT}": lambda world: Call(body={"text": "Very nice."}),
    f"DELETE {COMMENT}": _own_comment,
    f"POST {COMMENT}/hide": _moderated(REASON),
    f"POST {COMMENT}/show": _moderated(),
}
