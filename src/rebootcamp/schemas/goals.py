"""Timed challenges on the wire: how far one is, teams, results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.schemas.base import PageArguments, String

TEAM = ("group_id", "name", "total", "target")
Say = Callable[[Mapping[str, Any]], str]


class AdvanceOut(ma.Schema):
    """How far the caller is."""

    value = fields.Integer(required=True)
    target = fields.Integer(required=True)


class WindowOut(ma.Schema):
    """Local dates, both included; null where there is no end."""

    class Meta:
        """`from` is a word of Python."""

        include = {
            "from": fields.Date(required=True, allow_none=True),
            "to": fields.Date(required=True, allow_none=True),
        }


class TeamOut(ma.Schema):
    """What a group has reached together."""

    group_id = fields.Integer(required=True)
    name = fields.String(required=True)
    total = fields.Integer(required=True)
    target = fields.Integer(required=True)


class MyTeamOut(TeamOut):
    """One of the caller's groups, with the caller's part of it."""

    mine = fields.Integer(required=True)


class PlacedTeamOut(TeamOut):
    """A group with its place among all."""

    place = fields.Integer(required=True)


class ResultArguments(PageArguments):
    """Which window, and paging of its finishers."""

    period = String(
        load_default=None,
        validate=validate.Length(1, 20),
        metadata={"description": "`2026-11-20`, `2026-W47`, `2026-11`, `2026-autumn` or `event`, as cadence says."},
    )


class FinisherOut(ma.Schema):
    """One completion, in order of time; the name is today's, null for who is not listed."""

    place = fields.Integer(required=True)
    user_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null where students see no names of the unlisted."}
    )
    display_name = fields.String(
        required=True, allow_none=True, metadata={"description": "Null for who is not listed on boards."}
    )
    completed_at = fields.DateTime(required=True)


class ResultsOut(ma.Schema):
    """The outcome of one window; where students see no more, the own place with its neighbours and the own teams."""

    challenge_id = fields.Integer(required=True)
    period = fields.String(required=True)
    window = fields.Nested(WindowOut, required=True)
    is_final = fields.Boolean(
        required=True, metadata={"description": "Recorded once and for ever when the window closed."}
    )
    recorded_at = fields.DateTime(required=True, allow_none=True)
    participants = fields.Integer(
        required=True, metadata={"description": "Who joined in the window, completed it, or gave to a team."}
    )
    completed = fields.Integer(required=True)
    finishers_hash = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "SHA-256 of all finishers in order, a line `<user_id> <completed_at>` for each."},
    )
    view = fields.String(required=True, validate=validate.OneOf(("neighbours", "full")))
    team_count = fields.Integer(required=True)
    teams = fields.List(fields.Nested(PlacedTeamOut), required=True)
    items = fields.List(fields.Nested(FinisherOut), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


def render_pursuit(challenge: Any, pursuit: Any, say: Say) -> dict[str, Any]:
    """Return what is told of a timed challenge, and nulls of any other."""
    window = pursuit and pursuit.window
    return {
        "criteria": challenge.criteria,
        "criteria_text": challenge.criteria and say(challenge.criteria),
        "requires_joining": challenge.requires_joining,
        "team_target": challenge.team_target,
        "joined": bool(pursuit and pursuit.is_joined),
        "advance": pursuit and {"value": pursuit.value, "target": pursuit.target},
        "window": window and {name: day and day.isoformat() for name, day in zip(("from", "to"), window, strict=True)},
    }


def render_results(results: Any) -> dict[str, Any]:
    """Return `ResultsOut` of a `services.challenges.Results`."""
    closed_on = results.closed_on
    return {
        "challenge_id": results.challenge_id,
        "period": results.period,
        "window": {"from": results.opened_on.isoformat(), "to": closed_on and closed_on.isoformat()},
        "is_final": results.recorded_at is not None,
        "recorded_at": results.recorded_at and iso(results.recorded_at),
        "participants": results.participants,
        "completed": results.completed,
        "finishers_hash": results.finishers_hash,
        "view": results.view,
        "team_count": results.team_count,
        "teams": [{name: getattr(team, name) for name in (*TEAM, "place")} for team in results.teams],
        "items": [
            {
                "place": one.place,
                "user_id": one.user_id,
                "display_name": one.display_name,
                "completed_at": iso(one.completed_at),
            }
            for one in results.finishers.items
        ],
        "next_cursor": results.finishers.next_cursor,
    }
